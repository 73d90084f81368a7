"""Clips with known masks: pictures set in motion, and real footage, with objects pasted on top.

A picture becomes a clip by a smooth camera path and a slow wave that bends it. Pasted objects follow paths of their
own: some are targets, some hide targets, some are a target's twin, and some vanish for a while and come back. A cut
away to another picture hides every target at once. A picture to learn from is a clip of one frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.errors import Sam2Error
from sam2_core.training.augment import (
    FloatArray,
    affine,
    affine_inverse,
    draw_colours,
    draw_cutout,
    draw_regions,
    draw_weighted,
    grid,
    recolour,
    sample,
)
from sam2_core.training.data import Material
from sam2_core.training.recipe import Augment

SMALLEST_TARGET = 0.0018
"""Share of a view below which an object is not worth a prompt: 120 pixels of 256 x 256."""
_PATIENCE = 500
_PATH_FRAMES = 7
"""Frames in which a path goes about as far as its size says."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Shapes: ``pixels [T, 3, S, S]`` uint8 RGB; ``masks [K, T, S, S]`` uint8, 0 to 255, all visible on frame 0."""

    pixels: Tensor
    masks: Tensor


@dataclass(frozen=True, slots=True)
class ClipMaker:
    """Draws clips.

    Attributes:
        material: pictures and videos.
        size: pixels per side of a clip.
        augment: how they are varied.
    """

    material: Material
    size: int
    augment: Augment

    def picture(self, rng: np.random.Generator, objects: int) -> Clip:
        """One frame with exactly ``objects`` masks; where the picture has fewer, some come more than once."""
        clip = self._draw(rng, 1, objects, real=0.0)
        return Clip(clip.pixels, clip.masks[torch.arange(objects) % len(clip.masks)])

    def clip(self, rng: np.random.Generator, frames: int, objects: int, real: float) -> Clip:
        """Several frames with up to ``objects`` masks; from real footage with the chance ``real``."""
        return self._draw(rng, frames, objects, real)

    def _draw(self, rng: np.random.Generator, frames: int, objects: int, real: float) -> Clip:
        """Drawn again until something is visible on the first frame."""
        for _ in range(_PATIENCE):
            filmed = rng.random() < real
            pixels, masks = self._filmed(rng, frames) if filmed else self._animated(rng, frames, 2 * objects)
            pixels, masks = self._paste(rng, pixels, masks)
            large = masks[:, 0].mean(dim=(1, 2)) >= SMALLEST_TARGET
            masks = masks[large]
            if len(masks):
                pixels, masks = self._cut(rng, pixels, masks)
                order = torch.from_numpy(rng.permutation(len(masks)))[:objects]
                pixels = recolour(rng, pixels, draw_colours(rng, self.augment.colour))
                return Clip(pixels.round().byte(), (255 * masks[order]).round().byte())
        raise Sam2Error(
            f"no object was visible on the first frame of any of {_PATIENCE} clips; check that masks lie on the "
            "objects, and that they are not empty."
        )

    def _filmed(self, rng: np.random.Generator, frames: int) -> tuple[Tensor, Tensor]:
        """Real footage, forward or backward, at up to ``speed`` times its own, through a slowly moving window.

        Where it has fewer frames than are asked for, it runs to and fro.
        """
        videos = draw_weighted(rng, self.material.videos).videos
        footage = videos[rng.integers(len(videos))]
        length, steps = len(footage), max(frames - 1, 1)
        stride = int(rng.integers(1, 1 + max(1, min(self.augment.speed, (length - 1) // steps))))
        start = int(rng.integers(max(1, length - stride * steps)))
        picks = start + stride * np.arange(frames)
        picks = length - 1 - np.abs(picks % max(1, 2 * (length - 1)) - (length - 1))
        if rng.random() < self.augment.reverse:
            picks = picks[::-1]
        images, masks = footage.read(picks.tolist())
        visible = masks[:, 0].flatten(1).any(dim=1)
        layers = torch.cat((images.float(), masks[visible].transpose(0, 1).float()), dim=1)
        focus = _centroid(layers[0, 3]) if visible.any() and rng.random() < 0.7 else rng.uniform(-0.4, 0.4, 2)
        warped = sample(layers, grid(self._camera(rng, frames, focus, self.augment.footage_motion), self.size))
        return warped[:, :3], warped[:, 3:].transpose(0, 1)

    def _animated(self, rng: np.random.Generator, frames: int, objects: int) -> tuple[Tensor, Tensor]:
        """A picture under a camera path and a bending wave."""
        source = draw_weighted(rng, self.material.pictures)
        scene = source.draw(rng)
        masks = draw_regions(rng, scene, source, objects)
        motion = self.augment.motion
        view = grid(self._camera(rng, frames, _centroid(masks[0]), motion), self.size)
        view = view + motion * _wave(rng, frames, self.size)
        warped = sample(torch.cat((scene.image.float(), torch.stack(masks))), view)
        return warped[:, :3], warped[:, 3:].transpose(0, 1)

    def _paste(self, rng: np.random.Generator, pixels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Moving objects on top, each with a chance of a twin and of vanishing for a while."""
        sources = [source for source in self.material.pictures if source.whole_objects]
        chances = self.augment.paste if sources else (1.0,)
        for _ in range(int(rng.choice(len(chances), p=np.array(chances) / sum(chances)))):
            cutout = draw_cutout(rng, sources)
            twin = rng.random() < self.augment.twin
            for copy in range(1 + twin):
                layer = self._fly(rng, cutout, pixels.shape[0])
                alpha = layer[:, 3:]
                pixels = pixels * (1 - alpha) + layer[:, :3] * alpha
                masks = masks * (1 - alpha[:, 0])
                if copy == twin:  # the later of two twins is the target: nothing but its place tells it apart
                    masks = torch.cat((masks, alpha[None, :, 0]))
        return pixels, masks

    def _cut(self, rng: np.random.Generator, pixels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Some frames after the first give way to another picture, where no target is."""
        frames = pixels.shape[0]
        if frames < 3 or not self.material.pictures or rng.random() >= self.augment.cut:
            return pixels, masks
        start = int(rng.integers(1, frames - 1))
        gone = slice(start, start + int(rng.integers(1, 1 + frames // 2)))
        pixels, masks = pixels.clone(), masks.clone()
        pixels[gone] = self._animated(rng, frames, 1)[0][gone]
        masks[:, gone] = 0
        return pixels, masks

    def _camera(self, rng: np.random.Generator, frames: int, focus: FloatArray, motion: float) -> Tensor:
        """Views ``[T, 2, 3]`` round a focus that pan, zoom and turn."""
        augment = self.augment
        whole = rng.random() < augment.whole
        half = rng.uniform(0.9, 1.0) if whole else np.exp(rng.uniform(np.log(augment.zoom), np.log(0.95)))
        aspect = np.exp(rng.normal(0, 0.05 if whole else 0.15))
        zoom = np.exp(_path(rng, frames, 0.2 * motion)).clip(0.5, 1.6)
        sides = np.stack((half * aspect * zoom, half / aspect * zoom), axis=1).clip(0.2, 1.1)
        slack = (1 - sides).clip(0)
        pan = np.stack([_path(rng, frames, 0.2 * motion * half) for _ in range(2)], axis=1)
        centre = (focus + rng.uniform(-0.5, 0.5, 2) * half + pan).clip(-slack, slack)
        turn = rng.normal(0, augment.turn) + _path(rng, frames, 8 * motion)
        shear = float(rng.normal(0, augment.shear))
        mirror = bool(rng.random() < 0.5)
        views = [
            affine((float(c[0]), float(c[1])), (float(s[0]), float(s[1])), float(d), shear, mirror=mirror)
            for c, s, d in zip(centre, sides, turn, strict=True)
        ]
        return torch.stack(views)

    def _fly(self, rng: np.random.Generator, cutout: Tensor, frames: int) -> Tensor:
        """A cutout on a path of its own, ``[T, 4, S, S]`` RGB and opacity; at times it is gone for some frames."""
        half = np.exp(rng.uniform(np.log(0.12), np.log(0.5)))
        halves = half * np.exp(_path(rng, frames, 0.15)).clip(0.5, 2)
        place = rng.uniform(-0.7, 0.7, 2)[:, None] + np.stack([_path(rng, frames, 0.35) for _ in range(2)])
        turn = rng.normal(0, 12) + _path(rng, frames, 10)
        views = [
            affine_inverse((x, y), float(h), float(d), cutout) for x, y, h, d in zip(*place, halves, turn, strict=True)
        ]
        bent = _wave(rng, frames, self.size) if rng.random() < 0.5 else 0
        layer = sample(cutout, grid(torch.stack(views), self.size) + bent)
        if frames > 2 and rng.random() < self.augment.vanish:
            gone = int(rng.integers(1, frames - 1))
            layer[gone : gone + int(rng.integers(1, frames)), 3] = 0
        return layer


def _centroid(mask: Tensor) -> FloatArray:
    """Middle of a mask in -1..1, (x, y); of an empty one, the picture's."""
    total = mask.sum().clamp(min=1e-6)
    x = (mask.sum(dim=0) * torch.linspace(-1, 1, mask.shape[1])).sum() / total
    y = (mask.sum(dim=1) * torch.linspace(-1, 1, mask.shape[0])).sum() / total
    return np.array([float(x), float(y)])


def _path(rng: np.random.Generator, frames: int, size: float) -> FloatArray:
    """A smooth random function of time that starts at zero: a drift and one slow swing. Shape ``[T]``."""
    time = np.arange(frames) / _PATH_FRAMES
    swing = np.sin(time * rng.uniform(0.5, 2.5) + (phase := rng.uniform(0, 2 * np.pi))) - np.sin(phase)
    path: FloatArray = size * (rng.normal(0, 1) * time + rng.normal(0, 0.5) * swing)
    return path


def _wave(rng: np.random.Generator, frames: int, size: int) -> Tensor:
    """Displacements ``[T, size, size, 2]`` of low spatial frequency that grow and sway with time."""
    coarse = torch.from_numpy(rng.normal(0, 1, (2, 2, 4, 4)).astype(np.float32))
    fields = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    strength = torch.from_numpy(np.stack([_path(rng, frames, 0.03) for _ in range(2)]).astype(np.float32))
    return torch.einsum("nt,nhwc->thwc", strength, fields)
