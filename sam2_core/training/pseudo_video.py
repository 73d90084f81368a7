"""Short clips with known masks: pictures set in motion, and real footage, with objects pasted on top.

A picture becomes a clip by a smooth camera path and a slow wave that bends it. Pasted objects follow paths of their
own: some are targets, some hide targets, some are a target's twin, and some vanish for a while and come back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.training.augment import (
    SMALLEST_TARGET,
    affine,
    affine_inverse,
    draw_colours,
    draw_cutout,
    draw_regions,
    draw_scene,
    draw_source,
    grid,
    normalise,
    recolour,
    sample,
)
from sam2_core.training.data import Footage, Source

FloatArray = npt.NDArray[np.float64]
REAL_SHARE = 0.45
"""Share of clips whose background is real footage."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Shapes: ``pixels [T, 3, S, S]`` normalised; ``masks [K, T, S, S]`` in 0..1, all visible on frame 0."""

    pixels: Tensor
    masks: Tensor


@dataclass(frozen=True, slots=True)
class ClipMaker:
    """Draws clips of ``targets`` objects at ``size`` pixels."""

    sources: tuple[Source, ...]
    footage: tuple[Footage, ...]
    size: int
    targets: int = 2

    def draw(self, rng: np.random.Generator, frames: int) -> Clip:
        """One clip; drawn again until something is visible on its first frame."""
        while True:
            real = rng.random() < REAL_SHARE
            pixels, masks = self._filmed(rng, frames) if real else self._animated(rng, frames)
            pixels, masks = self._paste(rng, pixels, masks)
            large = masks[:, 0].sum(dim=(1, 2)) >= SMALLEST_TARGET
            masks = masks[large]
            if len(masks):
                order = torch.from_numpy(rng.permutation(len(masks)))[torch.arange(self.targets) % len(masks)]
                pixels = recolour(rng, pixels, draw_colours(rng)) + float(rng.uniform(0, 4)) * torch.randn(
                    frames, 1, 1, 1
                )
                return Clip(normalise(pixels.clamp(0, 255)), masks[order])

    def _filmed(self, rng: np.random.Generator, frames: int) -> tuple[Tensor, Tensor]:
        """Real footage, forward or backward, at up to three times its speed, through a slowly moving window."""
        footage = self.footage[rng.integers(len(self.footage))]
        length = footage.frames.shape[0]
        stride = int(rng.integers(1, 1 + min(3, (length - 1) // max(frames - 1, 1))))
        start = int(rng.integers(length - stride * (frames - 1)))
        picks = np.arange(frames) * stride + start
        if rng.random() < 0.5:
            picks = picks[::-1]
        index = torch.from_numpy(picks.copy())
        layers = torch.cat((footage.frames[index].float(), footage.masks[index][:, None].float()), dim=1)
        focus = _centroid(layers[0, 3]) if rng.random() < 0.7 else rng.uniform(-0.4, 0.4, 2)
        warped = sample(layers, grid(_camera(rng, frames, focus, motion=0.3), self.size))
        return warped[:, :3], warped[:, 3][None]

    def _animated(self, rng: np.random.Generator, frames: int) -> tuple[Tensor, Tensor]:
        """A picture under a camera path and a bending wave."""
        source = draw_source(rng, self.sources)
        scene = draw_scene(rng, source)
        masks = draw_regions(rng, scene, source, self.targets)
        focus = _centroid(masks[0])
        view = grid(_camera(rng, frames, focus, motion=1.0), self.size) + _wave(rng, frames, self.size)
        warped = sample(torch.cat((scene.image.float(), torch.stack(masks))), view)
        return warped[:, :3], warped[:, 3:].transpose(0, 1)

    def _paste(self, rng: np.random.Generator, pixels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Up to two moving objects on top, each with a chance of a twin and of vanishing for a while."""
        for _ in range(int(rng.choice(3, p=[0.3, 0.45, 0.25]))):
            cutout = draw_cutout(rng, self.sources)
            twin = rng.random() < 0.3
            for copy in range(1 + twin):
                alpha_rgb = _fly(rng, cutout, pixels.shape[0], self.size)
                alpha = alpha_rgb[:, 3:]
                pixels = pixels * (1 - alpha) + alpha_rgb[:, :3] * alpha
                masks = masks * (1 - alpha[:, 0])
                if copy == twin:  # the later of two twins is the target: nothing but its place tells it apart
                    masks = torch.cat((masks, alpha[None, :, 0]))
        return pixels, masks


def _centroid(mask: Tensor) -> FloatArray:
    """Middle of a mask in -1..1, (x, y); of an empty one, the picture's."""
    total = mask.sum().clamp(min=1e-6)
    x = (mask.sum(dim=0) * torch.linspace(-1, 1, mask.shape[1])).sum() / total
    y = (mask.sum(dim=1) * torch.linspace(-1, 1, mask.shape[0])).sum() / total
    return np.array([float(x), float(y)])


def _path(rng: np.random.Generator, frames: int, size: float) -> FloatArray:
    """A smooth random function of time that starts at zero: a drift and one slow swing. Shape ``[T]``."""
    time = np.arange(frames) / 7
    swing = np.sin(time * rng.uniform(0.5, 2.5) + (phase := rng.uniform(0, 2 * np.pi))) - np.sin(phase)
    path: FloatArray = size * (rng.normal(0, 1) * time + rng.normal(0, 0.5) * swing)
    return path


def _camera(rng: np.random.Generator, frames: int, focus: FloatArray, motion: float) -> Tensor:
    """Views ``[T, 2, 3]`` round a focus that pan, zoom and turn."""
    whole = rng.random() < 0.4
    half = rng.uniform(0.9, 1.0) if whole else np.exp(rng.uniform(np.log(0.45), np.log(0.95)))
    aspect = np.exp(rng.normal(0, 0.12))
    zoom = np.exp(_path(rng, frames, 0.2 * motion)).clip(0.5, 1.6)
    sides = np.stack((half * aspect * zoom, half / aspect * zoom), axis=1).clip(0.2, 1.1)
    slack = (1 - sides).clip(0)
    pan = np.stack([_path(rng, frames, 0.2 * motion * half) for _ in range(2)], axis=1)
    centre = (focus + rng.uniform(-0.4, 0.4, 2) * half + pan).clip(-slack, slack)
    turn = rng.normal(0, 5) + _path(rng, frames, 8 * motion)
    mirror = bool(rng.random() < 0.5)
    views = [
        affine((float(c[0]), float(c[1])), (float(s[0]), float(s[1])), float(d), mirror=mirror)
        for c, s, d in zip(centre, sides, turn, strict=True)
    ]
    return torch.stack(views)


def _wave(rng: np.random.Generator, frames: int, size: int) -> Tensor:
    """Displacements ``[T, size, size, 2]`` of low spatial frequency that grow and sway with time."""
    coarse = torch.from_numpy(rng.normal(0, 1, (2, 2, 4, 4)).astype(np.float32))
    fields = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    strength = torch.from_numpy(np.stack([_path(rng, frames, 0.03) for _ in range(2)]).astype(np.float32))
    return torch.einsum("nt,nhwc->thwc", strength, fields)


def _fly(rng: np.random.Generator, cutout: Tensor, frames: int, size: int) -> Tensor:
    """A cutout on a path of its own, ``[T, 4, size, size]`` RGB and opacity; at times it is gone for some frames."""
    half = np.exp(rng.uniform(np.log(0.12), np.log(0.5)))
    halves = half * np.exp(_path(rng, frames, 0.15)).clip(0.5, 2)
    place = rng.uniform(-0.7, 0.7, 2)[:, None] + np.stack([_path(rng, frames, 0.35) for _ in range(2)])
    turn = rng.normal(0, 10) + _path(rng, frames, 10)
    views = [
        affine_inverse((x, y), float(h), float(d), cutout) for x, y, h, d in zip(*place, halves, turn, strict=True)
    ]
    layer = sample(cutout, grid(torch.stack(views), size) + (_wave(rng, frames, size) if rng.random() < 0.5 else 0))
    if frames > 2 and rng.random() < 0.2:
        gone = int(rng.integers(1, frames - 1))
        layer[gone : gone + int(rng.integers(1, frames)), 3] = 0
    return layer
