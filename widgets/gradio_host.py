"""The canvas inside a Gradio page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

_STATIC = Path(__file__).parent / "static"


class MaskCanvas(gr.HTML):
    """The canvas as a Gradio component; its module comes from an address, for a page has no place for it.

    Its value is a JSON text: ``messages`` for the canvas (see ``docs/protocol.md``), and the ``token`` of the session
    that they are about, or null where they open one. Event: ``said`` with
    ``{"token": ..., "message": ...}``, one message from the canvas.

    Args:
        module_url: of ``mask_canvas.js``, below the page's root.
        style_url: of ``mask_canvas.css``.
        session_url: below which a session's frames are, with ``{token}`` in it.
    """

    def __init__(self, *, module_url: str = "", style_url: str = "", session_url: str = "", **properties: Any) -> None:
        super().__init__(
            html_template='<div class="mask-canvas-host"></div>',
            js_on_load=(_STATIC / "gradio_host.js").read_text(),
            module_url=module_url,
            style_url=style_url,
            session_url=session_url,
            **properties,
        )

    def api_info(self) -> dict[str, Any]:
        """What the value is, for those who ask Gradio."""
        return {"type": "string", "description": "JSON: token of a session, and messages for the canvas"}
