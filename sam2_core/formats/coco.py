"""COCO: one JSON file of run lengths, which pycocotools and most training code read.

Beyond COCO's own fields a video needs the time axis; it is told as TAO's do: ``videos``, ``tracks`` (an object, whose
id is ``track_id`` in its annotations), and ``video_id`` and ``frame_index`` in ``images``. A category is a class name.
Image ``n + 1`` is frame ``n``; its file's name is the picture's own in a clip made of pictures, and a number elsewhere.
``iscrowd`` is 0, for masks of crowds are left out of training and scoring; ``predicted_iou`` is SA-1B's field, and
``object_score`` a logit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sam2_core.errors import PromptError
from sam2_core.formats.annotation import Annotation, Progress
from sam2_core.formats.coco_rle import from_coco, to_coco
from sam2_core.formats.collection import MaskCollection
from sam2_core.formats.json_file import field, record, whole_number, write_json
from sam2_core.rle import Rle


def write_coco(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write every visible mask as an annotation of its frame."""
    video = annotation.video
    size = {"height": video.height, "width": video.width}
    categories = {name: number for number, name in enumerate(annotation.class_names, start=1)}
    fields = {
        "info": {"description": f"Masklets of {annotation.stem}, made with Masklet Studio"},
        "videos": [{"id": 1, "name": annotation.stem, **size, "length": len(video), "fps": video.fps}],
        "images": (_image(annotation, frame_index, size) for frame_index in range(len(video))),
        "tracks": [
            {"id": each.object_id, "category_id": categories[each.class_name], "video_id": 1}
            for each in annotation.objects
        ],
        "annotations": _annotations(annotation, categories, progress),
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
    write_json(path, fields)


def _image(annotation: Annotation, frame_index: int, size: dict[str, int]) -> dict[str, object]:
    own = annotation.video.frame_names
    name = own[frame_index] if own else f"{annotation.stem}/{frame_index:05d}.jpg"
    return {"id": frame_index + 1, "file_name": name, **size, "video_id": 1, "frame_index": frame_index}


def _annotations(annotation: Annotation, categories: dict[str, int], progress: Progress) -> Iterator[dict[str, object]]:
    number, total = 0, len(annotation.video)
    for frame_index in range(total):
        for each, found in annotation.visible(frame_index):
            number += 1
            yield {
                "id": number,
                "image_id": frame_index + 1,
                "category_id": categories[each.class_name],
                "track_id": each.object_id,
                "video_id": 1,
                "segmentation": to_coco(found.mask),
                "area": found.mask.area,
                "bbox": _bounds(found.mask),
                "iscrowd": 0,
                "predicted_iou": round(found.predicted_iou, 6),
                "object_score": round(found.object_score, 6),
            }
        progress(frame_index + 1, total)


def _bounds(mask: Rle) -> list[int]:
    """Left, top, width and height of a mask that is not empty."""
    pixels = mask.decode()
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]


def read_coco(document: dict[str, Any], masks: MaskCollection, progress: Progress) -> None:
    """Collect the masks of a COCO document about one video.

    An image's frame is its ``frame_index``, or else the number at the end of its file's name; for a picture it is the
    only one. An annotation's object is its ``track_id``, or else its ``category_id``.

    Raises:
        PromptError: a field is missing or wrong.
    """
    images = (record(each, "an image") for each in field(document, "images", list))
    frames = {whole_number(image.get("id"), "id"): _frame(image, masks) for image in images}
    annotations = field(document, "annotations", list)
    for done, each in enumerate((record(each, "an annotation") for each in annotations), start=1):
        segmentation = field(each, "segmentation", dict)
        image_id = whole_number(each.get("image_id"), "image_id")
        if image_id not in frames:
            raise PromptError(f"a mask is of image {image_id}, which is not among the 'images'.")
        object_id = whole_number(each.get("track_id", each.get("category_id")), "track_id")
        pixels = from_coco(segmentation.get("size"), segmentation.get("counts"), masks.height, masks.width)
        masks.add(object_id, frames[image_id], pixels)
        progress(done, len(annotations))


def _frame(image: dict[str, Any], masks: MaskCollection) -> int:
    if "frame_index" in image:
        return whole_number(image["frame_index"], "frame_index")
    return masks.frame_named(PurePosixPath(field(image, "file_name", str)).stem)
