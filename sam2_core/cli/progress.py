"""Progress with an estimate of what is left, on stderr: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tqdm import tqdm

_LOG_SECONDS = 10.0


@contextlib.contextmanager
def progress(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A function to be told ``(done, total)``; nothing is shown of what is over quickly.

    Args:
        label: what is being done.
        unit: of the numbers; bytes (``"B"``) are shown in thousands and millions.
    """
    shown = _Bar(label, unit) if sys.stderr.isatty() else _Log(label, unit)
    try:
        yield shown.report
    finally:
        shown.close()


class _Bar:
    """A bar whose clock starts with the first report, since other work may come before it."""

    def __init__(self, label: str, unit: str) -> None:
        self._label = label
        self._unit = unit
        self._bar: tqdm[Any] | None = None

    def report(self, done: int, total: int) -> None:
        if self._bar is None:
            scale = self._unit == "B"
            self._bar = tqdm(
                desc=self._label, unit=self._unit, unit_scale=scale, total=total, delay=0.5, dynamic_ncols=True
            )
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class _Log:
    """The same text as lines of their own."""

    def __init__(self, label: str, unit: str) -> None:
        self._label = label
        self._unit = unit
        self._start: float | None = None
        self._next = 0.0

    def report(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._start is None:
            self._start, self._next = now, now + _LOG_SECONDS
        if now >= self._next:
            self._next = now + _LOG_SECONDS
            line = tqdm.format_meter(
                done,
                total,
                now - self._start,
                prefix=self._label,
                unit=self._unit,
                unit_scale=self._unit == "B",
                ncols=0,
            )
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """Nothing is left open."""
