"""Folders of pictures with masks: label maps beside them, or COCO's JSON."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.datasets import coco_segmentations, paint
from sam2_core.evaluation.sequences import read_label_map
from sam2_core.training.data import (
    PictureSource,
    Scene,
    chosen_names,
    folder_of,
    make_scene,
    picture_size,
    pictures_by_stem,
    read_image,
)
from sam2_core.training.recipe import DataSource

BoolArray = npt.NDArray[np.bool_]


@dataclass
class SceneCache:
    """Decoded pictures, of which the longest unused are forgotten first.

    Attributes:
        limit: bytes that are kept.
    """

    limit: int
    _scenes: OrderedDict[tuple[str, int], Scene] = field(default_factory=OrderedDict)
    _size: int = 0

    def get(self, key: tuple[str, int], read: Callable[[], Scene]) -> Scene:
        """The scene of a source and number, read where it is not at hand."""
        if key in self._scenes:
            self._scenes.move_to_end(key)
            return self._scenes[key]
        scene = self._scenes[key] = read()
        self._size += scene.nbytes
        while self._size > self.limit and len(self._scenes) > 1:
            self._size -= self._scenes.popitem(last=False)[1].nbytes
        return scene


def label_pictures(root: Path, source: DataSource, long_side: int, cache: SceneCache) -> PictureSource:
    """``images/NAME.jpg`` with ``masks/NAME.png``; with suffixes, ``masks/NAME<suffix>.png`` each.

    Raises:
        Sam2Error: a folder or a mask is missing, or nothing is left to train on.
    """
    images = pictures_by_stem(folder_of(root, source, "images"))
    masks = folder_of(root, source, "masks")
    names = chosen_names(root, source, list(images))
    first = masks / f"{names[0]}{source.suffixes[0]}.png"
    if not first.is_file():
        raise Sam2Error(f"there is no mask 'masks/{first.name}' for {images[names[0]].name!r} in {source.path!r}.")

    def read(index: int) -> Scene:
        name = names[index]
        layers = [read_label_map(masks / f"{name}{suffix}.png") for suffix in source.suffixes]
        return make_scene(read_image(images[name], long_side), layers)

    return _cached(source, len(names), read, cache)


def coco_pictures(root: Path, source: DataSource, long_side: int, cache: SceneCache) -> PictureSource:
    """``images/*.jpg`` with ``annotations.json``: whole, overlapping masks, as polygons or run lengths.

    Raises:
        Sam2Error: the JSON is not COCO's, a picture is missing, or nothing is left to train on.
    """
    images = pictures_by_stem(folder_of(root, source, "images"))
    found = coco_segmentations(root / source.path / "annotations.json")
    objects = {Path(name).stem: segmentations for name, segmentations in found.items() if segmentations}
    names = chosen_names(root, source, [name for name in images if name in objects])

    def read(index: int) -> Scene:
        path = images[names[index]]
        height, width = picture_size(path)
        masks = [paint(each, height, width) for each in objects[names[index]]]
        return make_scene(read_image(path, long_side), _layers(masks))

    return _cached(source, len(names), read, cache)


def _cached(source: DataSource, count: int, read: Callable[[int], Scene], cache: SceneCache) -> PictureSource:
    return PictureSource(
        source.path,
        count,
        lambda index: cache.get((source.path, index), lambda: read(index)),
        source.weight,
        source.whole_objects,
        source.partition,
    )


def _layers(masks: Sequence[BoolArray]) -> list[npt.NDArray[np.integer]]:
    """Overlapping masks in as few label maps as a first fit finds."""
    layers: list[npt.NDArray[np.integer]] = []
    for number, mask in enumerate(masks, start=1):
        free = next((each for each in layers if not each[mask].any()), None)
        if free is None:
            free = np.zeros(mask.shape, np.int64)
            layers.append(free)
        free[mask] = number
    return layers
