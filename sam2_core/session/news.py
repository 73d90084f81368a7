"""What has changed since when, for all who look on."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class News:
    """A revision that grows, and the frames whose masks changed with it; from any thread.

    Whoever looks on keeps the revision that they have seen, waits for another one, and asks for the frames that changed
    since. A message that was lost is made up for by the next one.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._changed: dict[int, int] = {}
        self._condition = threading.Condition()

    def note(self, frames: Iterable[int]) -> None:
        """Masks of these frames are new; :meth:`tell` follows soon."""
        with self._condition:
            self._changed |= dict.fromkeys(frames, self.revision + 1)

    def tell(self, frames: Iterable[int] = ()) -> None:
        """Something is new, among it the masks of these frames."""
        with self._condition:
            self.revision += 1
            self._changed |= dict.fromkeys(frames, self.revision)
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float | None = None) -> int:
        """Wait for a revision beyond the one ``seen``, or for so long; the revision then."""
        with self._condition:
            self._condition.wait_for(lambda: self.revision > seen, seconds)
            return self.revision

    def frames_since(self, seen: int) -> tuple[int, ...]:
        """Frames whose masks changed after revision ``seen``."""
        with self._condition:
            return tuple(sorted(frame for frame, revision in self._changed.items() if revision > seen))
