"""All sessions: who may open one, how they are found again, when they rest and when they end."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from sam2_core.errors import ProjectError, SessionLimit, SessionNotFound, VideoError
from sam2_core.media import open_video
from sam2_core.session.header import Header
from sam2_core.session.idle import IdleEncoder
from sam2_core.session.limits import Limits
from sam2_core.session.memory import Memory
from sam2_core.session.models import ModelPool
from sam2_core.session.places import Places, delete, size_of
from sam2_core.session.project import MEDIA, ProjectLimits, unpack_project, unpacked_bytes
from sam2_core.session.scheduler import Turns
from sam2_core.session.session import Session
from sam2_core.session.store import Store, StoreLimits, model_of

_BUSY_SECONDS = 60.0
"""A session that was used so lately is not sent to rest to make room for another one."""


class SessionManager:
    """Opens, finds and ends sessions; from any thread.

    A session lies on the disk from its first moment. While people are at work it is also in memory; when nobody has
    been for a while it goes to *rest*, and :meth:`get` brings it back as it was, also after a restart. It ends when it
    is closed, or after a long rest.

    Args:
        models: shared by all sessions.
        limits: what visitors may use.
        root: folder of all sessions; ``None`` makes a temporary one, which is deleted in the end.

    Attributes:
        turns: a context in which the device may be used, for one frame at a time.
        memory: what all sessions share.

    Raises:
        SessionLimit: another manager has this folder.
    """

    def __init__(self, models: ModelPool, limits: Limits | None = None, root: Path | None = None) -> None:
        self.models = models
        self.limits = limits or Limits()
        self._temporary = root is None
        self._places = Places(root or Path(tempfile.mkdtemp(prefix="masklet-")))
        self.turns = Turns()
        self.memory = Memory(self.limits)
        self._lock = threading.Lock()
        self._doors: WeakValueDictionary[str, threading.RLock] = WeakValueDictionary()
        self._sessions: dict[str, Session] = {}
        self._detached: set[str] = set()
        self._opening: set[str] = set()
        self._closing = threading.Event()
        self._idle = IdleEncoder(self._used_last)
        threading.Thread(target=self._reap, name="session reaper", daemon=True).start()

    def __len__(self) -> int:
        """Sessions in memory."""
        return len(self._sessions)

    # Opening -----------------------------------------------------------------------------------------------------

    def open(self, path: Path, model_name: str) -> Session:
        """A session on a clip that stays where it is.

        Raises:
            VideoError: the clip cannot be used.
            CheckpointError: the model cannot be had.
            SessionLimit: there are too many sessions.
        """
        token = secrets.token_urlsafe(24)
        with self._new_folder(token, 0) as folder:
            return self._begin(token, folder, model_name, path.absolute())

    def ingest(self, upload: Path, model_name: str) -> Session:
        """A session on an uploaded file or folder of pictures, which moves into the session and is deleted with it.

        Raises:
            VideoError: the clip cannot be used; it is deleted, as it is after every failure.
            CheckpointError: the model cannot be had.
            SessionLimit: there are too many sessions, or the clip is too large.
        """
        token, name = secrets.token_urlsafe(24), upload.name
        try:
            with self._new_folder(token, self._checked_size(upload)) as folder:
                shutil.move(upload, folder / name)  # a clip that cannot be used is called by its name
                try:
                    open_video(folder / name, limits=self.limits.media).close()
                finally:
                    (folder / name).rename(folder / MEDIA)
                return self._begin(token, folder, model_name, None, name)
        except BaseException as error:
            delete(upload)
            if isinstance(error, OSError):
                raise VideoError("the upload did not arrive whole; upload it again.") from error
            raise

    def open_project(self, upload: Path, clip: Path | None = None) -> Session:
        """A session from a project file, which is deleted.

        Args:
            upload: the project file; it may come from anyone.
            clip: for a project that has no clip in it.

        Raises:
            ProjectError: it is not a project file, is damaged or too large, or has no clip in it and none was given.
            VideoError: the clip in it cannot be used.
            CheckpointError: its model cannot be had.
            SessionLimit: there are too many sessions.
        """
        token = secrets.token_urlsafe(24)
        bounds = ProjectLimits(self.limits.log_bytes, self.limits.session_bytes, self.limits.upload_bytes)
        try:
            with self._new_folder(token, unpacked_bytes(upload, bounds)) as folder:
                header = unpack_project(upload, folder, bounds)
                if clip is not None:
                    replace(header, media=str(clip.absolute())).write(folder)
                elif not (folder / MEDIA).exists():
                    raise ProjectError(f"this project has no clip in it; open it together with {header.name!r}.")
                return self._begin_again(token, folder)
        except OSError as error:
            raise ProjectError("the project did not arrive whole; upload it again.") from error
        finally:
            upload.unlink(missing_ok=True)

    # Finding -----------------------------------------------------------------------------------------------------

    def get(self, token: str | None) -> Session:
        """The session of this token, which counts as used; one that rests is brought back.

        Raises:
            SessionNotFound: it has ended, or never was.
            ProjectError: what is on the disk is damaged.
            VideoError: its clip is gone.
            SessionLimit: it rests, and all places are taken.
        """
        token = token or ""
        session = self._awake(token)
        if session is None:
            with self._door(token):  # of two that come back at once, one finds it in memory
                session = self._awake(token) or self._wake(token)
        return session

    def detach(self, token: str | None) -> None:
        """The page of this session was left; it goes to rest soon unless someone comes back."""
        with self._lock:
            if token in self._sessions:
                self._detached.add(token)

    # Ending ------------------------------------------------------------------------------------------------------

    def close(self, token: str | None) -> None:
        """End a session for ever; nothing happens where there is none."""
        token = token or ""
        with self._door(token):
            self._rest(token)
            self._places.delete(token)

    def sweep(self) -> None:
        """Send those to rest that were not used for too long, and end those that have rested for too long."""
        for token, since in self._away(detached=self.limits.detached_seconds, idle=self.limits.idle_seconds):
            self._rest(token, since)
        while self.memory.full and self._rest_one():
            pass
        self._places.delete_older(self.limits.kept_seconds, keep=self._tokens())

    def shut_down(self) -> None:
        """Send all to rest; sessions in a temporary folder end."""
        self._closing.set()
        self._idle.stop()
        for token in self._tokens():
            self._rest(token)
        if self._temporary:
            self._places.delete_all()
        self._places.release()

    # How ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _new_folder(self, token: str, nbytes: int) -> Iterator[Path]:
        """A folder that is gone again if anything fails."""
        self.sweep()
        self._make_room()
        with self._kept(token):
            self._places.make_room(nbytes, self.limits.total_bytes, keep=self._tokens())
            try:
                yield self._places.make(token)
            except BaseException:
                self._places.delete(token)
                raise

    @contextmanager
    def _kept(self, token: str) -> Iterator[None]:
        """Meanwhile this session's folder does not make room for others."""
        with self._lock:
            self._opening.add(token)
        try:
            yield
        finally:
            with self._lock:
                self._opening.discard(token)

    def _door(self, token: str) -> threading.RLock:
        """Held while a session wakes, goes to rest or ends: two must never write the same files.

        Every session has its own, so that nobody waits for somebody else's. Whoever holds one takes no other but those
        of sessions in memory, which the session behind the first one is not.
        """
        with self._lock:
            return self._doors.setdefault(token, threading.RLock())

    def _tokens(self) -> set[str]:
        """Of all sessions that are in memory, or on their way."""
        with self._lock:
            return {*self._sessions, *self._opening}

    def _begin(self, token: str, folder: Path, model_name: str, media: Path | None, name: str | None = None) -> Session:
        """Open what is in a folder, or begin there."""
        with ExitStack() as undo:
            video = open_video(media or folder / MEDIA, limits=self.limits.media)
            undo.callback(video.close)
            video.name = name or video.name
            header = Header.of(video, folder, media)
            video.name = header.name
            video.frame_names = header.frame_names
            self.memory.require(sum(size_of(folder / name) for name in (header.commands_file, header.masks_file)))
            store = Store(folder, header, StoreLimits(self.limits.session_bytes, self.limits.log_bytes))
            undo.callback(store.close)
            model = self.models.get(model_of(store.commands) or model_name)
            session = Session(token, video, store, model, self.turns, self.limits, self.memory)
            undo.callback(session.close)
            session.begin_with(model_name)
            self._take_in(session)
            undo.pop_all()
        return session

    def _awake(self, token: str) -> Session | None:
        """The session, which counts as used, if it is in memory."""
        with self._lock:
            session = self._sessions.get(token)
            if session is not None:
                self._detached.discard(token)
                session.touch()
            return session

    def _wake(self, token: str) -> Session:
        with self._kept(token):
            folder = self._places.find(token)
            if folder is None:
                raise SessionNotFound("this session has ended, after a long pause; open the clip again.")
            self._make_room()
            return self._begin_again(token, folder)

    def _begin_again(self, token: str, folder: Path) -> Session:
        media = Header.read(folder).media
        return self._begin(token, folder, "", None if media is None else Path(media))

    def _take_in(self, session: Session) -> None:
        with self._lock:
            if len(self._sessions) >= self.limits.sessions:  # others may have come while the clip was read
                raise SessionLimit(f"all {self.limits.sessions} places are taken; try again in a few minutes.")
            self._sessions[session.token] = session
            self._detached.discard(session.token)

    def _make_room(self) -> None:
        """Send whoever was away longest to rest, while all memory is taken, or all places."""
        while self.memory.full and self._rest_one():
            pass
        if len(self._sessions) >= self.limits.sessions and not self._rest_one():
            raise SessionLimit(f"all {self.limits.sessions} places are taken; try again in a few minutes.")

    def _rest_one(self) -> bool:
        """Send whoever was away longest to rest; whether anyone was away."""
        away = self._away(detached=_BUSY_SECONDS / 6, idle=_BUSY_SECONDS)
        if away:
            self._rest(*away[0])
        return bool(away)

    def _away(self, *, detached: float, idle: float) -> list[tuple[str, float]]:
        """Tokens of those that were not used for so long, and since when, whoever was away longest first."""
        now = time.monotonic()
        with self._lock:
            touched = {token: session.touched for token, session in self._sessions.items()}
            away = [(t, since) for t, since in touched.items() if now - since >= self._patience(t, detached, idle)]
        return sorted(away, key=lambda each: each[1])

    def _patience(self, token: str, detached: float, idle: float) -> float:
        return detached if token in self._detached else idle

    def _used_last(self) -> Session | None:
        with self._lock:
            return max(self._sessions.values(), key=lambda session: session.touched, default=None)

    def _rest(self, token: str, touched: float | None = None) -> None:
        """Take a session from memory, unless someone was at work there after it was ``touched``."""
        with self._door(token), self._kept(token):  # whoever comes back meanwhile waits
            with self._lock:
                session = self._sessions.get(token)
                if session is None or touched not in (None, session.touched):
                    return
                del self._sessions[token]
                self._detached.discard(token)
            session.close()

    def _checked_size(self, upload: Path) -> int:
        size = size_of(upload)
        if size > self.limits.upload_bytes:
            raise SessionLimit(
                f"a clip may have {self.limits.upload_bytes / 1e6:.0f} MB, this one has {size / 1e6:.0f} MB; "
                "cut it or scale it down first."
            )
        return size

    def _reap(self) -> None:
        while not self._closing.wait(min(self.limits.detached_seconds, self.limits.idle_seconds) / 4):
            with contextlib.suppress(Exception):  # one session that cannot be ended must not keep all others alive
                self.sweep()
