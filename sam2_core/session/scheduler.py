"""Who may use the device, and for how long: one step each, in the order of asking."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class Turns:
    """A lock that is granted in the order in which it was asked for.

    ``threading.Lock`` makes no such promise: a session that tracks gives it back after each frame and, being awake,
    would have it again before anyone else. With turns, nobody waits for more than one step of each of the others. It is
    not re-entrant.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    def __enter__(self) -> Turns:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket)
            except BaseException:  # an interrupt while waiting must not leave a ticket that is never given back
                self._waiting.remove(ticket)
                self._changed.notify_all()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._waiting.popleft()
            self._changed.notify_all()

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """A turn for work that can wait: given at once or, where anyone else has or wants one, not at all."""
        ticket = object()
        with self._changed:
            free = not self._waiting
            if free:
                self._waiting.append(ticket)
        try:
            yield free
        finally:
            if free:
                self.__exit__(None, None, None)
