"""What happens when someone does something on the page. Every visitor's work is found by the token of their session."""

from __future__ import annotations

import functools
import html
import inspect
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app import fragments
from app.background import Background
from app.results import annotation_of
from sam2_core.errors import ProtocolError, Sam2Error, SessionNotFound
from sam2_core.formats import find_export, import_masks
from sam2_core.session import Session, SessionManager
from sam2_core.session.commands import SetMask
from widgets.conversation import NO_SESSION, Conversation
from widgets.protocol import Message, error_message, parse_pick, reply_number

Update = dict[str, Any]
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
    gr.Warning(html.escape(error_message(error)["message"]))  # Gradio shows HTML, and this may quote a file's name
    skip: Update = gr.skip()
    return skip


def _value(messages: Sequence[Message]) -> str:
    """Messages as the canvas component takes them."""
    return json.dumps(messages, separators=(",", ":"))


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

    # The canvas --------------------------------------------------------------------------------------------------

    def said(self, event: gr.EventData, request: gr.Request) -> Iterator[str]:
        """Answer the canvas; news of tracking follow until it ends."""
        data = event._data if isinstance(event._data, Mapping) else {}
        token, message = data.get("token"), data.get("message")
        try:
            session = self._manager.get(token if isinstance(token, str) else "")
        except Sam2Error as error:
            yield _value(_without_session(message, error if token else None))
            return
        self._tokens[request.session_hash or ""] = session.token
        for batch in Conversation(session).answer(message):
            yield _value(batch)

    # Clips -------------------------------------------------------------------------------------------------------

    @told
    def open_example(self, token: str, model: str, event: gr.EventData) -> Iterator[Values]:
        """Open an example clip; the session that was open on this page ends."""
        place = parse_pick(event._data)
        if not 0 <= place < len(self._clips):
            raise ProtocolError("there is no such example; reload the page.")
        yield from self._open(token, lambda: self._manager.open(self._clips[place], model))

    @told
    def open_upload(self, token: str, uploads: list[str], model: str) -> Iterator[Values]:
        """Open what was uploaded; several pictures become a clip in the order of their names."""
        yield from self._open(token, lambda: self._manager.ingest(_one_path(uploads), model))

    @told
    def open_project(self, token: str, upload: str) -> Iterator[Values]:
        """Go on with a project that was saved here or elsewhere."""
        yield from self._open(token, lambda: self._manager.open_project(Path(upload)))

    def _open(self, token: str, opening: Callable[[], Session]) -> Iterator[Values]:
        yield gr.skip(), fragments.note("Reading the clip …")
        try:
            session = opening()
        except Sam2Error:
            yield gr.skip(), ""
            raise
        self._manager.close(token)
        yield _value([Conversation(session).state()]), ""

    def leave(self, token: str) -> Values:
        """End the session and go back to the choice of a clip."""
        self._manager.close(token)
        return _value([NO_SESSION]), ""

    def unload(self, request: gr.Request) -> None:
        """The page was closed, or the connection dropped: its session rests soon, and wakes when someone comes back."""
        self._manager.detach(self._tokens.pop(request.session_hash or "", None))

    # Masks in and out --------------------------------------------------------------------------------------------

    @told
    def export(self, token: str, name: str) -> Iterator[Values]:
        """Make a file of the masks; the page then presses the button that fetches it."""
        session, chosen = self._manager.get(token), find_export(name)
        annotation = annotation_of(session)
        path = session.folder / "exports" / chosen.file_name(annotation)
        yield from _made(path, lambda progress: chosen.write(annotation, path, progress), "Exporting", "frame")

    @told
    def save_project(self, token: str) -> Iterator[Values]:
        """Make a project file: all that was said and done, the masks, and the clip."""
        session = self._manager.get(token)
        path = session.folder / "exports" / f"{annotation_of(session).stem}-project.zip"
        yield from _made(path, lambda _: session.save_project(path), "Saving the project")

    @told
    def save_script(self, token: str) -> Iterator[Values]:
        """Write what was done as Python."""
        session = self._manager.get(token)
        path = session.folder / "exports" / f"{annotation_of(session).stem}.py"
        yield from _made(path, lambda _: path.write_text(session.script(), encoding="utf-8"), "Writing the script")

    @told
    def import_masks(self, token: str, upload: str) -> Iterator[Values]:
        """Take masks over as prompts: each is a frame that someone vouches for."""
        session, skip = self._manager.get(token), gr.skip()
        work = Background(lambda progress: import_masks(Path(upload), session.video, progress))
        for progress in work.progress():
            yield skip, fragments.progress_bar(progress, "Reading the masks", "frame")
        for object_id, masks in work.result().items():
            for frame_index, mask in masks.items():
                session.do(SetMask(object_id, frame_index, mask))
        yield _value([Conversation(session).state()]), fragments.note(f"Imported {len(work.result())} objects.")

    # Models ------------------------------------------------------------------------------------------------------

    @told
    def change_model(self, token: str, name: str, current: str) -> Iterator[Values]:
        """Download and load a model where need be, then let it answer all prompts anew."""
        skip = gr.skip()
        if name == current:  # the menu went back to it
            yield skip, skip, skip, skip, skip
            return
        work = Background(lambda progress: self._manager.models.get(name, progress))
        try:
            for progress in work.progress():
                yield skip, skip, skip, fragments.progress_bar(progress, f"Loading {name}"), skip
            model, shown = work.result(), skip
            if token:
                session = self._session_of(token)
                if session is not None:
                    yield skip, skip, skip, fragments.note(f"Asking {name} again what you asked before …"), skip
                    session.use(name, model)
                    shown = _value([Conversation(session).state()])
        except Sam2Error:
            yield current, skip, skip, "", skip
            raise
        yield name, name, fragments.banner(name), "", shown

    def _session_of(self, token: str) -> Session | None:
        try:
            return self._manager.get(token)
        except SessionNotFound:
            return None


def _without_session(message: object, error: Sam2Error | None) -> list[Message]:
    """What a canvas is told whose session is not there, or never was."""
    answer = {**NO_SESSION, "rid": reply_number(message)}
    return [answer] if error is None else [{"v": 1, **error_message(error)}, answer]


def _made(
    path: Path, work: Callable[[Callable[[int, int], None]], Any], doing: str, unit: str = ""
) -> Iterator[Values]:
    """A file for the visitor, told about while it is made."""
    path.parent.mkdir(exist_ok=True)
    making = Background(work)
    for progress in making.progress():
        yield fragments.progress_bar(progress, doing, unit), gr.skip()
    making.result()
    yield "", str(path)


def _one_path(uploads: Sequence[str]) -> Path:
    """What was uploaded, as one path: several files go into a folder."""
    if len(uploads) == 1:
        return Path(uploads[0])
    folder = Path(tempfile.mkdtemp(prefix="pictures-"))
    for place, upload in enumerate(sorted(uploads, key=lambda path: Path(path).name)):
        shutil.move(upload, folder / f"{place:05d}-{Path(upload).name}")
    return folder
