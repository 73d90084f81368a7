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
from sam2_core.model import SAM2, ImageFeatures, PromptTensors
from sam2_core.rle import BoolMask, Rle
from sam2_core.tracking.behaviour import Behaviour
from sam2_core.tracking.features import FrameFeatures
from sam2_core.tracking.pixels import given_logits, low_resolution, model_mask, video_logits, video_masks
from sam2_core.tracking.steps import filled

DISC_RADIUS = 40
"""In the picture's own pixels, whatever its size: it was chosen on pictures of 480 and is small beside larger ones."""
DISC_RADII = (30, 55, 110)
"""Likewise; the best of the three counts, as the best of three candidates does."""


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
    model: SAM2, video: Video, starts: Mapping[int, int], prompted: Mapping[int, Rle], behaviour: Behaviour
) -> dict[int, dict[int, Rle]]:
    """Every frame decoded from the previous mask alone: what tracking would be without memory attention.

    All else is as in tracking: holes are filled, and objects stay apart where they do there.

    Args:
        model: in evaluation mode.
        video: its frames.
        starts: first frame by object id.
        prompted: its mask by object id.
        behaviour: of the tracker beside which this stands.

    Returns:
        Masks by object id and frame.
    """
    features = FrameFeatures(model, video)
    logits: dict[int, Tensor] = {}
    masks: dict[int, dict[int, Rle]] = {object_id: {} for object_id in starts}
    for frame in range(min(starts.values()), len(video)):
        if logits:
            found = _decoded(model, features[frame], torch.stack([*logits.values()]), behaviour)
            logits = dict(zip(logits, found, strict=True))
        shown = {each: video_logits(held[None], video.height, video.width) for each, held in logits.items()}
        for object_id in (each for each, start in starts.items() if start == frame):
            given = model_mask(prompted[object_id], model.config.image_size).to(model.device)
            logits[object_id] = low_resolution(given, model.config.mask_size)
            shown[object_id] = given_logits(prompted[object_id], model.device)
        for object_id, mask in zip(shown, video_masks(shown.values(), apart=behaviour.objects_apart), strict=True):
            masks[object_id][frame] = mask
    return masks


def _decoded(model: SAM2, features: ImageFeatures, previous_bhw: Tensor, behaviour: Behaviour) -> Tensor:
    """Logits ``[B, 4h, 4w]`` of a frame, from those of the frame before."""
    prompt = PromptTensors.nothing(len(previous_bhw), model.device, previous_bhw)
    prediction = model.decode(features, model.condition(features, None), model.encode_prompt(prompt))
    return filled(prediction.best().gated(), behaviour).logits_bhw


def score_geometry(truth: BoolMask, ignored: BoolMask | None = None) -> Geometry:
    """Scores of the trivial answers on one object of a picture.

    Args:
        truth: the object, ``[H, W]``.
        ignored: pixels that count for nothing, ``[H, W]``.
    """
    box = bounds(truth)
    filled, round_ = np.zeros_like(truth), np.zeros_like(truth)
    filled[box] = True
    round_[box] = _ellipse(*filled[box].shape)
    answers = (*(_disc(truth, radius) for radius in (DISC_RADIUS, *DISC_RADII)), filled, round_)
    disc, *discs, rectangle, ellipse = (
        jaccard(truth, each if ignored is None else each & ~ignored) for each in answers
    )
    return Geometry(disc, max(discs), rectangle, ellipse)


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
