"""Data sets with known masks, read from the folders in which they are published."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.images import Instance
from sam2_core.evaluation.metrics import BoolMask

SMALLEST_INSTANCE = 1024
"""Pixels; what COCO calls small is left out."""

Polygons = list[list[float]]


def read_splits(root: Path) -> dict[str, Any]:
    """What of each data set is for training and what for evaluation, from ``splits.json``.

    Raises:
        Sam2Error: there is no such file, or it is not JSON.
    """
    try:
        splits: dict[str, Any] = json.loads((root / "splits.json").read_text())
    except (OSError, ValueError) as error:
        raise Sam2Error(f"{root} needs a readable splits.json beside its data sets; give another --data.") from error
    return splits


def coco_polygons(annotations: Path) -> dict[str, list[Polygons]]:
    """The polygons of every object by the stem of its picture's name; crowds are left out."""
    content = json.loads(annotations.read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
    found: dict[str, list[Polygons]] = {name: [] for name in names.values()}
    for annotation in content["annotations"]:
        if not annotation["iscrowd"]:
            found[names[annotation["image_id"]]].append(annotation["segmentation"])
    return found


def paint_polygons(polygons: Polygons, height: int, width: int, scale: float = 1.0) -> BoolMask:
    """Flat ``x, y, x, y`` polygons as a mask ``[height, width]``; coordinates are multiplied by ``scale``."""
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    for polygon in polygons:
        if len(polygon) >= 6:
            corners = np.reshape(polygon, (-1, 2)) * scale
            draw.polygon([(float(x), float(y)) for x, y in corners], fill=1)
    return np.asarray(canvas)


def coco_instances(folder: Path, names: Collection[str]) -> Iterator[list[Instance]]:
    """Pictures with their objects of more than :data:`SMALLEST_INSTANCE` pixels, in whole, overlapping masks."""
    polygons = coco_polygons(folder / "annotations.json")
    for name in names:
        with Image.open(folder / "images" / f"{name}.jpg") as picture:
            image = np.asarray(picture.convert("RGB"))
        masks = [paint_polygons(each, *image.shape[:2]) for each in polygons[name]]
        yield [Instance(image, mask) for mask in masks if np.count_nonzero(mask) > SMALLEST_INSTANCE]
