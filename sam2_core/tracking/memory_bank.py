"""The memory bank of one object: what was seen on its conditioning frames and on the frames just tracked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sam2_core.config import POINTER_FRAMES
from sam2_core.model import MemoryContext
from sam2_core.tracking.policies import Attended


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """What one frame leaves behind. Shapes: ``map_dhw [D, h, w]``, ``pointer_c [C]``."""

    map_dhw: Tensor
    pointer_c: Tensor


@dataclass(slots=True)
class MemoryBank:
    """Memories by frame index.

    Attributes:
        conditioning: of prompted frames, in the order in which they were prompted; kept.
        tracked: of other frames; dropped when no later frame can select them.
    """

    conditioning: dict[int, MemoryEntry] = field(default_factory=dict)
    tracked: dict[int, MemoryEntry] = field(default_factory=dict)

    def __getitem__(self, frame: int) -> MemoryEntry:
        found = self.conditioning.get(frame)
        return found if found is not None else self.tracked[frame]

    def forget_beyond(self, frame: int, reach: int) -> None:
        """Drop tracked memories that are more than ``reach`` frames from ``frame``."""
        self.tracked = {index: entry for index, entry in self.tracked.items() if abs(index - frame) <= reach}


def gather(banks: Sequence[MemoryBank], attended: Sequence[Attended], frame_count: int) -> MemoryContext:
    """The memories of several objects as one batch; all attend to equally many maps (at least one) and pointers."""
    pairs = list(zip(banks, attended, strict=True))
    maps = torch.stack([torch.stack([bank[index].map_dhw for index, _ in a.maps]) for bank, a in pairs])
    rows = torch.tensor([[row for _, row in a.maps] for a in attended], device=maps.device)
    if attended[0].pointers:
        pointers = torch.stack([torch.stack([bank[index].pointer_c for index, _ in a.pointers]) for bank, a in pairs])
    else:
        bank, first = pairs[0]
        pointer = bank[first.maps[0][0]].pointer_c
        pointers = pointer.new_zeros(len(pairs), 0, pointer.shape[0])
    distances = torch.tensor([[float(d) for _, d in a.pointers] for a in attended], device=maps.device)
    longest = max(min(frame_count, POINTER_FRAMES) - 1, 1)
    return MemoryContext(maps, rows, pointers, distances / longest)
