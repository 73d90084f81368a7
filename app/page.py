"""The layout of the page, and which callback answers to which event."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app import fragments
from app.callbacks import NOT_THIS, THIS, Callbacks
from app.settings import CACHE_SECONDS, EXAMPLES, TITLE
from sam2_core.config import POCKET
from sam2_core.session import SessionManager
from sam2_core.weights import AvailableModel, available_models
from widgets.frame_view import frame_view, pick_list, ribbon_view

_CLICK_DOWNLOAD = "() => setTimeout(() => document.querySelector('#archive')?.click(), 200)"
_SOME_AT_ONCE: dict[str, Any] = {"concurrency_limit": 4}  # a clip is decoded once when it is opened
_EVERY_PRESS: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": None}
_LATEST_ONLY: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_limit": None}


@dataclass(frozen=True, slots=True)
class _Top:
    """Above everything: the model."""

    model: gr.Dropdown
    banner: gr.HTML
    status: gr.HTML


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a clip is chosen."""

    panel: gr.Column
    examples: gr.HTML
    upload: gr.UploadButton
    status: gr.HTML


@dataclass(frozen=True, slots=True)
class _Stage:
    """The picture, and what moves through the clip."""

    frames: gr.Column
    view: gr.HTML
    timeline: gr.Column
    slider: gr.Slider
    ribbon: gr.HTML
    player: gr.Column
    video: gr.Video
    track: gr.Button
    cancel: gr.Button
    direction: gr.Radio
    play: gr.Button
    back: gr.Button
    status: gr.HTML


@dataclass(frozen=True, slots=True)
class _Tools:
    """What one says about it, and takes home."""

    objects: gr.HTML
    new_object: gr.Button
    kind: gr.Radio
    candidates: gr.HTML
    undo: gr.Button
    redo: gr.Button
    clear: gr.Button
    download: gr.Button
    archive: gr.DownloadButton
    leave: gr.Button


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
        state = _State(gr.State(""), gr.State(0), gr.State(1), gr.State(POCKET.name))
        top = _lay_out_top()
        start = _lay_out_start(clips)
        with gr.Row(visible=False, elem_id="studio") as studio:
            stage, tools = _lay_out_stage(), _lay_out_tools()
        _wire(callbacks, state, top, start, studio, stage, tools)
        page.unload(callbacks.unload)
    return page


@dataclass(frozen=True, slots=True)
class _State:
    """What the server must know about a tab; everything else is in the session."""

    token: gr.State
    frame: gr.State
    object_id: gr.State
    model: gr.State


