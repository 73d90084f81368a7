"""A picture in a notebook that stands in for the canvas wherever none lives."""

from __future__ import annotations

import html
import uuid

from IPython import get_ipython
from IPython.display import display


class StandIn:
    """An output beside the canvas's: a notebook keeps it, and it is what a reader without a kernel sees.

    It is one of its own, because JupyterLab shows a widget's output as an error where no kernel has the widget,
    whatever else is in that output. The one that was shown last is replaced as often as the canvas comes to rest, so
    that a notebook keeps the last picture and not the one of when its cell ran; earlier ones stay, as the text around
    them does. A canvas hides all outputs of its widget's ``css_class``.
    """

    def __init__(self) -> None:
        self.css_class = f"masklet-{uuid.uuid4().hex}"
        self._display_id = ""
        self._address = ""

    def show(self, address: str, caption: str) -> None:
        """Add an output to the cell that runs; in a terminal, which shows no pictures, nothing happens.

        Args:
            address: of the picture, which is in it.
            caption: what it shows, for those who cannot see it.
        """
        if hasattr(get_ipython(), "kernel"):
            self._display_id = uuid.uuid4().hex
            self._publish(address, caption, update=False)

    def update(self, address: str, caption: str) -> None:
        """Replace the picture in the last output, if there is one; from any thread."""
        if self._display_id and address != self._address:
            self._publish(address, caption, update=True)

    def _publish(self, address: str, caption: str, *, update: bool) -> None:
        self._address = address
        alt = html.escape(caption)
        picture = f'<img class="{self.css_class}" alt="{alt}" src="{address}" style="max-width: 100%">'
        output = {"text/html": picture}
        display(output, raw=True, display_id=self._display_id, update=update)  # type: ignore[no-untyped-call]
