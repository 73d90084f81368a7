"""Answers without a model, or without its memory. A figure without these beside it says little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from sam2_core.evaluation.clicks import bounds, error_centre_click
from sam2_core.evaluation.metrics import jaccard
from sam2_core.evaluation.results import Geometry
from sam2_core.media import Video
from sam2_core.model import SAM2, PromptTensors
from sam2_core.rle import BoolMask, Rle
from sam2_core.tracking.features import FrameFeatures
from sam2_core.tracking.pixels import low_resolution, model_mask, video_logits, video_masks

DISC_RADIUS = 40
DISC_RADII = (30, 55, 110)
"""Pixels, of pictures with a long side of 480."""


def copied(start: int, mask: Rle, frame_count: int) -> dict[int, Rle]:
    """The trivial answer: nothing moves."""
    return dict.fromkeys(range(start, frame_count), mask)


def copied_onwards(masks: Mapping[int, Rle], clicked: Iterable[int], frame_count: int) -> dict[int, Rle]:
    """The same with corrections: every clicked frame's mask, copied to all frames up to the next clicked one."""
    answer: dict[int, Rle] = {}
    for frame in sorted(clicked):
        answer |= copied(frame, masks[frame], frame_count)
    return answer


@torch.inference_mode()
def memoryless(
    model: SAM2, video: Video, starts: Mapping[int, int], prompted: Mapping[int, Rle]
) -> dict[int, dict[int, Rle]]:
    """Every frame decoded from the previous mask alone: what tracking would be without memory attention.

    Args:
        model: in evaluation mode.
        video: its frames.
        starts: first frame by object id.
        prompted: its mask by object id.

    Returns:
        Masks by object id and frame.
    """
    features = FrameFeatures(model, video)
    logits: dict[int, Tensor] = {}
    masks: dict[int, dict[int, Rle]] = {object_id: {} for object_id in starts}
    for frame in range(min(starts.values()), len(video)):
        for object_id, start in starts.items():
            if frame == start:
                given = model_mask(prompted[object_id], model.config.image_size).to(model.device)
                logits[object_id] = low_resolution(given, model.config.mask_size)
                masks[object_id][frame] = prompted[object_id]
            elif frame > start:
                prompt = PromptTensors.nothing(1, model.device, logits[object_id][None])
                seen = features[frame]
                prediction = model.decode(seen, model.condition(seen, None), model.encode_prompt(prompt))
                logits[object_id] = prediction.best().gated().logits_bhw[0]
                (masks[object_id][frame],) = video_masks(
                    [video_logits(logits[object_id][None], video.height, video.width)]
                )
    return masks


def score_geometry(truth: BoolMask) -> Geometry:
    """Scores of the trivial answers on one object ``[H, W]`` of a picture."""
    discs = [jaccard(truth, _disc(truth, radius)) for radius in (DISC_RADIUS, *DISC_RADII)]
    box = bounds(truth)
    filled, round_ = np.zeros_like(truth), np.zeros_like(truth)
    filled[box] = True
    round_[box] = _ellipse(*filled[box].shape)
    return Geometry(discs[0], max(discs[1:]), jaccard(truth, filled), jaccard(truth, round_))


def _disc(truth: BoolMask, radius: int) -> BoolMask:
    """Around where the first click would be."""
    x, y, _ = error_centre_click(truth, np.zeros_like(truth))
    rows, columns = np.ogrid[: truth.shape[0], : truth.shape[1]]
    disc: BoolMask = (columns - x) ** 2 + (rows - y) ** 2 <= radius * radius
    return disc


def _ellipse(height: int, width: int) -> BoolMask:
    """The largest ellipse in a rectangle: pixels whose centres are inside."""
    down = (2 * np.arange(height)[:, None] + 1 - height) / height
    across = (2 * np.arange(width)[None, :] + 1 - width) / width
    ellipse: BoolMask = down**2 + across**2 <= 1
    return ellipse
