"""A model that computes nothing worth the name: a few numbers a frame, so that all around it is tested in milliseconds.

It sees bright things: the middle of all that is red is what its image features say. A click's answer is a disc around
the clicks. A tracked object is where memory last saw it, drawn most of the way to the middle of what is red now: so
masks depend on memories, corrections wear off, and a sweep that looks at the wrong memories ends elsewhere.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from sam2_core.config import POCKET
from sam2_core.media import Video, video_from_array
from sam2_core.model import (
    GIVEN_MASK_LOGIT,
    SAM2,
    EncodedPrompt,
    ImageFeatures,
    MaskPrediction,
    MemoryContext,
    PromptTensors,
    Selection,
)

SIDE = 64
HEIGHT, WIDTH = 24, 32
_RADII = (4.0, 3.0, 4.0, 6.0)
"""Of mask 0 and the three candidates, in cells of the mask."""


class FakeModel:
    """The verbs of :class:`sam2_core.model.SAM2`, for objects that are discs.

    Args:
        score: the object score of whatever is tracked or clicked.
    """

    def __init__(self, score: float = 5.0) -> None:
        self.config = POCKET.at_size(SIDE)
        self.device = torch.device("cpu")
        self.compute_dtype = torch.float32
        self.score = score
        self.encoded: list[str] = []
        """One entry for each frame that was encoded."""

    def to(self, device: torch.device) -> FakeModel:
        assert device.type
        return self

    def to_precision(self, dtype: torch.dtype) -> FakeModel:
        assert dtype.is_floating_point
        return self

    def encode_image(self, pixels_b3hw: Tensor) -> ImageFeatures:
        self.encoded.append("frame")
        brightness = (pixels_b3hw[:, 0] - pixels_b3hw[:, 0].amin()).clamp(min=1e-6)
        middle = _middle(brightness) * self.config.mask_size / SIDE
        return ImageFeatures(torch.zeros(1), torch.zeros(1), middle)

    def encode_prompt(self, prompt: PromptTensors) -> EncodedPrompt:
        clicks = prompt.points_bn2 * self.config.mask_size / SIDE
        wanted = prompt.labels_bn > 0
        count = wanted.sum(1, keepdim=True)
        middle = (clicks * wanted[..., None]).sum(1) / count.clamp(min=1)
        away = 0.25 * (prompt.labels_bn == 0).sum(1, keepdim=True)
        if prompt.mask_logits_bhw is not None:  # what is refined counts, too
            middle = 0.8 * middle + 0.2 * _middle(prompt.mask_logits_bhw.sigmoid())
        return EncodedPrompt(middle + away, count.float())

    def condition(self, features: ImageFeatures, context: MemoryContext | None) -> Tensor:
        """``[B, 2]``: where memory expects the object; not a number where there is none."""
        if context is None:
            return torch.full_like(features.s16_bchw, torch.nan)
        places = context.maps_bldhw[:, :, :2, 0, 0]
        weights = 1.0 / (1 + context.rows_bl[..., None]) ** 3  # of the frame before, above all
        remembered = (places * weights).sum(1) / weights.sum(1)
        pointers = context.pointers_bpc[..., :2]
        told = pointers.mean(1) if pointers.shape[1] else remembered
        return 0.2 * remembered + 0.01 * told + 0.79 * features.s16_bchw

    def decode(self, features: ImageFeatures, conditioned_bchw: Tensor, prompt: EncodedPrompt) -> MaskPrediction:
        expected = torch.where(conditioned_bchw.isnan(), features.s16_bchw, conditioned_bchw)
        said = prompt.dense_bchw > 0
        leaning = 0.9 * prompt.sparse_bnc + 0.1 * expected
        place = torch.where(said, leaning, expected)
        masks = torch.stack([_disc(place, radius, self.config.mask_size) for radius in _RADII], dim=1)
        count = place.shape[0]
        iou = torch.tensor([[0.9, 0.6, 0.8, 0.7]]).expand(count, -1)
        pointers = torch.stack([torch.cat((place, torch.full((count, 1), r)), dim=1) for r in _RADII], dim=1)
        return MaskPrediction(masks, iou, pointers, torch.full((count,), self.score), torch.full((1, 3), -9.0))

    def adopt_mask(self, features: ImageFeatures, mask_bhw: Tensor) -> Selection:
        del features
        size = self.config.mask_size
        low = torch.nn.functional.interpolate(mask_bhw[:, None], size=(size, size), mode="area")[:, 0]
        present = mask_bhw.flatten(1).any(dim=1)
        place = torch.cat((_middle(low.clamp(min=1e-6)), torch.full((mask_bhw.shape[0], 1), 4.0)), dim=1)
        score = torch.where(present, GIVEN_MASK_LOGIT, -GIVEN_MASK_LOGIT)
        return Selection(low * 2 * GIVEN_MASK_LOGIT - GIVEN_MASK_LOGIT, torch.ones(len(low)), place, score)

    def remember(self, features: ImageFeatures, mask_bhw: Tensor, object_score_b: Tensor) -> Tensor:
        del features
        place = _middle(mask_bhw.clamp(min=1e-6)) * self.config.mask_size / SIDE
        return torch.cat((place, object_score_b[:, None]), dim=1)[:, :, None, None]


def fake_model(score: float = 5.0) -> SAM2:
    """A :class:`FakeModel` that passes for a model."""
    return cast(SAM2, FakeModel(score))


def fake_clip(count: int = 20) -> Video:
    """A red square that moves to the right on black."""
    frames = np.zeros((count, HEIGHT, WIDTH, 3), np.uint8)
    for index in range(count):
        left = 4 + index * 16 // max(count, 1)
        frames[index, 8:16, left : left + 8, 0] = 255
    return video_from_array(frames, name="fake")


def _middle(weights_bhw: Tensor) -> Tensor:
    """Centre of gravity as (x, y), ``[B, 2]``."""
    rows = torch.arange(weights_bhw.shape[1]) + 0.5
    columns = torch.arange(weights_bhw.shape[2]) + 0.5
    total = weights_bhw.sum((1, 2))
    x = (weights_bhw.sum(1) * columns).sum(1) / total
    y = (weights_bhw.sum(2) * rows).sum(1) / total
    return torch.stack((x, y), dim=1)


def _disc(place_b2: Tensor, radius: float, size: int) -> Tensor:
    grid = torch.arange(size) + 0.5
    across = grid[None, None, :] - place_b2[:, 0, None, None]
    down = grid[None, :, None] - place_b2[:, 1, None, None]
    return radius - (across**2 + down**2).sqrt()
