"""What comes out: one object's mask on a frame, all objects of a frame, one object through the video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sam2_core.rle import Rle

LARGEST_OBJECT_ID = 255
"""Objects are numbered from 1; a palette PNG has one byte for each pixel."""


@dataclass(frozen=True, slots=True)
class ObjectMask:
    """One object on one frame.

    Attributes:
        object_id: whose mask this is; an id is for ever.
        mask: at the video's own size.
        predicted_iou: the decoder's own estimate of this mask's quality, 0..1; 1 for a mask given by a person.
        object_score: logit of *the object is visible in this frame*; above zero means visible.
    """

    object_id: int
    mask: Rle
    predicted_iou: float
    object_score: float

    @property
    def visible(self) -> bool:
        """Whether the model believes that the object can be seen."""
        return self.object_score > 0


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Every object's mask on one frame, in the order in which the objects were added."""

    frame_index: int
    objects: tuple[ObjectMask, ...]

    def __getitem__(self, object_id: int) -> ObjectMask:
        for found in self.objects:
            if found.object_id == object_id:
                return found
        raise KeyError(object_id)


Masklet: TypeAlias = dict[int, ObjectMask]
"""One object through the video: frame index to mask (the paper's *masklet*)."""
