"""Which frames a frame attends to: pure functions of frame indices (the paper's section 4, *memory bank*).

A policy is any callable with the signature of :class:`MemoryPolicy`; :class:`PaperPolicy` is the released one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sam2_core.config import MEMORY_FRAMES, POINTER_FRAMES

CONDITIONING_ROW = MEMORY_FRAMES - 1
"""Row of the temporal table that marks a conditioning frame, however far away it is."""


class Direction(Enum):
    """Where tracking goes from its start."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"

    @property
    def steps(self) -> tuple[int, ...]:
        """The sweeps' directions, in their order: 1 forward, -1 backward."""
        return {Direction.FORWARD: (1,), Direction.BACKWARD: (-1,), Direction.BOTH: (1, -1)}[self]

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class Attended:
    """The memories of one step, in token order.

    Attributes:
        maps: ``(frame, temporal row)`` of every memory map.
        pointers: ``(frame, distance in frames)`` of every object pointer.
    """

    maps: tuple[tuple[int, int], ...]
    pointers: tuple[tuple[int, int], ...]


class MemoryPolicy(Protocol):
    """Chooses memories for one object on one frame."""

    @property
    def reach(self) -> int:
        """How many frames back a tracked frame can still be chosen."""

    def __call__(
        self, frame: int, step: int, conditioning: Sequence[int], tracked: Collection[int], frame_count: int
    ) -> Attended:
        """Memories for ``frame`` when time runs in direction ``step`` (1 or -1).

        ``conditioning`` are the prompted frames in the order in which they were prompted, ``tracked`` the others that
        have a memory.
        """


@dataclass(frozen=True, slots=True)
class PaperPolicy:
    """All (or the ``limit`` nearest) conditioning frames, the six frames before, and up to 15 pointers.

    Attributes:
        limit: most conditioning frames that are attended; ``None`` for all of them, otherwise at least 2.
        stride: distance between the frames before, except that the immediate neighbour always takes part.
    """

    limit: int | None = None
    stride: int = 1

    @property
    def reach(self) -> int:
        """Frames back that can still be chosen: six strided maps, or fifteen pointers."""
        return max((MEMORY_FRAMES - 1) * self.stride, POINTER_FRAMES - 1)

    def __call__(
        self, frame: int, step: int, conditioning: Sequence[int], tracked: Collection[int], frame_count: int
    ) -> Attended:
        """See :class:`MemoryPolicy`."""
        chosen = self._nearest(frame, conditioning)
        others = set(tracked) | (set(conditioning) - set(chosen))
        recent = [(self._back(frame, step, d), d - 1) for d in range(MEMORY_FRAMES - 1, 0, -1)]
        maps = [(index, CONDITIONING_ROW) for index in chosen]
        maps += [(index, row) for index, row in recent if index in others]

        # A conditioning frame from the future lends its map, but not its pointer.
        pointers = [(index, (frame - index) * step) for index in chosen if (frame - index) * step >= 0]
        furthest = min(frame_count, POINTER_FRAMES) - 1
        pointers += [(frame - step * d, d) for d in range(1, furthest + 1) if frame - step * d in others]
        return Attended(tuple(maps), tuple(pointers))

    def _nearest(self, frame: int, conditioning: Sequence[int]) -> list[int]:
        """The nearest before, the nearest from here on, then by distance."""
        if self.limit is None or len(conditioning) <= self.limit:
            return list(conditioning)
        before = max((index for index in conditioning if index < frame), default=None)
        after = min((index for index in conditioning if index >= frame), default=None)
        chosen = [index for index in (before, after) if index is not None]
        rest = sorted((index for index in conditioning if index not in chosen), key=lambda index: abs(index - frame))
        return chosen + rest[: self.limit - len(chosen)]

    def _back(self, frame: int, step: int, distance: int) -> int:
        """The frame ``distance`` places back; from the second on, places are aligned to multiples of the stride."""
        if distance == 1 or self.stride == 1:
            return frame - step * distance
        aligned = (frame * step - 2) // self.stride * self.stride
        return step * (aligned - (distance - 2) * self.stride)
