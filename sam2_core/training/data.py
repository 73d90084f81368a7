"""What is trained on: pictures with masks and videos with masks, read when they are drawn.

Nothing is decoded when a run starts; a bounded cache keeps what was. A picture keeps its masks in as few label maps as
overlaps allow, because label maps are small and a mask is one comparison away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.names import plain, read_list
from sam2_core.media import MediaLimits, pictures_in
from sam2_core.media.pictures import open_picture, shown_size, to_rgb
from sam2_core.training.recipe import DataSource

SMALLEST_AREA = 0.0015
"""Share of the picture below which a mask is noise to a model that sees 256 x 256 pixels."""
_LARGEST_LIST = 64 * 1024 * 1024

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

    image: Tensor
    layers: Tensor
    regions: tuple[Region, ...]

    def mask(self, region: Region) -> Tensor:
        """``[H, W]`` booleans."""
        return self.layers[region.layer] == region.value

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.image.nbytes + self.layers.nbytes


class Footage(Protocol):
    """A video whose frames all have masks."""

    @property
    def name(self) -> str:
        """For messages."""

    def __len__(self) -> int:
        """Frames with masks."""

    def read(self, frames: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Some frames ``[T, 3, H, W]`` uint8 and the masks of all objects on them ``[K, T, H, W]`` bool."""


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Pictures of one kind, by number; ``read`` may be slow, and may find nothing to learn from in a picture.

    Attributes:
        weight: how often it is drawn, relative to the others.
        whole_objects: its regions are whole objects that can be cut out and pasted elsewhere.
        partition: its regions are parts that tile the picture, so that neighbours unite to larger ones.
    """

    name: str
    count: int
    read: Callable[[int], Scene]
    weight: float = 1.0
    whole_objects: bool = False
    partition: bool = False

    def draw(self, rng: np.random.Generator) -> Scene:
        """A picture with at least one region."""
        for _ in range(_PATIENCE):
            scene = self.read(int(rng.integers(self.count)))
            if scene.regions:
                return scene
        raise Sam2Error(
            f"none of {_PATIENCE} pictures of {self.name!r} has a mask of {SMALLEST_AREA:.2%} of its area or more; "
            "check that the masks are label maps whose value is the object's number."
        )


_PATIENCE = 200


@dataclass(frozen=True, slots=True)
class VideoSource:
    """Videos of one kind."""

    name: str
    videos: tuple[Footage, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Material:
    """All that a run is trained on."""

    pictures: tuple[PictureSource, ...]
    videos: tuple[VideoSource, ...]


def chosen_names(root: Path, source: DataSource, found: Sequence[str]) -> list[str]:
    """Which of the names found in a source's folder are trained on, in ascending order.

    Raises:
        Sam2Error: the list cannot be read, names what is not there, or nothing is left.
    """
    names = set(found)
    if source.list:
        listed = _read_list(root / source.list, source.path)
        if absent := sorted(listed - names):
            raise Sam2Error(
                f"{source.list!r} names {len(absent)} of {source.path!r} that are not there, such as {absent[0]!r:.60}."
            )
        names = listed
    chosen = sorted(names - set(source.leave_out))
    if not chosen:
        raise Sam2Error(
            f"there is nothing to train on in {source.path!r} ({source.kind.value}); check the folder of --data and "
            "the recipe's [[data]]."
        )
    return chosen


def _read_list(path: Path, key: str) -> set[str]:
    if not path.is_file() or path.stat().st_size > _LARGEST_LIST:
        raise Sam2Error(f"there is no list {path.name!r} (or a much too long one) in the folder of --data.")
    if path.suffix != ".json":
        return {plain(name) for name in read_list(path)}
    try:
        entry = json.loads(path.read_bytes())[key]
        names = entry.get("train", entry.get("sequences"))
        return {name for name in names if isinstance(name, str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Sam2Error(
            f"{path.name!r} does not list what of {key!r} is for training; expected JSON as "
            f'{{"{key}": {{"train": [names]}}}}, or a text file with a name on each line.'
        ) from error


def folder_of(root: Path, source: DataSource, *parts: str) -> Path:
    """A folder of a source.

    Raises:
        Sam2Error: there is none.
    """
    folder = root.joinpath(source.path, *parts)
    if not folder.is_dir():
        inside = "/".join((source.path, *parts))
        raise Sam2Error(
            f"there is no folder {inside!r} in {root.name!r}; data of the kind {source.kind.value} have one."
        )
    return folder


def pictures_by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without suffix, in the order of frames.

    Raises:
        VideoError: two of them have the same number.
    """
    return {each.stem: each for each in pictures_in(folder)}


