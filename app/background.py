"""Long work that tells how far it is, as something to iterate over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of some work is done, and for how long it has been going on."""

    done: int
    total: int
    started: float = field(default_factory=time.monotonic)

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def remaining(self) -> str:
        """The time that is left, in words; empty while nobody can tell."""
        if not self.done or self.done >= self.total:
            return ""
        seconds = (time.monotonic() - self.started) * (self.total - self.done) / self.done
        return f"about {in_words(seconds)} left"


def in_words(seconds: float) -> str:
    """A duration as one would say it."""
    if seconds < 2:
        return "a second"
    if seconds < 90:
        return f"{round(seconds)} seconds"
    return f"{round(seconds / 60)} minutes"


class Background(Generic[T]):
    """Work in a thread. Whoever stops looking leaves it running: what it makes may be of use to others.

    Args:
        work: is given a function that it may tell ``(done, total)``; its return value is the result.
    """

    def __init__(self, work: Callable[[Callable[[int, int], None]], T]) -> None:
        self._work = work
        self._latest = (0, 0)
        self._started = time.monotonic()
        self._future: Future[T] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def progress(self) -> Iterator[Progress]:
        """How far it is, some times a second until it ends."""
        while self._thread.is_alive():
            yield Progress(*self._latest, self._started)
            self._thread.join(_LOOK_SECONDS)

    async def finished(self) -> T:
        """The same as :meth:`result`, for an event loop."""
        return await asyncio.shield(asyncio.wrap_future(self._future))  # one who goes away ends it for nobody else

    def result(self) -> T:
        """What the work returned, or raised; waits for its end."""
        return self._future.result()

    def _run(self) -> None:
        try:
            self._future.set_result(self._work(self._tell))
        except BaseException as error:  # it belongs to whoever waits for the result
            self._future.set_exception(error)

    def _tell(self, done: int, total: int) -> None:
        self._latest = done, total