def _lay_out_top() -> _Top:
    with gr.Row(elem_id="top"):
        gr.HTML(f"<h1>{TITLE}</h1><p>Click an object in any frame, get its mask in every frame.</p>", min_width=300)
        model = gr.Dropdown(
            _model_choices(),
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


def _model_choices() -> list[tuple[str, str]]:
    return [(f"{model.name} · {_availability(model)}", model.name) for model in available_models()]


def _availability(model: AvailableModel) -> str:
    if model.hub_id is None:
        return "included"
    return "downloaded" if model.on_disk else f"{model.download_bytes / 1e6:.0f} MB download"


def _lay_out_start(clips: list[Path]) -> _Start:
    with gr.Column(elem_id="start") as panel:
        gr.HTML("<h2>Choose a clip or a picture</h2>")
        examples = pick_list("examples", fragments.example_cards(clips))
        with gr.Row(elem_id="upload-row"):
            upload = gr.UploadButton(
                "Upload your own",
                file_types=["video", "image"],
                variant="primary",
                scale=0,
                min_width=190,
                elem_id="upload",
            )
            gr.HTML(fragments.note(fragments.UPLOADS))
        status = gr.HTML(elem_id="start-status")
        gr.HTML(fragments.STEPS)
    return _Start(panel, examples, upload, status)


def _lay_out_stage() -> _Stage:
    with gr.Column(scale=3, min_width=440, elem_id="stage"):
        with gr.Column() as frames:
            view = frame_view("frame")
        with gr.Column(visible=False) as player:
            video = gr.Video(
                autoplay=True, loop=True, show_label=False, interactive=False, buttons=[], elem_id="overlay"
            )
        with gr.Column(elem_id="timeline") as timeline:
            slider = gr.Slider(0, 1, value=0, step=1, label="Frame", container=False, buttons=[], elem_id="slider")
            ribbon = ribbon_view("ribbon")
            with gr.Row(elem_id="transport"):
                track = gr.Button("Track", variant="primary", scale=0, min_width=110, elem_id="track")
                cancel = gr.Button("Cancel", variant="stop", scale=0, min_width=110, visible=False, elem_id="cancel")
                directions = [("Both ways", "both"), ("Forward", "forward"), ("Backward", "backward")]
                direction = gr.Radio(
                    directions,
                    value="both",
                    label="Direction",
                    show_label=False,
                    container=False,
                    min_width=300,
                    elem_id="direction",
                )
                play = gr.Button("Play", scale=0, min_width=110, elem_id="play")
                back = gr.Button("Stop", scale=0, min_width=110, visible=False, elem_id="back")
        status = gr.HTML(elem_id="status")
    return _Stage(
        frames, view, timeline, slider, ribbon, player, video, track, cancel, direction, play, back, status
    )  # fmt: skip


def _lay_out_tools() -> _Tools:
    with gr.Column(scale=1, min_width=280, elem_id="tools"):
        with gr.Column(elem_classes="box"):
            objects = pick_list("objects")
            new_object = gr.Button("New object", size="sm", elem_id="new-object")
        with gr.Column(elem_classes="box"):
            kind = gr.Radio(
                [("+ This", THIS), ("− Not this", NOT_THIS)],
                value=THIS,
                label="A click says",
                show_label=False,
                container=False,
                elem_id="click-kind",
            )
            with gr.Row():
                undo = gr.Button("Undo", size="sm", min_width=50, interactive=False, elem_id="undo")
                redo = gr.Button("Redo", size="sm", min_width=50, interactive=False, elem_id="redo")
                clear = gr.Button("Clear frame", size="sm", min_width=80, elem_id="clear")
            candidates = pick_list("candidates")
        download = gr.Button("Download masks", elem_id="download")
        archive = gr.DownloadButton(elem_id="archive")
        leave = gr.Button("Another clip", elem_id="leave")
        with gr.Accordion("Mouse and keys", open=False):
            gr.HTML(fragments.HELP)
    return _Tools(objects, new_object, kind, candidates, undo, redo, clear, download, archive, leave)


def _wire(do: Callbacks, state: _State, top: _Top, start: _Start, studio: gr.Row, stage: _Stage, tools: _Tools) -> None:
    """Say who answers. Every listener is private: what scripts may call are the package and the command line."""
    shown: list[Any] = [
        stage.view, stage.slider, stage.ribbon, tools.objects, tools.candidates, tools.undo, tools.redo,
        state.frame, state.object_id,
    ]  # fmt: skip
    here = [state.token, state.frame, state.object_id]
    common: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    opened = [state.token, start.panel, studio, stage.timeline, start.status, *shown]
    start.examples.pick(do.open_example, [state.token, state.model], opened, **_SOME_AT_ONCE, **common)
    start.upload.upload(do.open_upload, [start.upload, state.token, state.model], opened, **_SOME_AT_ONCE, **common)
    playing = [stage.video, stage.player, stage.back, stage.frames, stage.play]
    tools.leave.click(do.leave, state.token, [state.token, start.panel, studio, stage.status], **common).then(
        do.stop_playing, None, playing, **common
    )

    seen = [*shown, *playing]
    stage.slider.input(do.seek, [state.token, stage.slider, state.object_id], seen, **_LATEST_ONLY, **common)
    stage.ribbon.seek(do.seek_in_ribbon, [state.token, state.object_id], seen, **_LATEST_ONLY, **common)
    stage.view.step(do.step, here, seen, **_LATEST_ONLY, **common)

    stage.view.prompt(do.prompt, [state.token, state.object_id, tools.kind], shown, **_EVERY_PRESS, **common)
    tools.candidates.pick(do.choose, here, shown, **_EVERY_PRESS, **common)
    tools.undo.click(do.undo, here, shown, **_EVERY_PRESS, **common)
    tools.redo.click(do.redo, here, shown, **_EVERY_PRESS, **common)
    tools.clear.click(do.clear, here, shown, **_EVERY_PRESS, **common)
    tools.new_object.click(do.new_object, here[:2], shown, **_EVERY_PRESS, **common)
    tools.objects.pick(do.pick_object, here[:2], shown, **_EVERY_PRESS, **common)
    tools.objects.remove(do.remove_object, here, shown, **_EVERY_PRESS, **common)

    buttons = [stage.track, stage.cancel]
    stage.track.click(do.stop_playing, None, playing, **common).then(
        do.track, [*here, stage.direction], [*buttons, stage.status, *shown], concurrency_limit=None, **common
    ).then(do.idle, None, buttons, **common)
    stage.cancel.click(do.cancel, state.token, None, queue=False, **common)

    stage.play.click(do.play, state.token, [stage.status, *playing], concurrency_limit=None, **common)
    stage.back.click(do.stop_playing, None, playing, **common)
    tools.download.click(
        do.download, state.token, [stage.status, tools.archive], concurrency_limit=None, **common
    ).success(None, None, None, js=_CLICK_DOWNLOAD, **common)

    top.model.change(  # the menu's input event comes twice
        do.change_model,
        [top.model, state.model, *here],
        [top.model, state.model, top.banner, top.status, *shown],
        concurrency_limit=None,
        **common,
    )
