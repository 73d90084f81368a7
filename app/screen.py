"""What a session looks like: the values of everything on the page that shows it."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app import fragments
from sam2_core.errors import VideoError
from sam2_core.session import Session
from widgets.pictures import annotated_frame, data_url
from widgets.ribbon import score_ribbon

Update = dict[str, Any]
"""What Gradio takes for a change of a component."""


class Screen(NamedTuple):
    """Values in the order of the page's outputs.

    Attributes:
        view: the frame.
        slider: where in the clip.
        ribbon: scores of all frames.
        objects: with their scores on this frame.
        candidates: to choose from, if the prompt was ambiguous.
        undo: button.
        redo: button.
        current_frame: that is shown.
        current_object: to which prompts belong.
    """

    view: dict[str, Any] | Update
    slider: int | Update
    ribbon: str | Update
    objects: str | Update
    candidates: str | Update
    undo: Update
    redo: Update
    current_frame: int | Update
    current_object: int | Update


def screen(session: Session, frame_index: int, object_id: int) -> Screen:
    """All of it, for one frame and with one object chosen; a frame beyond the clip becomes its nearest one."""
    frame_index = min(max(frame_index, 0), len(session.video) - 1)
    frame = session.video[frame_index]
    result, prompts = session.result(frame_index), session.prompts(frame_index)
    object_ids = session.object_ids if object_id in session.object_ids else (*session.object_ids, object_id)
    prompt = prompts.get(object_id)
    return Screen(
        view={"frame": frame_index, "picture": data_url(annotated_frame(frame, result, prompts))},
        slider=frame_index,
        ribbon=ribbon(session, frame_index),
        objects=fragments.object_list(object_ids, object_id, result.objects),
        candidates=fragments.candidate_cards(
            frame, session.candidates(object_id, frame_index), prompt.candidate if prompt else None
        ),
        undo=gr.update(interactive=session.can_undo),
        redo=gr.update(interactive=session.can_redo),
        current_frame=frame_index,
        current_object=object_id,
    )


def ribbon(session: Session, frame_index: int) -> str:
    """The score ribbon with its playhead at a frame; a picture has none."""
    if session.video.is_image:
        return ""
    return score_ribbon(session.masklets(), session.prompted_frames(), len(session.video), frame_index)


def passing_frame(session: Session, frame_index: int, object_id: int) -> Screen:
    """Only what changes while masks stream in."""
    result = session.result(frame_index)
    try:
        frame = session.video[frame_index]
    except VideoError:  # the session was ended meanwhile; the next step says so
        return nothing()
    return nothing()._replace(
        view={
            "frame": frame_index,
            "picture": data_url(annotated_frame(frame, result, session.prompts(frame_index)), 75),
        },
        slider=frame_index,
        ribbon=ribbon(session, frame_index),
        objects=fragments.object_list(session.object_ids, object_id, result.objects),
    )


def nothing() -> Screen:
    """Leave all as it is."""
    skip = gr.skip()
    return Screen(*[skip] * len(Screen._fields))
