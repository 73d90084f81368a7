"""One clip that someone is working on."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from sam2_core.errors import ProjectError, PromptError, SessionNotFound
from sam2_core.media import Video
from sam2_core.model import SAM2
from sam2_core.prompts import Point
from sam2_core.results import ObjectMask
from sam2_core.session.commands import Command, EditObject, Redo, Track, Undo, UseModel
from sam2_core.session.document import Document
from sam2_core.session.editor import Editor
from sam2_core.session.folder_lock import FolderLock
from sam2_core.session.header import Header
from sam2_core.session.job import Job, Progress
from sam2_core.session.limits import UNSHARED, Limits, TokenBucket, cost
from sam2_core.session.memory import Memory
from sam2_core.session.news import News
from sam2_core.session.project import MEDIA, write_project
from sam2_core.session.propagation import Propagation
from sam2_core.session.scheduler import Turns
from sam2_core.session.script import python_script
from sam2_core.session.store import Store


class Session:
    """A video, what people do to it, and the masks that come of it; from any thread.

    Whatever is read comes from :attr:`document`, which is immutable and replaced as a whole: reading never waits.
    Changes are made one at a time by :meth:`do`. Tracking is a :class:`Job` that holds the device for one frame at a
    time; until it ends, only :class:`EditObject` is accepted. Every command and every mask is on the disk when others
    can see it.

    Args:
        token: the name by which the manager finds it.
        video: closed with the session.
        store: the session's files.
        model: shared with other sessions.
        turns: for the device that the model is on.
        limits: what its user may use.
        memory: shared with other sessions; ``None`` where there are none.

    Attributes:
        playhead: the frame that people look at, around which frames are encoded ahead.
        touched: when someone last was at work here, on the monotonic clock, in seconds.
    """

    def __init__(
        self,
        token: str,
        video: Video,
        store: Store,
        model: SAM2,
        turns: Turns,
        limits: Limits | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.token = token
        self.video = video
        self.folder = store.folder
        self.playhead = 0
        self.touched = time.monotonic()
        self.news = News()
        self._limits = limits or Limits()
        self._turns = turns
        self._editor = Editor(video, model, store, turns, self._limits, memory or Memory(self._limits))
        self._lock = threading.RLock()
        self._job: Job | None = None
        self._closed = False
        self._temporary: Path | None = None
        self._claim: FolderLock | None = None
        self._commands = TokenBucket(self._limits.commands_per_second, "commands")
        self._previews = TokenBucket(self._limits.previews_per_second, "previews")

    @classmethod
    def alone(
        cls,
        video: Video,
        model_name: str,
        model: SAM2,
        folder: Path | None = None,
        *,
        media: Path | None = None,
        turns: Turns | None = None,
        limits: Limits | None = None,
    ) -> Session:
        """A session without a manager, for scripts and notebooks.

        Args:
            video: closed with the session.
            model_name: of ``model``.
            model: in evaluation mode.
            folder: where it is kept, and found again; ``None`` keeps it in a temporary folder until it is closed.
            media: where the clip is, a file or a folder, so that projects can take it along.
            turns: for the device that the model is on, where others use it, too.
            limits: what may be used; by default, whoever works alone may be as quick as they like.

        Raises:
            SessionLimit: another program works in this folder.
            ProjectError: what is in the folder is damaged, or about another clip, or nothing can be kept there.
        """
        place = Path(tempfile.mkdtemp(prefix="masklet-")) if folder is None else folder
        with ExitStack() as undo:
            claim = _claimed(place)
            undo.callback(claim.release)
            store = Store(place, Header.of(video, place, media))
            undo.callback(store.close)
            session = cls(secrets.token_urlsafe(24), video, store, model, turns or Turns(), limits or UNSHARED)
            session.begin_with(model_name)
            undo.pop_all()
        session._claim = claim
        session._temporary = place if folder is None else None
        return session

    def begin_with(self, model_name: str) -> None:
        """Note which model answers, where that is not known yet."""
        if not self._editor.store.commands:
            self._editor.use(UseModel(model_name))

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What there is -----------------------------------------------------------------------------------------------

    @property
    def document(self) -> Document:
        """All objects with their properties, prompts and masks, as they are now."""
        return self._editor.document

    @property
    def model_name(self) -> str:
        """Of the model in use."""
        return self._editor.model_name

    @property
    def media(self) -> Path | None:
        """Where the clip is, a file or a folder; ``None`` where it is in memory only."""
        header = self._editor.store.header
        path = self.folder / MEDIA if header.media is None else Path(header.media)
        return path if path.exists() else None

    @property
    def job(self) -> Job | None:
        """Tracking that goes on or went on last."""
        return self._job

    @property
    def tracking(self) -> bool:
        """Whether masks are being made right now, or could be if the job were resumed."""
        return self._job is not None and not self._job.over

    @property
    def revision(self) -> int:
        """A number that grows with every change."""
        return self.news.revision

    @property
    def can_undo(self) -> bool:
        """Whether :class:`Undo` would do something."""
        return self._editor.steps.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether :class:`Redo` would do something."""
        return self._editor.steps.can_redo

    def candidates(self, object_id: int, frame_index: int) -> tuple[ObjectMask, ...]:
        """The three masks that a single click may have meant; none where the prompt is not ambiguous."""
        with self._open():
            return self._editor.candidates(object_id, frame_index)

    def preview(self, object_id: int, frame_index: int, point: Point) -> ObjectMask:
        """The mask that one more click would give; nothing is changed.

        Raises:
            PromptError: the click is not in the clip, or tracking is going on.
            SessionLimit: previews are asked for too fast.
        """
        self._previews.take()
        with self._changing():
            return self._editor.preview(object_id, frame_index, point)

    # What people do ----------------------------------------------------------------------------------------------

    def do(self, command: Command) -> None:
        """Do what a person wants; :class:`Track` begins a job and does not wait for it.

        Raises:
            PromptError: the command does not fit, or tracking is going on; nothing has changed.
            SessionLimit: there are too many objects, prompts or bytes, or commands come too fast; nothing has changed.
            SessionNotFound: the session is closed.
        """
        self._commands.take(cost(command))
        match command:
            case Track():
                self.track(command)
            case Undo():
                self._change(self._editor.undo)
            case Redo():
                self._change(self._editor.redo)
            case UseModel():
                raise PromptError("a model is changed by Session.use, which is given the model.")
            case EditObject():
                with self._open():
                    self._editor.edit(command)
                self.news.tell()
            case _:
                self._change(lambda: self._editor.edit(command))

    def track(self, command: Track | None = None) -> Job:
        """Begin to track; raises as :meth:`do` does."""
        with self._changing():
            propagation = self._editor.begin(command or Track())
            self._job = Job(
                step=lambda: self._advance(propagation),
                total=propagation.remaining(self.document),
                tell=self.news.tell,
                finish=lambda: self._end(propagation),
            )
            self.news.tell()
            return self._job

    def wait_for_job(self, seconds: float | None = None) -> Progress | None:
        """Wait until tracking ends, or for so long; how far it is then, ``None`` where nothing was ever tracked."""
        return self._job.wait(seconds) if self._job else None

    def use(self, model_name: str, model: SAM2) -> None:
        """Go on with another model: it answers all prompts anew, and tracked masks are gone, as is the way back.

        If that fails, everything is as before.
        """
        self._commands.take(cost(UseModel(model_name)))
        with self._changing():
            before = self._editor
            self._editor = before.anew(model_name, model)
            before.close()
            before.store.delete()
            self.news.tell(range(len(self.video)))

    def touch(self) -> None:
        """Someone is still at work here."""
        self.touched = time.monotonic()

    def encode_ahead(self) -> bool:
        """Encode one frame near the playhead, if nobody needs the device or this session; whether there was one."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return not self._closed and not self.tracking and self._editor.encode_near(self.playhead)
        finally:
            self._lock.release()

    # What is taken home ------------------------------------------------------------------------------------------

    def save_project(self, path: Path) -> None:
        """Write a project file of how things are now, with the clip in it where that is on the disk.

        Work goes on meanwhile.

        Raises:
            SessionLimit: the disk does not take it.
        """
        with self._open():
            moment, media = self._editor.store.moment(), self.media
        with moment:
            write_project(moment, path, media)

    def script(self, clip: str | None = None) -> str:
        """A Python script that does it all again, with the clip at this path, or beside it under its own name."""
        with self._open():
            editor = self._editor
            return python_script(clip or self.video.name, editor.model_name, editor.tracker.model, editor.in_force())

    def close(self) -> None:
        """End work here once the frame in work is finished; what is on the disk stays, unless it was temporary."""
        with self._lock:
            self._closed = True  # nothing new begins, and what goes on may end
        job = self._job
        if job is not None:
            job.cancel()
            job.wait()
        with self._lock:
            self._editor.close()
            self.video.close()
        self.news.tell()
        if self._claim is not None:
            self._claim.release()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    # How ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise SessionNotFound("this session has ended; open the clip again.")
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._open():
            if self.tracking:
                raise PromptError(
                    "tracking is going on: cancel it, or wait until it is finished, and then do this again."
                )
            yield

    def _change(self, change: Callable[[], None]) -> None:
        with self._changing():
            before = self.document
            change()
            self.news.tell(self.document.frames_unlike(before))

    def _advance(self, propagation: Propagation) -> tuple[int, int] | None:
        """One frame. The lock is not held meanwhile: only the job works with the tracker, and it waits for its turn."""
        with self._lock:
            self.touch()
            for object_id in propagation.object_ids:
                self._editor.wake(object_id)
        change = propagation.step(self.document)
        if change is None:
            return None
        with self._lock:
            self._editor.take(propagation, change)
            self.news.note((change.frame_index,))
            return change.frame_index, propagation.remaining(self.document)

    def _end(self, propagation: Propagation) -> None:
        with self._lock:
            self._editor.end(propagation)


def _claimed(folder: Path) -> FolderLock:
    """A folder to keep a session in, which is made where it is not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FolderLock(folder)
    except OSError as error:
        reason = error.strerror or error
        raise ProjectError(
            f"a session cannot be kept in {str(folder)!r} ({reason}); choose a folder that can be written to."
        ) from error
