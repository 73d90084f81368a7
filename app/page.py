"""The layout of the page, and which callback answers to which event.

The canvas does everything that is done with a clip; around it, Gradio's own components choose the clip and the model,
and take masks in and out.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api as offer

from app import fragments, menus
from app.api import Api
from app.callbacks import Callbacks
from app.routes import PREFIX, static_url
from app.settings import CACHE_SECONDS, EXAMPLES, LIMITS, TITLE
from sam2_core.config import POCKET
from sam2_core.session import SessionManager
from widgets.gradio_host import MaskCanvas
from widgets.pick_list import pick_list

_ASK_TAB = "(_, ...rest) => [sessionStorage.getItem('masklet-token') ?? '', ...rest]"
"""Before a callback is called: its first input is the token of this tab's session."""
_ASK_TAB_AND_FORMAT = "() => ['masklet-token', 'masklet-format'].map((key) => sessionStorage.getItem(key) ?? '')"
"""The same, and the export format that was last chosen in this tab."""
_KEEP_FORMAT = "(name) => { sessionStorage.setItem('masklet-format', name); }"
_FETCH = "() => setTimeout(() => document.querySelector('#file-status a')?.click(), 200)"
"""After a file was made: follow the link to it, which is not there if that failed."""
_CLOSE_MENUS = """() => document.addEventListener('keydown', ({ key, target }) => {
    if (key === 'Escape' && target.closest('#format, #model')) setTimeout(() => target.blur());
})"""
"""Escape leaves a menu: Gradio closes its list, which opens again only for one that gets the focus."""
_FORGET = "() => ''"
_SHOW_START = "() => { document.body.dataset.masklet = 'start'; }"
_SHOW_STUDIO = "() => { document.body.dataset.masklet = 'studio'; }"


@dataclass(frozen=True, slots=True)
class _Top:
    model: gr.Dropdown
    current_model: gr.State
    banner: gr.HTML
    status: gr.HTML


@dataclass(frozen=True, slots=True)
class _Start:
    examples: gr.HTML
    upload: gr.UploadButton
    project: gr.UploadButton
    back: gr.Button
    status: gr.HTML


@dataclass(frozen=True, slots=True)
class _Files:
    """Masks in and out."""

    format: gr.Dropdown
    export: gr.Button
    import_masks: gr.UploadButton
    save: gr.Button
    script: gr.Button
    leave: gr.Button
    status: gr.HTML


def build_page(manager: SessionManager, examples: Path = EXAMPLES) -> gr.Blocks:
    """The whole page, ready to be launched.

    Args:
        manager: of the sessions of all visitors.
        examples: a folder with ``clips/`` and ``images/`` to begin with.
    """
    clips = [path for kind in ("clips", "images") for path in sorted((examples / kind).glob("*.*"))]
    callbacks = Callbacks(manager, clips)
    page: gr.Blocks = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=CACHE_SECONDS, fill_width=True)
    with page:
        token = gr.Textbox(visible=False)
        top, start = _lay_out_top(), _lay_out_start(clips)
        with gr.Column(elem_id="studio"):
            canvas = MaskCanvas(
                module_url=static_url("mask_canvas.js"),
                style_url=static_url("mask_canvas.css"),
                session_url=PREFIX + "/{token}",
                elem_id="canvas",
            )
            files = _lay_out_files()
        _wire(page, callbacks, token, top, start, canvas, files)
        page.unload(callbacks.unload)
        _offer_api(manager)
    return page


def _lay_out_top() -> _Top:
    with gr.Row(elem_id="top"):
        gr.HTML(f"<h1>{TITLE}</h1><p>Click an object in any frame, get its mask in every frame.</p>", min_width=300)
        model = gr.Dropdown(
            menus.models(),
            value=POCKET.name,
            label="Model",
            container=False,
            show_label=False,
            filterable=False,
            min_width=340,
            scale=0,
            elem_id="model",
        )
    banner = gr.HTML(fragments.banner(POCKET.name), elem_id="banner")
    return _Top(model, gr.State(POCKET.name), banner, gr.HTML(elem_id="model-status"))


