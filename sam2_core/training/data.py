"""Training data, decoded once: pictures with masks that may overlap, and short videos with one masked object.

The data folder holds ``images/``, ``vos_train/`` and ``splits.json``, which says what may be trained on. A scene keeps
its masks in as few label maps as overlaps allow, because label maps are small and a mask is one comparison away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from sam2_core.evaluation.datasets import coco_polygons, paint_polygons, read_splits

LONG_SIDE = 384
"""Pictures are kept at this size: one and a half times what the model sees, so crops stay sharp."""
SMALLEST_AREA = 0.0015
"""Share of the picture below which a mask is noise to a model that sees 256 x 256 pixels."""
HELD_OUT_SEQUENCES = frozenset({"rhino", "stroller"})
"""Training sequences that are kept for validation; never trained on."""

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Region:
    """One mask of a scene: where ``layers[layer] == value``; its box and area as shares of the picture."""

    layer: int
    value: int
    box: tuple[float, float, float, float]
    area: float


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture with everything that was masked in it.

    Attributes:
        image: ``[3, H, W]`` uint8, RGB.
        layers: ``[L, H, W]`` uint8 label maps, 0 = nothing; masks of one layer never overlap.
        regions: the masks that are large enough to learn from.
    """

    image: torch.Tensor
    layers: torch.Tensor
    regions: tuple[Region, ...]

    def mask(self, region: Region) -> torch.Tensor:
        """``[H, W]`` booleans."""
        return self.layers[region.layer] == region.value


@dataclass(frozen=True, slots=True)
class Source:
    """Scenes of one kind.

    Attributes:
        weight: how often it is drawn, relative to the others.
        things: whether its regions are whole objects that can be cut out and pasted elsewhere.
        partition: whether its regions are parts that tile the picture, so that neighbours unite to larger ones.
    """

    name: str
    scenes: tuple[Scene, ...]
    weight: float
    things: bool = False
    partition: bool = False


@dataclass(frozen=True, slots=True)
class Footage:
    """A video with one object: ``frames [T, 3, H, W]`` uint8, ``masks [T, H, W]`` bool."""

    name: str
    frames: torch.Tensor
    masks: torch.Tensor


def load_sources(root: Path) -> tuple[Source, ...]:
    """Every picture that may be trained on, with the weights of the recipe."""
    split = read_splits(root)
    names = {key.removeprefix("images/"): value["train"] for key, value in split.items() if key.startswith("images/")}
    images = root / "images"
    return (
        Source("coco_subset", coco_scenes(images / "coco_subset", names["coco_subset"]), 0.42, things=True),
        Source(
            "bsds500", _label_scenes(images / "bsds500", names["bsds500"], ("_coarse", "_fine")), 0.22, partition=True
        ),
        Source("feral_cat", _label_scenes(images / "feral_cat", names["feral_cat"]), 0.24, things=True),
        Source("dsb2018_nuclei", _label_scenes(images / "dsb2018_nuclei", names["dsb2018_nuclei"]), 0.04),
        Source("facade", _label_scenes(images / "facade", names["facade"]), 0.08),
    )


def load_sequences(root: Path, names: Iterable[str] | None = None) -> tuple[Footage, ...]:
    """DAVIS training sequences; without ``names`` all but the held-out ones."""
    folder = root / "vos_train" / "davis"
    if names is None:
        split = read_splits(root)
        names = [name for name in split["vos_train/davis"]["sequences"] if name not in HELD_OUT_SEQUENCES]
    return tuple(_load_sequence(folder / name) for name in names)


def _load_sequence(folder: Path) -> Footage:
    masks = sorted((folder / "masks").glob("*.png"))
    frames = [_read_image(folder / "frames" / f"{path.stem}.jpg") for path in masks]
    labels = [_read_labels(path, frame.shape[1:]) > 0 for path, frame in zip(masks, frames, strict=True)]
    return Footage(folder.name, torch.from_numpy(np.stack(frames)), torch.from_numpy(np.stack(labels)))


def coco_scenes(folder: Path, names: Sequence[str]) -> tuple[Scene, ...]:
    """COCO pictures with their full, overlapping masks, painted from the polygons."""
    polygons = coco_polygons(folder / "annotations.json")
    scenes = []
    for name in names:
        path = folder / "images" / f"{name}.jpg"
        image = _read_image(path)
        with Image.open(path) as original:
            scale = image.shape[2] / original.width
        masks = [paint_polygons(each, image.shape[1], image.shape[2], scale) for each in polygons[name]]
        scenes.append(_scene(image, _stack_layers(masks, image.shape[1:])))
    return tuple(scene for scene in scenes if scene.regions)


def _label_scenes(folder: Path, names: Sequence[str], suffixes: tuple[str, ...] = ("",)) -> tuple[Scene, ...]:
    scenes = []
    for name in names:
        image = _read_image(folder / "images" / f"{name}.jpg")
        layers = [_read_labels(folder / "masks" / f"{name}{suffix}.png", image.shape[1:]) for suffix in suffixes]
        scenes.append(_scene(image, np.stack(layers)))
    return tuple(scene for scene in scenes if scene.regions)


def _scene(image: UInt8Array, layers: UInt8Array) -> Scene:
    regions = [region for index, layer in enumerate(layers) for region in _regions(index, layer)]
    return Scene(torch.from_numpy(image), torch.from_numpy(layers), tuple(regions))


def _regions(index: int, layer: UInt8Array) -> list[Region]:
    height, width = layer.shape
    areas = np.bincount(layer.reshape(-1), minlength=256) / layer.size
    regions = []
    for value in np.flatnonzero(areas[1:] >= SMALLEST_AREA) + 1:
        rows, columns = np.nonzero(layer == value)
        box = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
        regions.append(Region(index, int(value), box, float(areas[value])))
    return regions


def _stack_layers(masks: Sequence[npt.NDArray[np.bool_]], shape: tuple[int, ...]) -> UInt8Array:
    """Overlapping masks in as few label maps as a first fit finds."""
    layers: list[UInt8Array] = [np.zeros(shape, np.uint8)]
    for value, mask in enumerate(masks[:255], start=1):
        free = next((layer for layer in layers if not layer[mask].any()), None)
        if free is None:
            free = np.zeros(shape, np.uint8)
            layers.append(free)
        free[mask] = value
    return np.stack(layers)


def _read_image(path: Path) -> UInt8Array:
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    scale = min(1.0, LONG_SIDE / max(rgb.size))
    size = (round(rgb.width * scale), round(rgb.height * scale))
    return np.ascontiguousarray(np.asarray(rgb.resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1))


def _read_labels(path: Path, shape: tuple[int, ...]) -> UInt8Array:
    with Image.open(path) as image:
        return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.NEAREST), dtype=np.uint8)
