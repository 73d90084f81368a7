"""What a person at a terminal sees of a run, and how they stop it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

from sam2_core.training.recipe import Stage

_TALK_SECONDS = 10.0


@dataclass
class Talk:
    """Tells on stderr, now and then, how far a stage is and when it will end."""

    stage: Stage
    first: int
    quiet: bool

    def __post_init__(self) -> None:
        self._began = self._said = time.monotonic()

    def say(self, done: int, loss: float) -> None:
        """Told of every step; the last one of a stage is always passed on."""
        now = time.monotonic()
        if self.quiet or (now - self._said < _TALK_SECONDS and done < self.stage.steps):
            return
        self._said = now
        line = tqdm.format_meter(
            done, self.stage.steps, now - self._began, ncols=0, prefix=self.stage.name, unit="step",
            initial=self.first, postfix=f"loss {loss:.3f}",
        )  # fmt: skip
        tqdm.write(line, file=sys.stderr)


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that the step in work is finished and the run saved."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: event.set()) for number in numbers]
    try:
        yield event
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