def _lay_out_start(clips: list[Path]) -> _Start:
    with gr.Column(elem_id="start"):
        with gr.Row(elem_id="back-row"):
            back = gr.Button("Back to your clip", variant="primary", scale=0, min_width=170, elem_id="back")
            gr.HTML(fragments.note("Opening another one ends your work on it; save it as a project to keep it."))
        gr.HTML("<h2>Choose a clip or a picture</h2>")
        examples = pick_list("examples", fragments.example_cards(clips))
        with gr.Row(elem_id="upload-row"):
            upload = gr.UploadButton(
                "Upload your own",
                file_count="multiple",
                file_types=["video", "image", ".ts", ".mts", ".3gp"],  # whose type Python does not know
                variant="primary",
                scale=0,
                min_width=190,
                elem_id="upload",
            )
            project = gr.UploadButton(
                "Open a project", file_types=[".zip"], scale=0, min_width=160, elem_id="open-project"
            )
            gr.HTML(fragments.note(fragments.UPLOADS))
        status = gr.HTML(elem_id="start-status")
        gr.HTML(fragments.STEPS)
    return _Start(examples, upload, project, back, status)


def _lay_out_files() -> _Files:
    with gr.Row(elem_id="files"):
        format_ = gr.Dropdown(
            menus.formats(),
            label="Format",
            show_label=False,
            container=False,
            filterable=False,
            min_width=220,
            scale=0,
            elem_id="format",
        )
        export = gr.Button("Export", variant="primary", scale=0, min_width=100, elem_id="export")
        import_masks = gr.UploadButton(
            "Import masks", file_types=[".json", ".zip"], scale=0, min_width=130, elem_id="import"
        )
        save = gr.Button("Save project", scale=0, min_width=120, elem_id="save")
        script = gr.Button("Python script", scale=0, min_width=120, elem_id="script")
        leave = gr.Button("Another clip", scale=0, min_width=120, elem_id="leave")
        status = gr.HTML(elem_id="file-status")
    return _Files(format_, export, import_masks, save, script, leave, status)


def _wire(
    page: gr.Blocks, do: Callbacks, token: gr.Textbox, top: _Top, start: _Start, canvas: MaskCanvas, files: _Files
) -> None:
    """Say who answers. These listeners are private: scripts call the endpoints of :class:`app.api.Api`."""
    common: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    asking: dict[str, Any] = {"js": _ASK_TAB, **common}
    opening: dict[str, Any] = {"concurrency_limit": 4, **asking}  # a clip is decoded once when it is opened
    canvas.said(do.said, None, canvas, trigger_mode="multiple", concurrency_limit=None, **common)

    model = [top.model, top.current_model, top.banner]
    around = [files.format, files.status, *model]
    page.load(do.attach, [token, gr.Textbox(visible=False)], around, **common, js=_ASK_TAB_AND_FORMAT)
    page.load(None, js=_CLOSE_MENUS, **common)
    files.format.input(None, files.format, js=_KEEP_FORMAT, **common)
    opened = [canvas, start.status, *around]
    start.examples.pick(do.open_example, [token, top.current_model], opened, **opening)
    start.upload.upload(do.open_upload, [token, start.upload, top.current_model], opened, **opening)
    start.project.upload(do.open_project, [token, start.project], opened, **opening)
    start.back.click(None, js=_SHOW_STUDIO, **common)
    files.leave.click(None, js=_SHOW_START, **common)

    for button, callback, inputs in (
        (files.export, do.export, [token, files.format]),
        (files.save, do.save_project, [token]),
        (files.script, do.save_script, [token]),
    ):
        made = button.click(callback, inputs, files.status, concurrency_limit=None, **asking)
        made.then(None, js=_FETCH, **common)
    files.import_masks.click(None, None, files.status, js=_FORGET, **common)  # also where Gradio refuses the file
    files.import_masks.upload(do.import_masks, [token, files.import_masks], [canvas, files.status], **opening)

    top.model.change(  # the menu's input event comes twice
        do.change_model, [token, top.model, top.current_model], [*model, top.status, canvas],
        concurrency_limit=None, **asking,
    )  # fmt: skip


def _offer_api(manager: SessionManager) -> None:
    api = Api(manager.models, manager.turns, LIMITS.media)
    for endpoint in (api.segment_image, api.track_video):
        offer(endpoint, api_description=(inspect.getdoc(endpoint) or "").replace("``", ""))
