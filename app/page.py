"""The layout of the page, and which callback answers to which event.

The canvas does everything that is done with a clip; around it, Gradio's own components choose the clip and the model,
and take masks in and out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app import fragments
from app.api import Api
from app.callbacks import Callbacks
from app.routes import PREFIX, static_url
from app.settings import CACHE_SECONDS, EXAMPLES, LIMITS, TITLE
from sam2_core.config import POCKET
from sam2_core.formats import EXPORTS
from sam2_core.session import SessionManager
from sam2_core.weights import AvailableModel, available_models
from widgets.gradio_host import MaskCanvas
from widgets.pick_list import pick_list

_ASK_TAB = "(_, ...rest) => [sessionStorage.getItem('masklet-token') ?? '', ...rest]"
"""Before a callback is called: its first input is the token of this tab's session."""
_FETCH = "() => setTimeout(() => document.querySelector('#file')?.click(), 200)"
_EVERY: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": None}


@dataclass(frozen=True, slots=True)
class _Top:
    model: gr.Dropdown
    banner: gr.HTML
    status: gr.HTML


@dataclass(frozen=True, slots=True)
class _Start:
    examples: gr.HTML
    upload: gr.UploadButton
    project: gr.UploadButton
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
    file: gr.DownloadButton


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
        token, model = gr.Textbox(visible=False), gr.State(POCKET.name)
        top, start = _lay_out_top(), _lay_out_start(clips)
        with gr.Column(elem_id="studio"):
            canvas = MaskCanvas(
                module_url=static_url("mask_canvas.js"),
                style_url=static_url("mask_canvas.css"),
                session_url=PREFIX + "/{token}",
                elem_id="canvas",
            )
            files = _lay_out_files()
        _wire(callbacks, token, model, top, start, canvas, files)
        page.unload(callbacks.unload)
        _offer_api(manager)
    return page


def _lay_out_top() -> _Top:
    with gr.Row(elem_id="top"):
        gr.HTML(f"<h1>{TITLE}</h1><p>Click an object in any frame, get its mask in every frame.</p>", min_width=300)
        model = gr.Dropdown(
            [(f"{model.name} · {_availability(model)}", model.name) for model in available_models()],
            value=POCKET.name,
            label="Model",
            container=False,
            show_label=False,
            filterable=False,
            min_width=340,
            scale=0,
            elem_id="model",
        )
    return _Top(model, gr.HTML(fragments.banner(POCKET.name), elem_id="banner"), gr.HTML(elem_id="model-status"))


def _availability(model: AvailableModel) -> str:
    if model.hub_id is None:
        return "included"
    return "downloaded" if model.on_disk else f"{model.download_bytes / 1e6:.0f} MB download"


def _lay_out_start(clips: list[Path]) -> _Start:
    with gr.Column(elem_id="start"):
        gr.HTML("<h2>Choose a clip or a picture</h2>")
        examples = pick_list("examples", fragments.example_cards(clips))
        with gr.Row(elem_id="upload-row"):
            upload = gr.UploadButton(
                "Upload your own",
                file_count="multiple",
                file_types=["video", "image"],
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
    return _Start(examples, upload, project, status)


def _lay_out_files() -> _Files:
    with gr.Row(elem_id="files"):
        format_ = gr.Dropdown(
            [(each.title, each.name) for each in EXPORTS.values()],
            value=next(iter(EXPORTS)),
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
        file = gr.DownloadButton(elem_id="file")
    return _Files(format_, export, import_masks, save, script, leave, status, file)


def _wire(
    do: Callbacks, token: gr.Textbox, model: gr.State, top: _Top, start: _Start, canvas: MaskCanvas, files: _Files
) -> None:
    """Say who answers. These listeners are private: scripts call the endpoints of :class:`app.api.Api`."""
    common: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    canvas.said(do.said, None, canvas, **_EVERY, **common)

    opened = [canvas, start.status]
    several: dict[str, Any] = {"concurrency_limit": 4, **common}  # a clip is decoded once when it is opened
    start.examples.pick(do.open_example, [token, model], opened, js=_ASK_TAB, **several)
    start.upload.upload(do.open_upload, [token, start.upload, model], opened, js=_ASK_TAB, **several)
    start.project.upload(do.open_project, [token, start.project], opened, js=_ASK_TAB, **several)

    made = [files.status, files.file]
    for button, callback, inputs in (
        (files.export, do.export, [token, files.format]),
        (files.save, do.save_project, [token]),
        (files.script, do.save_script, [token]),
    ):
        button.click(callback, inputs, made, js=_ASK_TAB, concurrency_limit=None, **common).success(
            None, None, None, js=_FETCH, **common
        )
    files.import_masks.upload(
        do.import_masks, [token, files.import_masks], [canvas, files.status], js=_ASK_TAB, **several
    )
    files.leave.click(do.leave, token, [canvas, files.status], js=_ASK_TAB, **common)

    top.model.change(  # the menu's input event comes twice
        do.change_model,
        [token, top.model, model],
        [top.model, model, top.banner, top.status, canvas],
        js=_ASK_TAB,
        concurrency_limit=None,
        **common,
    )


def _offer_api(manager: SessionManager) -> None:
    api = Api(manager.models, manager.turns, LIMITS.media)
    gr.api(api.segment_image, api_name="segment_image")
    gr.api(api.track_video, api_name="track_video")
