"""Things that need no data: a toy in which only prompts matter, and painted blobs.

A minute on the toy teaches prompt encoder and decoder what clicks, boxes, corrections and masks mean, before there is
any image feature worth looking at; it saves hundreds of steps of the real thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from sam2_core.config import ModelConfig
from sam2_core.model import ImageFeatures, PromptTensors
from sam2_core.training.initialise import FEATURE_STD, SKIP_STD


@dataclass(frozen=True, slots=True)
class Toy:
    """Prompts on meaningless features. Shapes: ``target [B, 4h, 4w]`` in 0..1."""

    features: ImageFeatures
    prompt: PromptTensors
    target: Tensor

    def __getitem__(self, rows: Sequence[int]) -> Toy:
        """Some of them."""
        index, mask = torch.tensor(rows), self.prompt.mask_logits_bhw
        points, labels = self.prompt.points_bn2[index], self.prompt.labels_bn[index]
        prompt = PromptTensors(points, labels, None if mask is None else mask[index])
        return Toy(self.features[index], prompt, self.target[index])

    def to(self, device: torch.device) -> Toy:
        """The same on a device."""
        features = ImageFeatures(*(getattr(self.features, f.name).to(device) for f in fields(self.features)))
        mask = self.prompt.mask_logits_bhw
        points, labels = self.prompt.points_bn2.to(device), self.prompt.labels_bn.to(device)
        prompt = PromptTensors(points, labels, None if mask is None else mask.to(device))
        return Toy(features, prompt, self.target.to(device))


def random_features(rng: np.random.Generator, config: ModelConfig, batch: int) -> ImageFeatures:
    """Noise with the sizes that image features have at the start of training."""
    dim, grid = config.model_dim, config.grid
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    return ImageFeatures(
        SKIP_STD * torch.randn(batch, dim // 8, 4 * grid, 4 * grid, generator=generator),
        SKIP_STD * torch.randn(batch, dim // 4, 2 * grid, 2 * grid, generator=generator),
        FEATURE_STD * torch.randn(batch, dim, grid, grid, generator=generator),
    )


def click_toy(rng: np.random.Generator, config: ModelConfig, batch: int) -> Toy:
    """A click means the disc round it; how large nobody can know."""
    centre, radius = _centres(rng, batch), np.exp(rng.uniform(np.log(0.05), np.log(0.3), (batch, 1)))
    target = ellipses(centre, np.repeat(radius, 2, axis=1), config.mask_size)
    return Toy(random_features(rng, config, batch), _points(centre[:, None], np.ones((batch, 1)), config), target)


def box_toy(rng: np.random.Generator, config: ModelConfig, batch: int) -> Toy:
    """A box means the ellipse in it."""
    centre, radii = _centres(rng, batch), np.exp(rng.uniform(np.log(0.04), np.log(0.45), (batch, 2)))
    corners = np.stack((centre - radii, centre + radii), axis=1).clip(0, 1)
    target = ellipses(corners.mean(axis=1), (corners[:, 1] - corners[:, 0]) / 2, config.mask_size)
    labels = np.tile([2, 3], (batch, 1))
    return Toy(random_features(rng, config, batch), _points(corners, labels, config), target)


def correction_toy(rng: np.random.Generator, config: ModelConfig, batch: int) -> Toy:
    """A mask with a click: a positive one adds a disc to the mask, a negative one takes a disc away."""
    centre, radii = _centres(rng, batch), np.exp(rng.uniform(np.log(0.1), np.log(0.3), (batch, 2)))
    mask = ellipses(centre, radii, config.mask_size)
    positive = rng.random((batch, 1)) < 0.5
    angle = rng.uniform(0, 2 * np.pi, batch)
    border = centre + radii * np.stack((np.cos(angle), np.sin(angle)), axis=1) * np.where(positive, 1.2, 0.6)
    click = border.clip(0.02, 0.98)
    disc = ellipses(click, 0.5 * np.repeat(radii.min(axis=1, keepdims=True), 2, axis=1), config.mask_size)
    added = torch.from_numpy(positive[:, :, None])
    target = torch.where(added, torch.maximum(mask, disc), mask * (1 - disc))
    prompt = _points(click[:, None], positive.astype(np.int64), config)
    strength = float(rng.uniform(3, 12))
    logits = (2 * mask - 1) * strength
    return Toy(random_features(rng, config, batch), PromptTensors(prompt.points_bn2, prompt.labels_bn, logits), target)


def ellipses(centre: np.ndarray, radii: np.ndarray, size: int) -> Tensor:
    """Soft-edged ellipses. Shapes: ``centre, radii [B, 2]`` as shares of the side -> ``[B, size, size]`` in 0..1."""
    axis = (np.arange(size) + 0.5) / size
    x = (axis[None, None, :] - centre[:, 0, None, None]) / radii[:, 0, None, None].clip(1e-3)
    y = (axis[None, :, None] - centre[:, 1, None, None]) / radii[:, 1, None, None].clip(1e-3)
    distance = (1 - np.sqrt(x**2 + y**2)) * radii.mean(axis=1)[:, None, None] * size
    return torch.from_numpy((distance + 0.5).clip(0, 1).astype(np.float32))


def _centres(rng: np.random.Generator, batch: int) -> np.ndarray:
    return rng.uniform(0.1, 0.9, (batch, 2))


def _points(points: np.ndarray, labels: np.ndarray, config: ModelConfig) -> PromptTensors:
    pixels = points * config.image_size - 0.5
    return PromptTensors(torch.from_numpy(pixels.astype(np.float32)), torch.from_numpy(labels.astype(np.int64)))
