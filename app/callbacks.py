"""What happens when someone does something on the page. Every visitor's work is found by the token of their session."""

from __future__ import annotations

import functools
import html
import itertools
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app import fragments, menus
from app.background import Background
from app.results import bounded, make_file
from app.routes import export_url
from sam2_core.errors import ProtocolError, Sam2Error, SessionLimit, SessionNotFound, VideoError
from sam2_core.formats import find_export, import_masks
from sam2_core.media import PICTURE_SUFFIXES
from sam2_core.session import Session, SessionManager
from sam2_core.session.commands import ImportMasks
from widgets.annotation import annotation_of
from widgets.conversation import NO_SESSION, Conversation
from widgets.protocol import Message, error_message, parse_pick, reply_number, to_json

SKIP = gr.skip()
Values = tuple[Any, ...]
Callback = Callable[..., Iterator[Any]]
_NOTHING_AROUND: Values = (SKIP,) * 5
_NOTHING_OPENED: Values = (SKIP, "", *_NOTHING_AROUND)


def told(cleared: Any) -> Callable[[Callback], Callback]:
    """Tell the visitor what went wrong, in one sentence.

    Args:
        cleared: what the page shows then: all as it was, and no progress any more.
    """

    def telling(callback: Callback) -> Callback:
        @functools.wraps(callback)
        def told_callback(*args: Any) -> Iterator[Any]:
            try:
                yield from callback(*args)
            except Sam2Error as error:
                _warn(error)
                yield cleared

        return told_callback

    return telling


def _warn(error: Sam2Error) -> None:
    gr.Warning(html.escape(error_message(error)["message"]))  # Gradio shows HTML, and this may quote a file's name


def _value(messages: Sequence[Message], token: object = None) -> str:
    """Messages as the canvas component takes them.

    Args:
        messages: for the canvas.
        token: of the session that they are about; news of a session that was left in the meantime are dropped. Without
            it they open another one.
    """
    return to_json({"token": token, "messages": messages})


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
            if token:
                _warn(error)
            yield _value(_without_session(message, error), token)
            return
        self._tokens[request.session_hash or ""] = session.token
        for batch in Conversation(session).answer(message):
            yield _value(batch, token)

    def attach(self, token: str, format_name: str) -> Values:
        """The page was loaded: all that lies around the canvas suits the session of this tab, if there is one."""
        try:
            return _around(self._manager.get(token), format_name)
        except Sam2Error:  # which the canvas is told
            return _NOTHING_AROUND

    def unload(self, request: gr.Request) -> None:
        """The page was closed, or the connection dropped: its session rests soon, and wakes when someone comes back."""
        self._manager.detach(self._tokens.pop(request.session_hash or "", None))

    # Clips -------------------------------------------------------------------------------------------------------

    @told(_NOTHING_OPENED)
    def open_example(self, token: str, model: str, event: gr.EventData) -> Iterator[Values]:
        """Open an example clip; the session that was open on this page ends."""
        place = parse_pick(event._data)
        if not 0 <= place < len(self._clips):
            raise ProtocolError("there is no such example; reload the page.")
        yield from self._open(token, lambda: self._manager.open(self._clips[place], model))

    @told(_NOTHING_OPENED)
    def open_upload(self, token: str, uploads: list[str], model: str) -> Iterator[Values]:
        """Open what was uploaded; several pictures become a clip in the order of their names."""
        with tempfile.TemporaryDirectory(prefix="masklet-upload-") as folder:
            yield from self._open(token, lambda: self._manager.ingest(_one_path(uploads, Path(folder)), model))

    @told(_NOTHING_OPENED)
    def open_project(self, token: str, upload: str) -> Iterator[Values]:
        """Go on with a project that was saved here or elsewhere."""
        yield from self._open(token, lambda: self._manager.open_project(Path(upload)))

    def _open(self, token: str, opening: Callable[[], Session]) -> Iterator[Values]:
        yield SKIP, fragments.note("Reading the clip …"), *_NOTHING_AROUND
        session = opening()
        yield _value([Conversation(session).state()]), "", *_around(session)
        self._manager.close(token)

    # Masks in and out --------------------------------------------------------------------------------------------

    @told("")
    def export(self, token: str, name: str) -> Iterator[str]:
        """Make a file of the masks."""
        session, chosen = self._manager.get(token), find_export(name)
        revision, annotation = session.revision, annotation_of(session)
        most_bytes = self._manager.limits.session_bytes

        def write(path: Path, progress: Callable[[int, int], None]) -> None:
            chosen.write(annotation, path, bounded(progress, session, most_bytes))

        made = _File(chosen.file_name(annotation), write, revision, fragments.contents(annotation))
        yield from _making(session, made, "Exporting", "frame")

    @told("")
    def save_project(self, token: str) -> Iterator[str]:
        """Make a project file: all that was said and done, the masks, and the clip."""
        session = self._manager.get(token)
        revision, annotation = session.revision, annotation_of(session)
        name, holds = f"{annotation.stem}-project.zip", fragments.contents(annotation)
        made = _File(name, lambda path, _: session.save_project(path), revision, holds)
        yield from _making(session, made, "Saving the project")

    @told("")
    def save_script(self, token: str) -> Iterator[str]:
        """Write what was done as Python."""
        session = self._manager.get(token)
        revision, script, name = session.revision, session.script(), f"{annotation_of(session).stem}.py"
        made = _File(name, lambda path, _: path.write_text(script, encoding="utf-8"), revision)
        yield from _making(session, made, "Writing the script")

    @told((SKIP, ""))
    def import_masks(self, token: str, upload: str) -> Iterator[Values]:
        """Take masks that were made elsewhere as new objects."""
        session = self._manager.get(token)
        reading = Background(lambda progress: import_masks(Path(upload), session.video, progress))
        for progress in reading.progress():
            yield SKIP, fragments.progress_bar(progress, "Reading the masks", "frame")
        masklets = reading.result()
        session.do(ImportMasks.of(masklets, session.document.next_object_id))
        masks, objects = sum(map(len, masklets.values())), len(masklets)
        done = f"Imported masks: {masks}, new objects: {objects}. Undo takes them back."
        yield _value([Conversation(session).state()], token), fragments.note(done)

    # Models ------------------------------------------------------------------------------------------------------

    def change_model(self, token: str, name: str, current: str) -> Iterator[Values]:
        """Download and load a model where need be, then let it answer all prompts anew."""
        if name == current:  # the menu went back to it
            yield SKIP, SKIP, SKIP, SKIP, SKIP
            return
        yield from told((current, SKIP, SKIP, "", SKIP))(self._change_model)(token, name)

    def _change_model(self, token: str, name: str) -> Iterator[Values]:
        loading = Background(lambda progress: self._manager.models.get(name, progress))
        for progress in loading.progress():
            yield SKIP, SKIP, SKIP, fragments.progress_bar(progress, f"Loading {name}"), SKIP
        model, state = loading.result(), SKIP
        session = self._session_of(token)
        if session is not None:
            yield SKIP, SKIP, SKIP, fragments.note(f"Asking {name} again what you asked before …"), SKIP
            session.use(name, model)
            state = _value([Conversation(session).state()], token)
        yield *_model_shown(name), "", state

    def _session_of(self, token: str) -> Session | None:
        try:
            return self._manager.get(token)
        except SessionNotFound:
            return None


