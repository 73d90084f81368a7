"""Bounds on what visitors may use; every one of them answers with a sentence when it is reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sam2_core.errors import SessionLimit
from sam2_core.media import MediaLimits
from sam2_core.session.commands import Command, ImportMasks, Redo, Track, Undo, UseModel


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds.

    Attributes:
        sessions: in memory at a time; others rest on the disk.
        objects: in one session, at a time.
        prompts: in one session, at a time; each is all that is said about one object on one frame.
        media: of one clip; decoded frames are kept in memory for each.
        upload_bytes: of one clip that was uploaded, and of one that a project brings along.
        log_bytes: of one session's commands, painted and imported masks included.
        session_bytes: of one session's commands and masks on the disk.
        total_bytes: of all sessions on the disk.
        features_bytes: of all sessions' image features in memory, which make clicks quick.
        history_bytes: of all sessions' earlier states in memory, which make undo quick.
        work_bytes: of all sessions' masks in memory, and of what models know of their objects.
        commands_per_second: in one session, in the long run, where a click counts as one (:func:`cost`).
        previews_per_second: in one session, in the long run.
        idle_seconds: after which a session that nobody uses goes to rest.
        detached_seconds: the same for one whose page was left; a dropped connection looks like that, too.
        kept_seconds: after which a resting session is deleted.
    """

    sessions: int = 32
    objects: int = 16
    prompts: int = 4000
    media: MediaLimits = field(default_factory=lambda: MediaLimits(frames=10_000, window_bytes=64 * 2**20))
    upload_bytes: int = 500 * 10**6
    log_bytes: int = 200 * 10**6
    session_bytes: int = 10**9
    total_bytes: int = 20 * 10**9
    features_bytes: int = 512 * 2**20
    history_bytes: int = 512 * 2**20
    work_bytes: int = 4 * 2**30
    commands_per_second: float = 20.0
    previews_per_second: float = 40.0
    idle_seconds: float = 1800
    detached_seconds: float = 300
    kept_seconds: float = 86_400


UNSHARED = Limits(commands_per_second=1e6, previews_per_second=1e6, work_bytes=2**60)
"""Of whoever has a computer for themselves, and may be as quick as they like."""


def cost(command: Command) -> float:
    """What a command takes of ``commands_per_second``: about how long the computer is busy with it, in clicks."""
    match command:
        case Track() | ImportMasks() | UseModel():
            return 5.0
        case Undo() | Redo():  # which may have to read the masks of a whole session
            return 2.0
        case _:
            return 1.0


class TokenBucket:
    """So many things a second in the long run, and twice as many at once; from any thread.

    What costs more than is left is still done, and those that come after it wait the longer.

    Args:
        per_second: in the long run.
        what: is limited, for the message.
        clock: in seconds.
    """

    def __init__(self, per_second: float, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(2 * per_second, 1.0)
        self._what = what
        self._clock = clock
        self._left = self._most
        self._filled = clock()
        self._lock = threading.Lock()

    def take(self, cost: float = 1.0) -> None:
        """Something is about to happen.

        Raises:
            SessionLimit: it is one too many.
        """
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._filled) * self._per_second)
            self._filled = now
            if self._left < 1:
                raise SessionLimit(f"{self._what} come faster than {self._per_second:g} a second; wait a moment.")
            self._left -= cost
