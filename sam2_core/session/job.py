"""Work that goes on by itself and can be paused, resumed and cancelled between two frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from sam2_core.errors import Sam2Error

_log = logging.getLogger(__name__)


class JobStatus(Enum):
    """How a job fares."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether it has come to an end."""
        return self not in (JobStatus.RUNNING, JobStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        status: how it fares.
        done: frame-steps.
        total: frame-steps, as far as one can tell; it shrinks where masks turn out to be as they were.
        frame_index: the frame that was done last; ``None`` before the first.
        seconds: that it has worked, pauses not counted.
        message: what went wrong, if it failed.
    """

    status: JobStatus
    done: int = 0
    total: int = 0
    frame_index: int | None = None
    seconds: float = 0.0
    message: str = ""

    @property
    def eta(self) -> float | None:
        """Seconds that are left; ``None`` while nobody can tell."""
        return self.seconds * (self.total - self.done) / self.done if self.done else None


Step = Callable[[], tuple[int, int] | None]
"""Does one frame; returns its index and how many are left at most, or ``None`` where nothing was left."""


class Job:
    """A thread that takes one step after the other.

    Args:
        step: one of them.
        total: steps, as far as one can tell.
        tell: called whenever something has changed, from any thread.
        finish: called once at the end, whatever the end, before :meth:`wait` returns.
    """

    def __init__(self, step: Step, total: int, tell: Callable[[], None], finish: Callable[[], None]) -> None:
        self.progress = Progress(JobStatus.RUNNING, total=total)
        self._step = step
        self._tell = tell
        self._finish = finish
        self._changed = threading.Condition()
        self._paused = False
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it has come to an end."""
        return self.progress.status.over

    def pause(self) -> None:
        """Stop before the next frame, until :meth:`resume`."""
        self._set(paused=True)

    def resume(self) -> None:
        """Go on."""
        self._set(paused=False)

    def cancel(self) -> None:
        """End before the next frame; finished masks are kept."""
        self._cancelled = True
        self._set(paused=False)

    def wait(self, seconds: float | None = None) -> Progress:
        """Wait for the end, or for so long; how far it is then."""
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)
        return self.progress

    def _set(self, *, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def _run(self) -> None:
        message = ""
        try:
            try:
                status = self._work()
            finally:
                self._finish()
        except Sam2Error as error:
            status, message = JobStatus.FAILED, str(error)
        except Exception:
            _log.exception("tracking failed")
            status = JobStatus.FAILED
            message = "tracking failed for a reason that is ours; finished masks are kept: track again."
        now = self.progress
        self.progress = Progress(status, now.done, now.total, now.frame_index, now.seconds, message)
        self._tell()

    def _work(self) -> JobStatus:
        while self._may_go_on():
            started = time.monotonic()
            stepped = self._step()
            if stepped is None:
                return JobStatus.FINISHED
            frame_index, left = stepped
            now, done = self.progress, self.progress.done + 1
            seconds = now.seconds + time.monotonic() - started
            self.progress = Progress(JobStatus.RUNNING, done, done + left, frame_index, seconds)
            self._tell()
        return JobStatus.CANCELLED

    def _may_go_on(self) -> bool:
        with self._changed:
            while self._paused and not self._cancelled:
                self._show(JobStatus.PAUSED)
                self._changed.wait()
            if not self._cancelled:
                self._show(JobStatus.RUNNING)
        return not self._cancelled

    def _show(self, status: JobStatus) -> None:
        now = self.progress
        if now.status is not status:
            self.progress = Progress(status, now.done, now.total, now.frame_index, now.seconds)
            self._tell()
