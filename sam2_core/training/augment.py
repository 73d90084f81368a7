"""Views of pictures: a crop, a turn, other colours, an object pasted in. All warping is one ``grid_sample``.

Sampling grids are in the units of ``torch.nn.functional.grid_sample``: -1 and 1 are the picture's borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.training.data import Region, Scene, Source

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
SMALLEST_TARGET = 120
"""Pixels of a 256 x 256 view; less is not worth a prompt."""


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Shapes: ``pixels [B, 3, S, S]`` normalised; ``masks [B, K, S, S]`` and ``targets [B, K, S/4, S/4]`` in 0..1."""

    pixels: Tensor
    masks: Tensor
    targets: Tensor


def normalise(pixels: Tensor) -> Tensor:
    """RGB 0..255 as the model wants it. Shapes: ``[..., 3, H, W]``."""
    return (pixels / 255 - MEAN) / STD


def soft_targets(masks: Tensor) -> Tensor:
    """Masks at stride 4, by area. Shapes: ``[B, K, S, S] -> [B, K, S/4, S/4]``."""
    return F.avg_pool2d(masks, 4)


def affine(
    centre: tuple[float, float], half: tuple[float, float], degrees: float = 0.0, *, mirror: bool = False
) -> Tensor:
    """Matrix ``[2, 3]`` of a view: its centre, its half sides (1 = the whole picture), its turn."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    flip = -1.0 if mirror else 1.0
    rows = [[half[0] * cos * flip, -half[0] * sin, centre[0]], [half[1] * sin * flip, half[1] * cos, centre[1]]]
    return torch.tensor(rows, dtype=torch.float32)


def grid(matrix: Tensor, size: int) -> Tensor:
    """Sampling grids of affine views. Shapes: ``[T, 2, 3] -> [T, size, size, 2]``."""
    return F.affine_grid(matrix, [matrix.shape[0], 1, size, size], align_corners=False)


def sample(picture: Tensor, sampling_grid: Tensor, padding: str = "zeros") -> Tensor:
    """Shapes: ``picture [C, H, W]`` or ``[T, C, H, W]``, grid ``[T, S, S, 2]`` -> ``[T, C, S, S]``."""
    frames = picture if picture.ndim == 4 else picture.expand(sampling_grid.shape[0], *picture.shape)
    return F.grid_sample(frames, sampling_grid, padding_mode=padding, align_corners=False)


def draw_source(rng: np.random.Generator, sources: tuple[Source, ...]) -> Source:
    """One source, by weight."""
    weights = np.array([source.weight for source in sources])
    return sources[rng.choice(len(sources), p=weights / weights.sum())]


def draw_scene(rng: np.random.Generator, source: Source) -> Scene:
    """One of its pictures."""
    return source.scenes[rng.integers(len(source.scenes))]


def draw_view(rng: np.random.Generator, focus: Region) -> Tensor:
    """A view ``[2, 3]`` that shows at least the middle of a region; every third one is nearly the whole picture."""
    whole = rng.random() < 0.35
    half = rng.uniform(0.9, 1.0) if whole else np.exp(rng.uniform(np.log(0.4), 0.0))
    aspect = np.exp(rng.normal(0, 0.05 if whole else 0.18))
    sides = (min(half * aspect, 1.05), min(half / aspect, 1.05))
    x0, y0, x1, y1 = focus.box
    centre = [0.0, 0.0]
    for axis, middle in enumerate((x0 + x1 - 1, y0 + y1 - 1)):
        slack = max(0.0, 1 - sides[axis])
        centre[axis] = float(np.clip(middle + rng.uniform(-0.7, 0.7) * sides[axis], -slack, slack))
    turn = float(rng.normal(0, 4 if whole else 10))
    return affine((centre[0], centre[1]), sides, turn, mirror=bool(rng.random() < 0.5))


def draw_regions(rng: np.random.Generator, scene: Scene, source: Source, count: int) -> list[Tensor]:
    """Masks ``[H, W]`` float of some regions; parts of a partition are at times united with a neighbour."""
    areas = np.sqrt([region.area for region in scene.regions])
    picks = rng.choice(len(scene.regions), min(count, len(scene.regions)), replace=False, p=areas / areas.sum())
    masks = [scene.mask(scene.regions[pick]) for pick in picks]
    if source.partition:
        masks = [
            mask | _neighbour(rng, scene, scene.regions[pick], mask) for pick, mask in zip(picks, masks, strict=True)
        ]
    return [mask.float() for mask in masks]


def _neighbour(rng: np.random.Generator, scene: Scene, region: Region, mask: Tensor) -> Tensor:
    if rng.random() >= 0.25:
        return mask
    layer = scene.layers[region.layer]
    grown = F.max_pool2d(mask.float()[None], 5, stride=1, padding=2)[0] > 0
    touching = torch.bincount(layer[grown & ~mask].long(), minlength=1)
    touching[0] = 0
    return layer == touching.argmax() if touching.any() else mask


def image_batch(
    rng: np.random.Generator, sources: tuple[Source, ...], size: int, images: int, targets: int
) -> ImageBatch:
    """Pictures with ``targets`` masks each, for one step."""
    views = [_image_view(rng, sources, size, targets) for _ in range(images)]
    masks = torch.stack([mask for _, mask in views])
    return ImageBatch(normalise(torch.stack([pixels for pixels, _ in views])), masks, soft_targets(masks))


def _image_view(
    rng: np.random.Generator, sources: tuple[Source, ...], size: int, targets: int
) -> tuple[Tensor, Tensor]:
    """One view ``[3, S, S]`` in 0..255 and masks ``[K, S, S]``, none too small; drawn again until there are any."""
    while True:
        source = draw_source(rng, sources)
        scene = draw_scene(rng, source)
        masks = draw_regions(rng, scene, source, 2 * targets)
        view = grid(draw_view(rng, scene.regions[rng.integers(len(scene.regions))])[None], size)
        warped = sample(torch.cat((scene.image.float(), torch.stack(masks))), view)[0]
        pixels, found = warped[:3], warped[3:]
        if rng.random() < 0.4:
            pixels, found = _paste(rng, sources, pixels, found)
        found = found[found.sum(dim=(1, 2)) >= SMALLEST_TARGET]
        if len(found):
            order = torch.from_numpy(rng.permutation(len(found)))[torch.arange(targets) % len(found)]
            return recolour(rng, pixels, draw_colours(rng)), found[order]


def _paste(
    rng: np.random.Generator, sources: tuple[Source, ...], pixels: Tensor, masks: Tensor
) -> tuple[Tensor, Tensor]:
    """One to two objects of other pictures on top; each becomes a target and hides what is under it."""
    for _ in range(int(rng.integers(1, 3))):
        cutout = draw_cutout(rng, sources)
        half = float(np.exp(rng.uniform(np.log(0.1), np.log(0.45))))
        place = affine_inverse(tuple(rng.uniform(-0.8, 0.8, 2)), half, float(rng.normal(0, 15)), cutout)
        layer = sample(cutout, grid(place[None], pixels.shape[-1]))[0]
        alpha = layer[3:]
        pixels = pixels * (1 - alpha) + layer[:3] * alpha
        masks = torch.cat((masks * (1 - alpha), alpha))
    return pixels, masks


def draw_cutout(rng: np.random.Generator, sources: tuple[Source, ...]) -> Tensor:
    """A whole object cut out of its picture: RGB and mask, ``[4, h, w]`` in 0..255 and 0..1."""
    things = [source for source in sources if source.things]
    scene = draw_scene(rng, draw_source(rng, tuple(things)))
    large = [region for region in scene.regions if region.area > 0.01] or list(scene.regions)
    region = large[rng.integers(len(large))]
    height, width = scene.image.shape[1:]
    x0, y0, x1, y1 = (round(v * s) for v, s in zip(region.box, (width, height, width, height), strict=True))
    layers = torch.cat((scene.image.float(), scene.mask(region)[None].float()))
    return layers[:, max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1]


def affine_inverse(centre: tuple[float, ...], half: float, degrees: float, cutout: Tensor) -> Tensor:
    """Matrix ``[2, 3]`` that puts a cutout at ``centre``, its longer half side ``half``, both in the view's units."""
    height, width = cutout.shape[1:]
    sides = np.array([width, height]) / max(width, height) * half
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    linear = np.array([[cos, sin], [-sin, cos]]) / sides[:, None]
    return torch.from_numpy(np.column_stack((linear, -linear @ np.array(centre))).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Colours:
    """Changes of a picture's colours; all frames of a clip share one."""

    gains: Tensor
    offset: float
    saturation: float
    noise: float
    blur: bool


def draw_colours(rng: np.random.Generator) -> Colours:
    """Brightness, tint, contrast and saturation; rarely grey, blurred or noisy."""
    tint = torch.from_numpy(np.exp(rng.normal(0, 0.08, (3, 1, 1)) + rng.normal(0, 0.15)).astype(np.float32))
    grey = rng.random() < 0.05
    return Colours(
        gains=tint,
        offset=float(rng.normal(0, 12)),
        saturation=0.0 if grey else float(np.exp(rng.normal(0, 0.25))),
        noise=float(rng.uniform(1, 8)) if rng.random() < 0.2 else 0.0,
        blur=bool(rng.random() < 0.15),
    )


def recolour(rng: np.random.Generator, pixels: Tensor, colours: Colours) -> Tensor:
    """Shapes: ``[..., 3, H, W]`` in 0..255, clipped to it again."""
    grey = pixels.mean(dim=-3, keepdim=True)
    pixels = (grey + (pixels - grey) * colours.saturation) * colours.gains + colours.offset
    if colours.blur:
        shape = pixels.shape
        pixels = F.avg_pool2d(pixels.reshape(-1, *shape[-3:]), 3, stride=1, padding=1, count_include_pad=False).view(
            shape
        )
    if colours.noise:
        seed = torch.Generator().manual_seed(int(rng.integers(2**31)))
        pixels = pixels + colours.noise * torch.randn(pixels.shape, generator=seed)
    return pixels.clamp(0, 255)
