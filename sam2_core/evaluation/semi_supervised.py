"""Semi-supervised video object segmentation: the first frame's mask is given, the rest is found (the paper's 6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sam2_core.errors import VideoError
from sam2_core.evaluation.metrics import BoolMask
from sam2_core.media import open_video
from sam2_core.model import SAM2
from sam2_core.prompts import Prompt
from sam2_core.rle import Rle
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker

_OBJECT = 1


@dataclass(frozen=True, slots=True)
class TrueSequence:
    """A folder in the DAVIS layout: ``frames`` beside one mask file for each of them."""

    name: str
    frames: Path
    masks: tuple[BoolMask, ...]


def read_sequence(folder: Path) -> TrueSequence:
    """Read ``frames/*.jpg`` and ``masks/*.png``; every value above zero is the object.

    Raises:
        VideoError: there are not as many masks as frames.
    """
    frames, masks = folder / "frames", sorted((folder / "masks").glob("*.png"))
    count = len(list(frames.glob("*.jpg")))
    if not masks or count != len(masks):
        raise VideoError(
            f"{folder.name!r} needs one mask for each frame; it has {count} frames and {len(masks)} masks."
        )
    return TrueSequence(folder.name, frames, tuple(_read_mask(path) for path in masks))


def _read_mask(path: Path) -> BoolMask:
    with Image.open(path) as image:
        return np.asarray(image) > 0


def track_sequence(model: SAM2, sequence: TrueSequence) -> tuple[BoolMask, ...]:
    """The model's masks for all frames, given the first one's."""
    with open_video(sequence.frames) as video:
        tracker = Tracker(model, video)
        tracker.prompt(_OBJECT, 0, Prompt(mask=Rle.encode(sequence.masks[0])))
        return tuple(result[_OBJECT].mask.decode() for result in tracker.propagate(Direction.FORWARD))


def copy_first(sequence: TrueSequence) -> tuple[BoolMask, ...]:
    """The trivial answer: nothing moves."""
    return (sequence.masks[0],) * len(sequence.masks)
