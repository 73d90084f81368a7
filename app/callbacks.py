"""What happens when someone does something on the page. Every visitor's work is found by the token of their session."""

from __future__ import annotations

import functools
import html
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app import fragments
from app.background import Background, Progress, in_words
from app.results import write_results
from app.screen import Screen, Update, nothing, passing_frame, screen
from sam2_core.errors import ProtocolError, Sam2Error
from sam2_core.prompts import Point
from sam2_core.session import Session, SessionManager
from sam2_core.tracking.policies import Direction
from widgets.protocol import parse_index, parse_prompt

THIS, NOT_THIS = "this", "not this"
"""What a click says."""
_PICTURES_PER_SECOND = 8
"""Frames shown while tracking; more would only compete with the model for the processor."""

Values = tuple[Any, ...]


def told(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Tell the visitor what went wrong, in one sentence, and leave the page as it is."""

    @functools.wraps(callback)
    def once(*args: Any) -> Any:
        try:
            return callback(*args)
        except Sam2Error as error:
            return _tell(error)

    @functools.wraps(callback)
    def streaming(*args: Any) -> Iterator[Any]:
        try:
            yield from callback(*args)
        except Sam2Error as error:
            yield _tell(error)

    return streaming if inspect.isgeneratorfunction(callback) else once


def _tell(error: Sam2Error) -> Update:
    first, space, rest = str(error).partition(" ")
    text = (first.capitalize() if first.isalpha() else first) + space + rest
    gr.Warning(html.escape(text))  # Gradio shows messages as HTML, and they may quote the name of a visitor's file
    skip: Update = gr.skip()
    return skip


class Callbacks:
    """The page's event handlers; what they return is in the order of the outputs that ``page.py`` gives them.

    Args:
        manager: of all sessions.
        clips: the examples, in the order in which they are shown.
    """

    def __init__(self, manager: SessionManager, clips: Sequence[Path]) -> None:
        self._manager = manager
        self._clips = clips
        self._tokens: dict[str, str] = {}  # of open pages, to know whose session it is when one is left

    # Clips -------------------------------------------------------------------------------------------------------

    @told
    def open_example(self, token: str, model: str, event: gr.EventData, request: gr.Request) -> Iterator[Values]:
        """Open an example clip; the session that was open on this page ends."""
        place = parse_index(event._data, "pick")
        if not 0 <= place < len(self._clips):
            raise ProtocolError("there is no such example; reload the page.")
        yield from self._open(lambda: self._manager.open(self._clips[place], model), token, request)

    @told
    def open_upload(self, upload: str, token: str, model: str, request: gr.Request) -> Iterator[Values]:
        """Open what was uploaded."""
        yield from self._open(lambda: self._manager.ingest(Path(upload), model), token, request)

    def _open(self, opening: Callable[[], Session], token: str, request: gr.Request) -> Iterator[Values]:
        skip = gr.skip()
        yield skip, skip, skip, skip, fragments.note("Reading the clip …"), *nothing()
        try:
            session = opening()
        except Sam2Error:
            yield skip, skip, skip, skip, "", *nothing()
            raise
        self._manager.close(token)
        self._tokens[request.session_hash or ""] = session.token
        last = len(session.video) - 1
        first = screen(session, 0, session.new_object())._replace(slider=gr.update(value=0, maximum=max(last, 1)))
        is_video = gr.update(visible=not session.video.is_image)
        yield session.token, gr.update(visible=False), gr.update(visible=True), is_video, "", *first

    def leave(self, token: str) -> Values:
        """Back to the choice of a clip."""
        self._manager.close(token)
        return "", gr.update(visible=True), gr.update(visible=False), ""

    def unload(self, request: gr.Request) -> None:
        """The page was closed, or the connection dropped."""
        self._manager.detach(self._tokens.pop(request.session_hash or "", None))

    # Looking around ----------------------------------------------------------------------------------------------

    @told
    def seek(self, token: str, frame_index: float, object_id: int) -> Values:
        """Go to a frame, which ends playback."""
        return self._show_frame(token, int(frame_index), object_id)

    @told
    def seek_in_ribbon(self, token: str, object_id: int, event: gr.EventData) -> Values:
        """Go to the frame under the pointer."""
        return self._show_frame(token, parse_index(event._data, "frame"), object_id)

    @told
    def step(self, token: str, frame_index: int, object_id: int, event: gr.EventData) -> Values:
        """Go some frames on or back."""
        return self._show_frame(token, frame_index + parse_index(event._data, "by"), object_id)

    def _show_frame(self, token: str, frame_index: int, object_id: int) -> Values:
        return *screen(self._manager.get(token), frame_index, object_id), *self.stop_playing()

    # Prompts and objects -----------------------------------------------------------------------------------------

    @told
    def prompt(self, token: str, object_id: int, kind: str, event: gr.EventData) -> Screen:
        """A click or a box."""
        session, said = self._manager.get(token), parse_prompt(event._data)
        if isinstance(said.shape, Point):
            positive = said.shape.positive and kind != NOT_THIS
            session.add_point(object_id, said.frame_index, Point(said.shape.x, said.shape.y, positive))
        else:
            session.set_box(object_id, said.frame_index, said.shape)
        return screen(session, said.frame_index, object_id)

    @told
    def choose(self, token: str, frame_index: int, object_id: int, event: gr.EventData) -> Screen:
        """One of the candidates."""
        session = self._manager.get(token)
        session.choose(object_id, frame_index, parse_index(event._data, "pick"))
        return screen(session, frame_index, object_id)

    @told
    def undo(self, token: str, frame_index: int, object_id: int) -> Screen:
        """Take the last change back."""
        session = self._manager.get(token)
        session.undo()
        return screen(session, frame_index, object_id)

    @told
    def redo(self, token: str, frame_index: int, object_id: int) -> Screen:
        """Do it again."""
        session = self._manager.get(token)
        session.redo()
        return screen(session, frame_index, object_id)

    @told
    def clear(self, token: str, frame_index: int, object_id: int) -> Screen:
        """Take back what was said about the current object on this frame."""
        session = self._manager.get(token)
        session.clear(object_id, frame_index)
        return screen(session, frame_index, object_id)

    @told
    def new_object(self, token: str, frame_index: int) -> Screen:
        """The next prompt is about something else."""
        session = self._manager.get(token)
        return screen(session, frame_index, session.new_object())

    @told
    def pick_object(self, token: str, frame_index: int, event: gr.EventData) -> Screen:
        """The next prompt is about this object."""
        return screen(self._manager.get(token), frame_index, parse_index(event._data, "pick"))

    @told
    def remove_object(self, token: str, frame_index: int, object_id: int, event: gr.EventData) -> Screen:
        """Forget an object."""
        session, removed = self._manager.get(token), parse_index(event._data, "remove")
        session.remove_object(removed)
        if object_id == removed:
            object_id = session.object_ids[-1] if session.object_ids else session.new_object()
        return screen(session, frame_index, object_id)

    # Tracking ----------------------------------------------------------------------------------------------------

    @told
    def track(self, token: str, frame_index: int, object_id: int, direction: str) -> Iterator[Values]:
        """Track, showing masks as they come; then go back to the frame from which it was started."""
        session = self._manager.get(token)
        started, shown = time.monotonic(), 0.0
        tracking = gr.update(visible=False), gr.update(visible=True)
        step = None
        for step in session.track(Direction(direction)):
            if time.monotonic() - shown < 1 / _PICTURES_PER_SECOND:
                continue
            bar = fragments.progress_bar(Progress(step.done, step.total, started), "Tracking", "frame")
            yield (*tracking, bar, *passing_frame(session, step.result.frame_index, object_id))
            shown = time.monotonic()
        if step is None or step.done < step.total:
            end = "Cancelled. Finished masks are kept; track again whenever you like."
        else:
            end = f"Tracked {step.total} frames in {in_words(time.monotonic() - started)}."
        yield (*tracking, fragments.note(end), *screen(session, frame_index, object_id))

    def idle(self) -> Values:
        """Tracking is over, one way or another."""
        return gr.update(visible=True), gr.update(visible=False)

    @told
    def cancel(self, token: str) -> None:
        """Stop at the next frame."""
        self._manager.get(token).cancel()

    # Results -----------------------------------------------------------------------------------------------------

    @told
    def play(self, token: str) -> Iterator[Values]:
        """Show the clip with its masks, in place of the frame."""
        session, skip = self._manager.get(token), gr.skip()
        work = Background(lambda progress: write_results(session, progress))
        for progress in work.progress():
            yield fragments.progress_bar(progress, "Preparing playback", "frame"), skip, skip, skip, skip, skip
        shown, gone = gr.update(visible=True), gr.update(visible=False)
        frames = gr.update(visible="hidden")  # and not gone, for it is what listens to the keys
        yield "", str(work.result().overlay), shown, shown, frames, gone

    def stop_playing(self) -> Values:
        """Back to single frames."""
        shown, gone = gr.update(visible=True), gr.update(visible=False)
        return None, gone, gone, shown, shown

    @told
    def download(self, token: str) -> Iterator[Values]:
        """Make the zip; the page then presses the button that fetches it."""
        session, skip = self._manager.get(token), gr.skip()
        work = Background(lambda progress: write_results(session, progress))
        for progress in work.progress():
            yield fragments.progress_bar(progress, "Preparing the download", "frame"), skip
        yield "", str(work.result().archive)

    # Models ------------------------------------------------------------------------------------------------------

    @told
    def change_model(self, name: str, current: str, token: str, frame_index: int, object_id: int) -> Iterator[Values]:
        """Download and load a model where need be, then let it answer all prompts anew."""
        skip = gr.skip()
        if name == current:  # the menu went back to it
            yield skip, skip, skip, skip, *nothing()
            return
        work = Background(lambda progress: self._manager.models.get(name, progress))
        try:
            for progress in work.progress():
                yield skip, skip, skip, fragments.progress_bar(progress, f"Loading {name}"), *nothing()
            model = work.result()
            shown, tracked = nothing(), False
            if token:
                session = self._manager.get(token)
                tracked = any(len(masklet) > 1 for masklet in session.masklets().values())
                yield skip, skip, skip, fragments.note(f"Asking {name} again what you asked before …"), *nothing()
                session.use(name, model)
                shown = screen(session, frame_index, object_id)
        except Sam2Error:
            yield current, skip, skip, "", *nothing()
            raise
        told_loss = fragments.note("Your prompts were kept; tracked masks were the other model's: track again.")
        yield name, name, fragments.banner(name), told_loss if tracked else "", *shown
