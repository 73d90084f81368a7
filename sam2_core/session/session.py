"""One clip that someone is working on."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sam2_core.errors import PromptError, SessionLimit, SessionNotFound
from sam2_core.media import Video
from sam2_core.model import SAM2
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import FrameResult, Masklet, ObjectMask
from sam2_core.session.history import History, snapshot
from sam2_core.session.scheduler import Turns
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker

HIGHEST_OBJECT_ID = 255
"""A palette PNG has no room for more, and an id is never given twice."""


@dataclass(frozen=True, slots=True)
class TrackStep:
    """A frame that was just tracked, and how many of all are ``done``."""

    result: FrameResult
    done: int
    total: int


class Session:
    """A video, its tracker, and the way back; from any thread, one call at a time.

    Tracking gives way after each frame, so that others can look on, cancel, or use the device. Until it ends, nothing
    else changes the objects.

    Args:
        token: the name by which the manager finds it.
        video: closed with the session.
        folder: for the session's own files; deleted with it.
        model_name: of ``model``.
        model: shared with other sessions.
        turns: for the device that the model is on.
        most_objects: that there may be at one time.

    Attributes:
        revision: a number that grows with every change of a mask.
        touched: when someone last was at work here, on the monotonic clock, in seconds.
    """

    def __init__(
        self,
        token: str,
        video: Video,
        folder: Path,
        model_name: str,
        model: SAM2,
        turns: Turns,
        most_objects: int = 16,
    ) -> None:
        self.token = token
        self.video = video
        self.folder = folder
        self.model_name = model_name
        self.touched = time.monotonic()
        self.revision = 0
        self._tracker = Tracker(model, video)
        self._turns = turns
        self._most_objects = most_objects
        self._lock = threading.RLock()
        self._history = History()
        self._last_object_id = 0
        self._offered: int | None = None
        self._tracking = False
        self._cancel = threading.Event()
        self._closed = False

    def touch(self) -> None:
        """Someone is still at work here."""
        self.touched = time.monotonic()

    # What there is -----------------------------------------------------------------------------------------------

    @property
    def tracking(self) -> bool:
        """Whether masks are being made right now."""
        return self._tracking

    @property
    def can_undo(self) -> bool:
        """Whether :meth:`undo` would do something."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether :meth:`redo` would do something."""
        return self._history.can_redo

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Objects about which something was said."""
        with self._open():
            return self._tracker.object_ids

    def result(self, frame_index: int) -> FrameResult:
        """Every object's latest mask on a frame."""
        with self._open():
            return self._tracker.result(frame_index)

    def prompts(self, frame_index: int) -> dict[int, Prompt]:
        """What was said on a frame, by object."""
        with self._open():
            tracks = self._tracker.tracks.values()
            return {t.object_id: t.interactions[frame_index].prompt for t in tracks if frame_index in t.interactions}

    def prompted_frames(self) -> dict[int, tuple[int, ...]]:
        """Frames on which something was said, by object."""
        with self._open():
            return {t.object_id: tuple(sorted(t.interactions)) for t in self._tracker.tracks.values()}

    def candidates(self, object_id: int, frame_index: int) -> tuple[ObjectMask, ...]:
        """The three masks that a single click may have meant; none where the prompt is not ambiguous."""
        with self._open():
            prompt = self.prompts(frame_index).get(object_id)
            if prompt is None or prompt.mask is not None or prompt.label_count != 1:
                return ()
            with self._turns:
                return self._tracker.candidates(object_id, frame_index)

    def results(self) -> list[FrameResult]:
        """Every frame's finished masks."""
        with self._open():
            return [self._tracker.result(frame_index) for frame_index in range(len(self.video))]

    def masklets(self) -> dict[int, Masklet]:
        """All finished masks, by object and frame."""
        with self._open():
            return {t.object_id: dict(t.masklet) for t in self._tracker.tracks.values()}

    # What people do ----------------------------------------------------------------------------------------------

    def new_object(self) -> int:
        """An id that was never used, the same until something is said about it; only then does the object exist.

        Raises:
            SessionLimit: there are as many objects as there may be.
        """
        with self._open():
            if self._offered is None:
                self._check_room(self._last_object_id + 1)
                self._last_object_id += 1
                self._offered = self._last_object_id
            return self._offered

    def add_point(self, object_id: int, frame_index: int, point: Point) -> None:
        """One more click on an object.

        Raises:
            PromptError: the frame or the object is out of range, or tracking is going on.
            SessionLimit: there are as many objects as there may be.
        """
        with self._changing():
            earlier = self.prompts(frame_index).get(object_id)
            self._say(object_id, frame_index, earlier.with_point(point) if earlier else Prompt(points=(point,)))

    def set_box(self, object_id: int, frame_index: int, box: Box) -> None:
        """The rectangle around an object, instead of an earlier one; raises as :meth:`add_point` does."""
        with self._changing():
            earlier = self.prompts(frame_index).get(object_id)
            prompt = replace(earlier, box=box, candidate=None) if earlier else Prompt(box=box)
            self._say(object_id, frame_index, prompt)

    def choose(self, object_id: int, frame_index: int, candidate: int) -> None:
        """Say which of the candidates was meant.

        Raises:
            PromptError: there are no candidates, or not so many.
        """
        with self._changing():
            earlier = self.prompts(frame_index).get(object_id)
            if earlier is None:
                raise PromptError(f"nothing was said about object {object_id} on frame {frame_index}; click it first.")
            self._say(object_id, frame_index, replace(earlier, candidate=candidate))

    def clear(self, object_id: int, frame_index: int) -> None:
        """Take back all that was said about an object on a frame; nothing happens where that is nothing."""
        if object_id in self.prompts(frame_index):
            with self._changing():
                self._tracker.clear(object_id, frame_index)

    def remove_object(self, object_id: int) -> None:
        """Forget an object; nothing happens where there is none of this id."""
        if object_id in self.object_ids:
            with self._changing():
                self._tracker.remove_object(object_id)

    def undo(self) -> None:
        """Take the last change back, tracking included."""
        with self._open():
            self._refuse_while_tracking()
            self._history.undo(self._tracker)
            self.revision += 1

    def redo(self) -> None:
        """Do again what was taken back last."""
        with self._open():
            self._refuse_while_tracking()
            self._history.redo(self._tracker)
            self.revision += 1

    def use(self, model_name: str, model: SAM2) -> None:
        """Go on with another model: it answers all prompts anew, and tracked masks are gone, as is the way back.

        If that fails, everything is as before.
        """
        with self._open():
            self._refuse_while_tracking()
            tracker = Tracker(model, self.video)
            for track in self._tracker.tracks.values():
                for frame_index, interaction in track.interactions.items():
                    with self._turns:  # another model numbers its candidates in its own way
                        tracker.prompt(track.object_id, frame_index, replace(interaction.prompt, candidate=None))
            self._tracker, self.model_name, self._history = tracker, model_name, History()
            self.revision += 1

    # Tracking ----------------------------------------------------------------------------------------------------

    def track(self, direction: Direction = Direction.BOTH) -> Iterator[TrackStep]:
        """Track all objects, one frame per step, until all are done or :meth:`cancel`; finished masks are kept.

        Raises:
            PromptError: nothing was prompted yet, or tracking is going on already.
        """
        with self._changing():
            total = sum(len(sweep.frames) for sweep in self._tracker.passes(direction))
            self._tracking = True
            self._cancel.clear()
        try:
            steps = self._tracker.propagate(direction)
            for done in range(1, total + 1):
                with self._lock:
                    if self._cancel.is_set() or self._closed:
                        return
                    self.touch()
                    with self._turns:
                        result = next(steps)
                    self.revision += 1
                yield TrackStep(result, done, total)
        finally:
            self._tracking = False

    def cancel(self) -> None:
        """Stop tracking before the next frame."""
        self._cancel.set()

    def close(self) -> None:
        """End the session once the frame in work is finished; its folder is deleted."""
        self.cancel()
        with self._lock:
            self._closed = True
            self.video.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    # How ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise SessionNotFound("this session has ended; choose the clip again.")
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A change that can be undone; one that fails leaves no trace."""
        with self._open():
            self._refuse_while_tracking()
            before = snapshot(self._tracker)
            try:
                yield
            except BaseException:
                self._tracker.tracks = before
                raise
            self._history.record(before)
            self.revision += 1

    def _refuse_while_tracking(self) -> None:
        if self._tracking:
            raise PromptError("tracking is going on; wait for its end, or cancel it first.")

    def _say(self, object_id: int, frame_index: int, prompt: Prompt) -> None:
        if object_id not in self._tracker.tracks:
            self._check_room(object_id)
        with self._turns:
            self._tracker.prompt(object_id, frame_index, prompt)
        self._last_object_id = max(self._last_object_id, object_id)
        if object_id == self._offered:
            self._offered = None

    def _check_room(self, object_id: int) -> None:
        if len(self._tracker.tracks) >= self._most_objects:
            raise SessionLimit(f"there can be {self._most_objects} objects at a time; remove one first.")
        if object_id > HIGHEST_OBJECT_ID:
            raise SessionLimit(f"objects are numbered up to {HIGHEST_OBJECT_ID}; open the clip again to start anew.")
