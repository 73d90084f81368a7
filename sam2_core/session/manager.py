"""All sessions: who may open one, how they are found again, and when they end."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sam2_core.errors import SessionLimit, SessionNotFound, VideoError
from sam2_core.media import MediaLimits, open_video
from sam2_core.session.models import ModelPool
from sam2_core.session.scheduler import Turns
from sam2_core.session.session import Session


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what visitors may use.

    Attributes:
        sessions: at a time.
        objects: in one session, at a time.
        media: of one clip.
        upload_bytes: of one clip that was uploaded.
        total_bytes: of all uploaded clips that are open.
        idle_seconds: after which a session that nobody uses ends.
        detached_seconds: the same for one whose page was left; a dropped connection looks like that, too.
    """

    sessions: int = 32
    objects: int = 16
    media: MediaLimits = field(default_factory=lambda: MediaLimits(frames=10_000))
    upload_bytes: int = 500 * 10**6
    total_bytes: int = 8 * 10**9
    idle_seconds: float = 1800
    detached_seconds: float = 300


@dataclass(slots=True)
class _Place:
    """A session and what belongs to it."""

    session: Session
    upload_bytes: int
    detached: bool = False


class SessionManager:
    """Opens, finds and ends sessions; from any thread.

    Args:
        models: shared by all sessions.
        limits: what visitors may use.
    """

    def __init__(self, models: ModelPool, limits: Limits | None = None) -> None:
        self.models = models
        self.limits = limits or Limits()
        self._turns = Turns()
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._closing = threading.Event()
        threading.Thread(target=self._reap, name="session reaper", daemon=True).start()

    def __len__(self) -> int:
        """Sessions that are open."""
        return len(self._places)

    def open(self, path: Path, model_name: str) -> Session:
        """A session on a clip that stays where it is.

        Raises:
            VideoError: the clip cannot be used.
            CheckpointError: the model cannot be had.
            SessionLimit: there are too many sessions.
        """
        return self._open(path, model_name, _make_folder(), upload_bytes=0)

    def ingest(self, upload: Path, model_name: str) -> Session:
        """A session on an uploaded clip: it moves to a place of its own and is deleted when the session ends.

        Raises:
            VideoError: the clip cannot be used; it is deleted.
            CheckpointError: the model cannot be had.
            SessionLimit: there are too many sessions, or the clip is too large.
        """
        try:
            size = self._check_upload(upload)
            folder = _make_folder()
            clip = Path(shutil.move(upload, folder / upload.name))
        except OSError as error:
            raise VideoError("the upload did not arrive whole; upload it again.") from error
        return self._open(clip, model_name, folder, size)

    def get(self, token: str | None) -> Session:
        """The session of this token, which counts as used.

        Raises:
            SessionNotFound: it has ended, or never was.
        """
        with self._lock:
            place = self._places.get(token or "")
            if place is None:
                raise SessionNotFound("this session has ended, after a long pause or a restart; open the clip again.")
            place.detached = False
            place.session.touch()
            return place.session

    def detach(self, token: str | None) -> None:
        """The page of this session was left; it ends soon unless someone comes back."""
        with self._lock:
            place = self._places.get(token or "")
            if place is not None:
                place.detached = True

    def close(self, token: str | None) -> None:
        """End a session; nothing happens where there is none."""
        with self._lock:
            place = self._places.pop(token or "", None)
        if place is not None:
            place.session.close()

    def sweep(self) -> None:
        """End all sessions that were not used for too long."""
        now = time.monotonic()
        with self._lock:
            expired = [token for token, place in self._places.items() if self._deadline(place) <= now]
        for token in expired:
            self.close(token)

    def shut_down(self) -> None:
        """End all sessions."""
        self._closing.set()
        for token in tuple(self._places):
            self.close(token)

    def _open(self, path: Path, model_name: str, folder: Path, upload_bytes: int) -> Session:
        try:
            self.sweep()
            with self._lock:
                self._check_room(upload_bytes)
            model = self.models.get(model_name)
            video = open_video(path, limits=self.limits.media)
            token = secrets.token_urlsafe(24)
            session = Session(token, video, folder, model_name, model, self._turns, self.limits.objects)
            with self._lock:
                self._check_room(upload_bytes)  # others may have come while the clip was read
                self._places[token] = _Place(session, upload_bytes)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return session

    def _check_upload(self, upload: Path) -> int:
        size = upload.stat().st_size
        if size > self.limits.upload_bytes:
            upload.unlink(missing_ok=True)
            raise SessionLimit(
                f"a clip may have {self.limits.upload_bytes / 1e6:.0f} MB, this one has {size / 1e6:.0f} MB; "
                "cut it or scale it down first."
            )
        return size

    def _check_room(self, upload_bytes: int) -> None:
        if len(self._places) >= self.limits.sessions:
            raise SessionLimit(f"all {self.limits.sessions} places are taken; try again in a few minutes.")
        if sum(place.upload_bytes for place in self._places.values()) + upload_bytes > self.limits.total_bytes:
            raise SessionLimit("there is no room for more clips at the moment; try again in a few minutes.")

    def _deadline(self, place: _Place) -> float:
        patience = self.limits.detached_seconds if place.detached else self.limits.idle_seconds
        return place.session.touched + patience

    def _reap(self) -> None:
        while not self._closing.wait(min(self.limits.detached_seconds, self.limits.idle_seconds) / 4):
            with contextlib.suppress(Exception):  # one session that cannot be ended must not keep all others alive
                self.sweep()


def _make_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="masklet-"))
