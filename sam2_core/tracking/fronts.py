"""What has yet to be tracked: the places from which the news about an object still has to spread.

Whatever is said about an object on a frame makes the masks around it out of date. Two *fronts* start there and move
outward, one frame at a step, until they meet masks that stay the same, or the end of the video. A front that was
stopped waits where it is, so that tracking goes on there and nothing is computed twice.

Fronts are values; nothing here knows masks or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sam2_core.config import MEMORY_FRAMES


@dataclass(frozen=True, slots=True)
class Front:
    """The next frame to track, and where to go from there.

    Attributes:
        frame: the next frame.
        step: 1 forward, -1 backward.
        origin: the first frame that it visited, or will visit.
    """

    frame: int
    step: int
    origin: int

    def at(self, frame: int, step: int) -> bool:
        """Whether it waits at this frame and goes this way."""
        return (self.frame, self.step) == (frame, step)

    @property
    def behind(self) -> range:
        """The frames just visited, in their order, as far back as a memory map reaches."""
        first = self.frame - self.step * (MEMORY_FRAMES - 1)
        first = max(first, self.origin) if self.step > 0 else min(first, self.origin)
        return range(first, self.frame, self.step)


Fronts: TypeAlias = tuple[Front, ...]
"""All fronts of one object, at most one for each frame and direction; those beyond the video's ends do no harm."""


def said(fronts: Fronts, frame: int) -> Fronts:
    """Something was said on a frame: news go outward from it."""
    return said_after(_with(fronts, Front(frame, 1, frame)), frame - 1)


def said_after(fronts: Fronts, frame: int) -> Fronts:
    """What is said on the next frame is news for this one, and for those before it alone."""
    return _with(fronts, Front(frame, -1, frame))


def passed(fronts: Fronts, frame: int, step: int, *, ended: bool) -> Fronts:
    """A sweep has passed a frame; ``ended`` where it need not go on."""
    origin = next((front.origin for front in fronts if front.at(frame, step)), frame)
    rest = tuple(front for front in fronts if not front.at(frame, step))
    return rest if ended else _with(rest, Front(frame + step, step, origin), keep=True)


@dataclass(frozen=True, slots=True)
class Visit:
    """One frame-step, for all objects that have a front there.

    Attributes:
        frame: to be tracked.
        step: the sweep's direction.
        fronts: by object id.
    """

    frame: int
    step: int
    fronts: Mapping[int, Front]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a job works: its sweeps (1 or -1) in their order, from frame ``first`` to frame ``last``, both included."""

    steps: tuple[int, ...]
    first: int
    last: int

    def next_visit(self, fronts: Mapping[int, Fronts]) -> Visit | None:
        """The frame-step that comes next; objects that wait further on join when the sweep has reached them."""
        for step in self.steps:
            frame = self._rearmost(fronts, step)
            if frame is not None:
                here = {key: front for key, own in fronts.items() for front in own if front.at(frame, step)}
                return Visit(frame, step, here)
        return None

    def enter(self, fronts: Fronts) -> Fronts:
        """Where a front waits before the stretch, its news enter at the edge."""
        for step in self.steps:
            edge = self.first if step > 0 else self.last
            if any(front.step == step and (edge - front.frame) * step > 0 for front in fronts):
                fronts = _with(fronts, Front(edge, step, edge), keep=True)
        return fronts

    def remaining(self, fronts: Mapping[int, Fronts]) -> int:
        """Frame-steps that are left at most."""
        rears = [(step, self._rearmost(fronts, step)) for step in self.steps]
        return sum(abs((self.last if step > 0 else self.first) - rear) + 1 for step, rear in rears if rear is not None)

    def _rearmost(self, fronts: Mapping[int, Fronts], step: int) -> int | None:
        here = [
            front.frame
            for own in fronts.values()
            for front in own
            if front.step == step and self.first <= front.frame <= self.last
        ]
        return (min(here) if step > 0 else max(here)) if here else None


def _with(fronts: Fronts, new: Front, *, keep: bool = False) -> Fronts:
    same = [front for front in fronts if front.at(new.frame, new.step)]
    if keep and same:
        return fronts
    return (*(front for front in fronts if front not in same), new)
