"""A picture in a notebook that stands in for the canvas wherever none lives."""

from __future__ import annotations

import html
import uuid
import weakref
from collections.abc import Callable

from IPython import get_ipython
from IPython.display import display


class StandIn:
    """An output beside the canvas's: a notebook keeps it, and it is what a reader without a kernel sees.

    It is one of its own, because JupyterLab shows a widget's output as an error where no kernel has the widget,
    whatever else is in that output. As often as the canvas comes to rest it is replaced, in every cell that shows the
    widget: a notebook keeps the last picture and not the one of when a cell ran. A canvas hides all outputs of its
    widget's ``css_class``.
    """

    def __init__(self) -> None:
        self.css_class = f"masklet-{uuid.uuid4().hex}"
        self._shown = ""

    def show(self, address: str, caption: str) -> None:
        """Add an output to the cell that runs; in a terminal, which shows no pictures, nothing happens.

        Args:
            address: of the picture, which is in it.
            caption: what it shows, for those who cannot see it.
        """
        if hasattr(get_ipython(), "kernel"):
            self.update(address, caption)  # of earlier outputs, if there are any
            self._shown = self._picture(address, caption)
            self._publish(update=False)

    def update(self, address: str, caption: str) -> None:
        """Replace the picture in all outputs, if there are any; from any thread."""
        picture = self._picture(address, caption)
        if self._shown not in ("", picture):
            self._shown = picture
            self._publish(update=True)

    @staticmethod
    def after_cells(take: Callable[[], None]) -> None:
        """Call a method when a cell has ended, as long as its object lives.

        What runs a notebook without people ends the kernel right after the last cell.
        """
        shell, method = get_ipython(), weakref.WeakMethod(take)

        def ended(_result: object) -> None:
            if (call := method()) is not None:
                call()

        if shell is not None:
            shell.events.register("post_run_cell", ended)

    def _picture(self, address: str, caption: str) -> str:
        alt = html.escape(caption)
        return f'<img class="{self.css_class}" alt="{alt}" src="{address}" style="max-width: 100%">'

    def _publish(self, *, update: bool) -> None:
        output = {"text/html": self._shown}
        display(output, raw=True, display_id=self.css_class, update=update)  # type: ignore[no-untyped-call]
