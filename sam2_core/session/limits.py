"""Bounds on what visitors may use; every one of them answers with a sentence when it is reached."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sam2_core.errors import SessionLimit
from sam2_core.media import MediaLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds.

    Attributes:
        sessions: in memory at a time; others rest on the disk.
        objects: in one session, at a time.
        media: of one clip.
        upload_bytes: of one clip that was uploaded, and of one that a project brings along.
        session_bytes: of one session's commands and masks on the disk.
        total_bytes: of all sessions on the disk.
        history_bytes: of one session's earlier states in memory, which make undo instant.
        prompts_per_second: in one session, in the long run; twice as many at once.
        previews_per_second: the same for previews.
        idle_seconds: after which a session that nobody uses goes to rest.
        detached_seconds: the same for one whose page was left; a dropped connection looks like that, too.
        kept_seconds: after which a resting session is deleted.
    """

    sessions: int = 32
    objects: int = 16
    media: MediaLimits = field(default_factory=lambda: MediaLimits(frames=10_000))
    upload_bytes: int = 500 * 10**6
    session_bytes: int = 2 * 10**9
    total_bytes: int = 20 * 10**9
    history_bytes: int = 256 * 2**20
    prompts_per_second: float = 20.0
    previews_per_second: float = 40.0
    idle_seconds: float = 1800
    detached_seconds: float = 300
    kept_seconds: float = 86_400


class TokenBucket:
    """So many things a second in the long run, and twice as many at once.

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

    def take(self) -> None:
        """One thing is about to happen.

        Raises:
            SessionLimit: it is one too many.
        """
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._filled) * self._per_second)
        self._filled = now
        if self._left < 1:
            raise SessionLimit(f"{self._what} come faster than {self._per_second:g} a second; wait a moment.")
        self._left -= 1