def read_image(path: Path, long_side: int) -> UInt8Array:
    """A picture ``[3, H, W]``, scaled down to ``long_side`` pixels where it is larger.

    Raises:
        Sam2Error: it is missing, damaged, too large or no picture.
    """
    try:
        with open_picture(path, MediaLimits()) as image:
            image.draft("RGB", (long_side, long_side))  # JPEG decodes to a half or a quarter at a fraction of the cost
            pixels = to_rgb(image)
    except UnidentifiedImageError as error:
        raise Sam2Error(f"{path.name!r} is no picture; take it out of the data.") from error
    return shrink(pixels, long_side)


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture as it is shown, without decoding it.

    Raises:
        Sam2Error: it is missing, damaged, too large or no picture.
    """
    try:
        with open_picture(path, MediaLimits()) as image:
            return shown_size(image)
    except UnidentifiedImageError as error:
        raise Sam2Error(f"{path.name!r} is no picture; take it out of the data.") from error


def shrink(pixels: UInt8Array, long_side: int) -> UInt8Array:
    """``[H, W, 3]`` as ``[3, H, W]`` with at most ``long_side`` pixels a side."""
    size = _fitting(pixels.shape[1], pixels.shape[0], long_side)
    resized = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))


def shrink_labels(labels: npt.NDArray[np.integer], height: int, width: int) -> npt.NDArray[np.integer]:
    """A label map ``[H, W]`` at another size; each pixel takes the label at its middle."""
    rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(np.int64)
    taken: npt.NDArray[np.integer] = labels[rows[:, None], columns[None, :]]
    return taken


def _fitting(width: int, height: int, long_side: int) -> tuple[int, int]:
    scale = min(1.0, long_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def make_scene(image: UInt8Array, layers: Sequence[npt.NDArray[np.integer]]) -> Scene:
    """A scene from a picture ``[3, H, W]`` and label maps of any size, of which the 255 largest regions each count."""
    height, width = image.shape[1:]
    compact = np.stack([_compact(shrink_labels(layer, height, width)) for layer in layers])
    regions = [region for index, layer in enumerate(compact) for region in _regions(index, layer)]
    return Scene(torch.from_numpy(image), torch.from_numpy(compact), tuple(regions))


def _compact(labels: npt.NDArray[np.integer]) -> UInt8Array:
    """Labels renumbered from 1 by falling area, since a byte has room for 255 and small ones are noise."""
    values, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(np.where(values > 0, -counts, 1), kind="stable")
    numbers = np.zeros(values.size, np.uint8)
    kept = order[: min(255, int((values > 0).sum()))]
    numbers[kept] = np.arange(1, kept.size + 1)
    return numbers[inverse].reshape(labels.shape)


def _regions(index: int, layer: UInt8Array) -> list[Region]:
    height, width = layer.shape
    areas = np.bincount(layer.reshape(-1), minlength=256) / layer.size
    regions = []
    for value in np.flatnonzero(areas[1:] >= SMALLEST_AREA) + 1:
        mask = layer == value
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)
        regions.append(Region(index, int(value), box, float(areas[value])))
    return regions
