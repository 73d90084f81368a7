"""Tracking that does no more than it has to: outward from what is new, until the masks are as they were."""

from __future__ import annotations

from collections.abc import Collection

from sam2_core.evaluation.metrics import jaccard
from sam2_core.results import ObjectMask
from sam2_core.session.document import Change, Document, ObjectState
from sam2_core.session.scheduler import Turns
from sam2_core.tracking.fronts import Fronts, Stretch, Visit
from sam2_core.tracking.tracker import Tracker

SAME_IOU = 0.95
"""From here on, new and old mask differ by no more than two passes of one model do anyway: where pocket follows an
object well, a second pass agrees with the first by 0.96 to 0.98."""
SAME_FRAMES = 5
"""Frames in a row on which they must be the same before a sweep ends."""


class Propagation:
    """One job of tracking, frame by frame.

    Args:
        number: of the command in the log.
        tracker: its objects are awake.
        turns: for the device.
        stretch: where to go.
        object_ids: with which objects.
        frames: frame-steps at most; ``None`` for no limit.

    Attributes:
        done: frame-steps so far.
    """

    def __init__(
        self,
        number: int,
        tracker: Tracker,
        turns: Turns,
        stretch: Stretch,
        object_ids: Collection[int],
        frames: int | None,
    ) -> None:
        self.number = number
        self.object_ids = tuple(object_ids)
        self.done = 0
        self._tracker = tracker
        self._turns = turns
        self._stretch = stretch
        self._frames = frames
        self._renewed: set[tuple[int, int]] = set()
        self._expected: dict[int, tuple[int, int]] = {}
        self._same: dict[int, int] = {}

    def remaining(self, document: Document) -> int:
        """Frame-steps that are left at most."""
        left = self._stretch.remaining(self._fronts(document))
        return left if self._frames is None else min(left, self._frames - self.done)

    def step(self, document: Document) -> Change | None:
        """One frame; ``None`` where nothing is left to do.

        The device is held for one frame at a time, also where memories have to be made anew before it.
        """
        visit = self._stretch.next_visit(self._fronts(document))
        if visit is None or self.done == self._frames:
            return None
        self.done += 1
        # A sweep that comes from the other side meets frames of this very job, which knew all that it knows.
        met = {key for key in visit.fronts if (key, visit.frame) in self._renewed}
        going = {key: document.objects[key] for key in visit.fronts if key not in met}
        masks = self._visit(visit, going)
        met |= {key for key, mask in masks.items() if self._has_met(going[key], visit.frame, mask)}
        return Change(visit.frame, masks, visit.step, frozenset(met))

    def _fronts(self, document: Document) -> dict[int, Fronts]:
        objects = document.objects  # which someone may lock meanwhile
        return {key: objects[key].fronts for key in self.object_ids if key in objects and not objects[key].locked}

    def _visit(self, visit: Visit, going: dict[int, ObjectState]) -> dict[int, ObjectMask]:
        if not going:
            return {}
        self._warm_up(visit, going)
        kept = [key for key, state in going.items() if visit.frame in state.locked_frames]
        with self._turns:
            result = self._tracker.visit(visit.frame, visit.step, going, kept)
        for key in going:
            self._renewed.add((key, visit.frame))
            self._expected[key] = (visit.frame + visit.step, visit.step)
        return {key: result[key] for key in going}

    def _warm_up(self, visit: Visit, going: dict[int, ObjectState]) -> None:
        """A sweep that was stopped goes on with the memories of the frames before, made anew from their masks."""
        late = {key for key in going if self._expected.get(key) != (visit.frame, visit.step)}
        behind: dict[int, list[int]] = {}
        for key in late:
            self._same[key] = 0
            for frame in visit.fronts[key].behind:
                if frame in going[key].masklet:
                    behind.setdefault(frame, []).append(key)
        for frame in sorted(behind, reverse=visit.step < 0):
            with self._turns:
                self._tracker.visit(frame, visit.step, behind[frame], behind[frame])

    def _has_met(self, state: ObjectState, frame: int, mask: ObjectMask) -> bool:
        """Whether the masks have been as they were for a while; frames that could not change prove nothing."""
        if frame in state.prompts or frame in state.locked_frames:
            return False
        before = state.masklet.get(frame)
        same = before is not None and _same(before, mask)
        self._same[state.object_id] = self._same[state.object_id] + 1 if same else 0
        return self._same[state.object_id] >= SAME_FRAMES


def _same(one: ObjectMask, other: ObjectMask) -> bool:
    return one.mask == other.mask or jaccard(one.mask.decode(), other.mask.decode()) >= SAME_IOU
