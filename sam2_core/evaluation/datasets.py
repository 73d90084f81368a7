"""COCO's annotations, and which part of the data is for what."""

from __future__ import annotations

import json
from dataclasses import dataclass
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


def split_names(root: Path, data_set: str, part: str) -> list[str]:
    """The names that ``splits.json`` lists for a part of a data set; none where it says nothing about it.

    Raises:
        Sam2Error: there is no such file, or in it something else than lists of names, by part and by data set.
    """
    try:
        splits = json.loads((root / "splits.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Sam2Error(f"{root} needs a readable splits.json beside its data sets; give another --data.") from error
    parts = splits.get(data_set, {}) if isinstance(splits, dict) else None
    names = parts.get(part, []) if isinstance(parts, dict) else None
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise Sam2Error(
            f"splits.json should be a JSON object with a list of names at {data_set!r}, {part!r}; correct it."
        )
    return names


@dataclass(frozen=True, slots=True)
class CocoObject:
    """One annotation.

    Attributes:
        name: its id in the file, or its place in it where it has none.
        segmentation: its outline or run lengths.
    """

    name: str
    segmentation: Segmentation


def coco_objects(annotations: Path) -> dict[str, list[CocoObject]]:
    """Every object by the name of its picture's file; crowds are left out.

    Raises:
        Sam2Error: the file cannot be read, or is not COCO's.
    """
    try:
        content = json.loads(annotations.read_bytes())
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        found: dict[str, list[CocoObject]] = {name: [] for name in names.values()}
        for number, annotation in enumerate(content["annotations"], start=1):
            if not annotation.get("iscrowd", 0):
                each = CocoObject(str(annotation.get("id", number)), annotation["segmentation"])
                found[names[annotation["image_id"]]].append(each)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Sam2Error(
            f"{annotations.name!r} is not COCO's JSON with 'images' and 'annotations' ({type(error).__name__}: "
            f"{error}); export it again."
        ) from error
    return found


def coco_segmentations(annotations: Path) -> dict[str, list[Segmentation]]:
    """The objects' outlines or run lengths alone.

    Raises:
        Sam2Error: the file cannot be read, or is not COCO's.
    """
    return {name: [each.segmentation for each in found] for name, found in coco_objects(annotations).items()}


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
