"""HTML whose buttons are picked."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_STATIC = Path(__file__).parent / "static"


def pick_list(elem_id: str, value: str = "") -> gr.HTML:
    """HTML whose buttons are picked; ``data-pick`` says what. Event: ``pick`` with ``{"pick": ...}``.

    Its value is made of numbers, pictures and the project's own words; no text of a visitor ever becomes HTML.
    """
    return gr.HTML(value, js_on_load=(_STATIC / "pick_list.js").read_text(), elem_id=elem_id)
