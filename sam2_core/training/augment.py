"""Views of pictures: a crop, a turn, other colours, cutouts. All warping is one ``grid_sample``.

Sampling grids are in the units of ``torch.nn.functional.grid_sample``: -1 and 1 are the picture's borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.training.data import PictureSource, Scene

FloatArray = npt.NDArray[np.float64]


class _Weighted(Protocol):
    @property
    def weight(self) -> float: ...


W = TypeVar("W", bound=_Weighted)


def draw_weighted(rng: np.random.Generator, sources: Sequence[W]) -> W:
    """One source, by weight."""
    weights = np.array([source.weight for source in sources])
    return sources[rng.choice(len(sources), p=weights / weights.sum())]


def affine(
    centre: tuple[float, float],
    half: tuple[float, float],
    degrees: float = 0.0,
    shear: float = 0.0,
    *,
    mirror: bool = False,
) -> Tensor:
    """Matrix ``[2, 3]`` of a view: centre, half sides (1 = the whole picture), turn and shear in degrees."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1.0, np.tan(np.deg2rad(shear))], [0.0, 1.0]])
    linear = np.diag(half) @ linear @ np.diag([-1.0 if mirror else 1.0, 1.0])
    return torch.from_numpy(np.column_stack((linear, centre)).astype(np.float32))


def affine_inverse(centre: tuple[float, ...], half: float, degrees: float, cutout: Tensor) -> Tensor:
    """Matrix ``[2, 3]`` that puts a cutout at ``centre``, its longer half side ``half``, both in the view's units."""
    height, width = cutout.shape[1:]
    sides = np.array([width, height]) / max(width, height) * half
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    linear = np.array([[cos, sin], [-sin, cos]]) / sides[:, None]
    return torch.from_numpy(np.column_stack((linear, -linear @ np.array(centre))).astype(np.float32))


def grid(matrix: Tensor, size: int) -> Tensor:
    """Sampling grids of affine views. Shapes: ``[T, 2, 3] -> [T, size, size, 2]``."""
    return F.affine_grid(matrix, [matrix.shape[0], 1, size, size], align_corners=False)


def sample(picture: Tensor, sampling_grid: Tensor) -> Tensor:
    """Shapes: ``picture [C, H, W]`` or ``[T, C, H, W]``, grid ``[T, S, S, 2]`` -> ``[T, C, S, S]``; outside is 0."""
    frames = picture if picture.ndim == 4 else picture.expand(sampling_grid.shape[0], *picture.shape)
    return F.grid_sample(frames, sampling_grid, padding_mode="zeros", align_corners=False)


def draw_regions(rng: np.random.Generator, scene: Scene, source: PictureSource, count: int) -> list[Tensor]:
    """Masks ``[H, W]`` float of some regions; parts of a partition are at times united with a neighbour."""
    areas = np.sqrt([region.area for region in scene.regions])
    picks = rng.choice(len(scene.regions), min(count, len(scene.regions)), replace=False, p=areas / areas.sum())
    masks = []
    for pick in picks:
        region = scene.regions[pick]
        mask = scene.mask(region)
        if source.partition and rng.random() < _UNITED:
            mask = mask | _neighbour(scene.layers[region.layer], mask)
        masks.append(mask.float())
    return masks


_UNITED = 0.25


def _neighbour(layer: Tensor, mask: Tensor) -> Tensor:
    """The part that shares the longest border with a mask; the mask itself where it has none."""
    grown = F.max_pool2d(mask.float()[None], 5, stride=1, padding=2)[0] > 0
    touching = torch.bincount(layer[grown & ~mask].long(), minlength=1)
    touching[0] = 0
    return layer == touching.argmax() if touching.any() else mask


def draw_cutout(rng: np.random.Generator, sources: Sequence[PictureSource]) -> Tensor:
    """A whole object cut out of its picture: RGB and mask, ``[4, h, w]`` in 0..255 and 0..1."""
    scene = draw_weighted(rng, sources).draw(rng)
    large = [region for region in scene.regions if region.area > _LARGE] or list(scene.regions)
    region = large[rng.integers(len(large))]
    height, width = scene.image.shape[1:]
    x0, y0, x1, y1 = (round(v * s) for v, s in zip(region.box, (width, height, width, height), strict=True))
    layers = torch.cat((scene.image.float(), scene.mask(region)[None].float()))
    return layers[:, max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1]


_LARGE = 0.01
"""Share of a picture from which on an object has enough pixels to be pasted elsewhere."""


@dataclass(frozen=True, slots=True)
class Colours:
    """Changes of a picture's colours; all frames of a clip share one. Shapes: ``gains [3, 1, 1]``."""

    gains: Tensor
    offset: float
    saturation: float
    noise: float
    blur: bool


def draw_colours(rng: np.random.Generator, strength: float) -> Colours:
    """Brightness, tint, contrast and saturation; rarely grey, blurred or noisy."""
    tint = np.exp(strength * (rng.normal(0, 0.08, (3, 1, 1)) + rng.normal(0, 0.15)))
    grey = rng.random() < 0.05
    return Colours(
        gains=torch.from_numpy(tint.astype(np.float32)),
        offset=float(rng.normal(0, 12 * strength)),
        saturation=0.0 if grey else float(np.exp(rng.normal(0, 0.25 * strength))),
        noise=float(strength * rng.uniform(1, 8)) if rng.random() < 0.2 else 0.0,
        blur=bool(rng.random() < 0.15 * strength),
    )


def recolour(rng: np.random.Generator, pixels: Tensor, colours: Colours) -> Tensor:
    """Shapes: ``[T, 3, H, W]`` in 0..255, clipped to it again."""
    grey = pixels.mean(dim=1, keepdim=True)
    pixels = (grey + (pixels - grey) * colours.saturation) * colours.gains + colours.offset
    if colours.blur:
        pixels = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
    if colours.noise:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        pixels = pixels + colours.noise * torch.randn(pixels.shape, generator=generator)
    return pixels.clamp(0, 255)
