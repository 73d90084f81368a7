"""Which frames a propagation visits, in which order, and which objects take part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sam2_core.tracking.policies import Direction


@dataclass(frozen=True, slots=True)
class Pass:
    """One sweep through the video.

    Attributes:
        frames: in the order in which they are visited.
        starts: by object id, the frame from which on the object takes part.
    """

    frames: range
    starts: Mapping[int, int]

    @property
    def step(self) -> int:
        """1 forward, -1 backward."""
        return self.frames.step

    def takes(self, object_id: int, frame_index: int) -> bool:
        """Whether the sweep has reached this object."""
        start = self.starts.get(object_id)
        return start is not None and (frame_index - start) * self.step >= 0


def later(start: int, begin: int, direction: Direction) -> int:
    """Where an object takes part in a sweep from ``start``: not before its own beginning."""
    return min(start, begin) if direction is Direction.BACKWARD else max(start, begin)


def plan(starts: Mapping[int, int], direction: Direction, frame_count: int, limit: int | None = None) -> list[Pass]:
    """The sweeps of a propagation.

    Args:
        starts: by object id, the frame from which it is tracked; at least one.
        direction: forward, backward, or one after the other.
        frame_count: of the video.
        limit: frames after the first that a sweep visits at most.
    """
    furthest = frame_count if limit is None else limit
    sweeps = []
    if direction is not Direction.BACKWARD:
        first = min(starts.values())
        sweeps.append(Pass(range(first, min(first + furthest, frame_count - 1) + 1), starts))
    if direction is not Direction.FORWARD:
        # After a forward sweep, an object's own first frame is done.
        done = 1 if direction is Direction.BOTH else 0
        back = {object_id: start - done for object_id, start in starts.items() if start >= done}
        if back:
            first = max(back.values())
            sweeps.append(Pass(range(first, max(first - furthest, 0) - 1, -1), back))
    return sweeps
