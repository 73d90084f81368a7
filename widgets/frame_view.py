"""Pieces of the page that answer to the mouse: constant HTML with a few lines of JavaScript each.

Their values are made of numbers and pictures only; no text of a visitor ever becomes HTML.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_STATIC = Path(__file__).parent / "static"


def frame_view(elem_id: str) -> gr.HTML:
    """A picture that is clicked (left positive, right or shift negative) and on which boxes are dragged.

    Its value is ``{"frame": index, "picture": data URL}``. Events: ``prompt`` with a message for
    :func:`widgets.protocol.parse_prompt`; ``step`` with ``{"by": frames}`` for the arrow keys.
    """
    return gr.HTML(
        html_template=(_STATIC / "frame_view.html").read_text(),
        js_on_load=(_STATIC / "frame_view.js").read_text(),
        elem_id=elem_id,
    )


def pick_list(elem_id: str, value: str = "") -> gr.HTML:
    """HTML whose buttons are picked; ``data-pick`` or ``data-remove`` says what.

    Events: ``pick`` with ``{"pick": ...}`` and ``remove`` with ``{"remove": ...}``.
    """
    return gr.HTML(value, js_on_load=(_STATIC / "pick_list.js").read_text(), elem_id=elem_id)


def ribbon_view(elem_id: str) -> gr.HTML:
    """A :func:`widgets.ribbon.score_ribbon` to go to a frame with: event ``seek`` with ``{"frame": index}``."""
    return gr.HTML("", js_on_load=(_STATIC / "ribbon.js").read_text(), elem_id=elem_id)
