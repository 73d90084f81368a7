"""Where this tracker and the released predictor part ways: every choice has a name here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch

from sam2_core.tracking.policies import MemoryPolicy, PaperPolicy


class Corrections(Enum):
    """What a prompt on an already tracked frame becomes."""

    STICK = "a conditioning frame: its mask is final and its neighbours react to it"
    LOST = "shown, remembered, and computed afresh without it by the next pass over the frame"


class History(Enum):
    """What is left of earlier passes and earlier prompts."""

    BOUNDED = "only what a later frame can select, and nothing from before a correction"
    EVERYTHING = "all of it, as in the released code: memory grows with the video"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a tracker works.

    Attributes:
        corrections: what happens to prompts on tracked frames.
        history: what is kept, and therefore what a new pass may see.
        policy: which memories a frame attends to.
        memory_dtype: number type of stored memory maps; ``None`` keeps the model's own.
        hole_area: background regions of up to this many low-resolution pixels are filled.
        dynamic_multimask: an unambiguous prompt falls back from mask 0 to the best candidate where mask 0 is less
            stable than the model's limit.
        hard_prompted_masks: prompted frames enter memory as 0 and 1 instead of probabilities.
        objects_apart: objects may not overlap in the results.
        exact_given_masks: a mask that a person gave is shown pixel by pixel; otherwise as the model's low-resolution
            version of it. What is remembered of it is the same.
    """

    corrections: Corrections = Corrections.STICK
    history: History = History.BOUNDED
    policy: MemoryPolicy = PaperPolicy(limit=4)
    memory_dtype: torch.dtype | None = None
    hole_area: int = 8
    dynamic_multimask: bool = True
    hard_prompted_masks: bool = True
    objects_apart: bool = False
    exact_given_masks: bool = True


STUDIO = Behaviour()
"""Corrections stick, memory is bounded."""

OFFICIAL = Behaviour(
    corrections=Corrections.LOST,
    history=History.EVERYTHING,
    policy=PaperPolicy(),
    memory_dtype=torch.bfloat16,
    hole_area=0,  # the released code fills holes on CUDA only
    exact_given_masks=False,
)
"""The released predictor with its default settings on a CPU, to the letter."""
