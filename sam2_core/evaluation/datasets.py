"""COCO's annotations, and which part of the data is for what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from sam2_core.errors import Sam2Error
from sam2_core.formats.coco_rle import from_coco
from sam2_core.rle import BoolMask

SMALLEST_INSTANCE = 1024
"""Pixels; what COCO calls small is left out."""

Polygons: TypeAlias = list[list[float]]
Segmentation: TypeAlias = Polygons | dict[str, Any]
"""As COCO has it: polygons, or run lengths with their size."""


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


def coco_segmentations(annotations: Path) -> dict[str, list[Segmentation]]:
    """Every object by the name of its picture's file; crowds are left out.

    Raises:
        Sam2Error: the file cannot be read, or is not COCO's.
    """
    try:
        content = json.loads(annotations.read_bytes())
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        found: dict[str, list[Segmentation]] = {name: [] for name in names.values()}
        for annotation in content["annotations"]:
            if not annotation.get("iscrowd", 0):
                found[names[annotation["image_id"]]].append(annotation["segmentation"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Sam2Error(
            f"{annotations.name!r} is not COCO's JSON with 'images' and 'annotations' ({type(error).__name__}: "
            f"{error}); export it again."
        ) from error
    return found


def coco_polygons(annotations: Path) -> dict[str, list[Polygons]]:
    """The polygons of every object by the stem of its picture's name; crowds and run lengths are left out."""
    found = coco_segmentations(annotations)
    return {Path(name).stem: [each for each in all_ if isinstance(each, list)] for name, all_ in found.items()}


def paint(segmentation: Segmentation, height: int, width: int) -> BoolMask:
    """One object's mask ``[height, width]``.

    Raises:
        PromptError: run lengths are of another size or damaged.
        Sam2Error: polygons are not lists of numbers.
    """
    if isinstance(segmentation, dict):
        return from_coco(segmentation.get("size"), segmentation.get("counts"), height, width)
    try:
        return paint_polygons(segmentation, height, width)
    except (TypeError, ValueError) as error:
        raise Sam2Error("a segmentation should be lists of x, y, x, y ..., or run lengths; export it again.") from error


def paint_polygons(polygons: Polygons, height: int, width: int, scale: float = 1.0) -> BoolMask:
    """Flat ``x, y, x, y`` polygons as a mask ``[height, width]``; coordinates are multiplied by ``scale``."""
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    for polygon in polygons:
        if len(polygon) >= 6:
            corners = np.reshape(polygon, (-1, 2)) * scale
            draw.polygon([(float(x), float(y)) for x, y in corners], fill=1)
    return np.asarray(canvas)
