"""What the page and the notebook share: pictures to look at, and the messages that come back from a browser.

>>> from widgets import SegmentationWidget
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from widgets.jupyter_host import SegmentationWidget

__all__ = ["SegmentationWidget"]


def __getattr__(name: str) -> Any:
    """The notebook's widget, imported where it is asked for: the page needs none of Jupyter."""
    if name == "SegmentationWidget":
        from widgets.jupyter_host import SegmentationWidget

        return SegmentationWidget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