def _around(session: Session, format_name: str = "") -> Values:
    """Format menu, with the format that was chosen before, what was said of files, and :func:`_model_shown`."""
    formats = menus.formats(session.video)
    chosen = format_name if format_name in [name for _, name in formats] else formats[0][1]
    return gr.update(choices=formats, value=chosen), "", *_model_shown(session.model_name)


def _model_shown(name: str) -> Values:
    """Model menu, its last value, and the banner."""
    choices = menus.models()  # by now it may have been downloaded
    return gr.update(choices=choices, value=name), name, fragments.banner(name)


def _without_session(message: object, error: Sam2Error) -> list[Message]:
    """What a canvas is told whose session is not there; while all places are taken, it may come back."""
    rid = reply_number(message)
    return [
        {"v": 1, "rid": rid, **error_message(error)} if isinstance(error, SessionLimit) else NO_SESSION | {"rid": rid}
    ]


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is made for a visitor: how, of which revision of the session, and what it holds, in words."""

    name: str
    write: Callable[[Path, Callable[[int, int], None]], object]
    revision: int
    holds: str = ""


def _making(session: Session, file: _File, doing: str, unit: str = "") -> Iterator[str]:
    """How far the making of a file is, and in the end a link to it, which the page follows."""
    making = Background(lambda progress: make_file(session, file.name, lambda path: file.write(path, progress)))
    for progress in making.progress():
        yield fragments.progress_bar(progress, doing, unit)
    nbytes, is_old = making.result().stat().st_size, session.revision > file.revision
    yield fragments.download(export_url(session, file.name), file.name, nbytes, file.holds, file.revision, is_old)


def _one_path(uploads: Sequence[str], folder: Path) -> Path:
    """What was uploaded, as one path: several pictures go into a folder, in the order that people expect."""
    if len(uploads) == 1:
        return Path(uploads[0])
    if not all(Path(upload).suffix.lower() in PICTURE_SUFFIXES for upload in uploads):
        raise VideoError("several files open as one clip only if all of them are pictures; upload a video alone.")
    together = folder / f"{len(uploads)} pictures"
    together.mkdir()
    taken: set[str] = set()
    for upload in map(Path, uploads):
        name = _free_name(upload.name.lstrip("."), taken)
        taken.add(name.casefold())
        upload.rename(together / name)
    return together


def _free_name(name: str, taken: Container[str]) -> str:
    """A picture's own name, by which exports and complaints call it; the second one of its name says so."""
    stem, suffix = Path(name).stem, Path(name).suffix
    names = itertools.chain((name,), (f"{stem} ({place}){suffix}" for place in itertools.count(2)))
    return next(free for free in names if free.casefold() not in taken)
