"""What all sessions of a server may hold in memory together, however many there are."""

from __future__ import annotations

import threading

from sam2_core.errors import SessionLimit
from sam2_core.model import ImageFeatures
from sam2_core.session.history import Snapshot
from sam2_core.session.limits import Limits
from sam2_core.tracking.shared_cache import SharedCache


class Memory:
    """One budget for all sessions; from any thread.

    Two caches lose what was used longest ago, whosesoever it is. What sessions work with cannot be dropped: it is
    counted, and when it has become too much, nobody gets more until someone's session has gone to rest.

    Args:
        limits: those in bytes.

    Attributes:
        features: of frames.
        history: earlier states, for undo.
    """

    def __init__(self, limits: Limits) -> None:
        self.features = SharedCache[ImageFeatures](limits.features_bytes)
        self.history = SharedCache[Snapshot](limits.history_bytes)
        self._most_bytes = limits.work_bytes
        self._work: dict[object, int] = {}
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether sessions work with as much as they may."""
        with self._lock:
            return sum(self._work.values()) >= self._most_bytes

    def require(self, nbytes: int = 0) -> None:
        """Someone is about to need so much more.

        Raises:
            SessionLimit: there is not so much.
        """
        with self._lock:
            if sum(self._work.values()) + nbytes >= self._most_bytes:
                raise SessionLimit(
                    "the memory that all visitors share is used up; remove objects that are done, or try again in some "
                    "minutes."
                )

    def note(self, owner: object, nbytes: int) -> None:
        """What a session works with now."""
        with self._lock:
            self._work[owner] = nbytes

    def release(self, owner: object) -> None:
        """A session is not in memory any more."""
        with self._lock:
            self._work.pop(owner, None)
