"""YOLO-seg: pictures, and a text file per picture with a polygon per line, as Ultralytics' trainers read them.

::

    data.yaml                         where the pictures are, and the names of the classes
    classes.txt                       the names alone, one a line
    images/train/bear_00000.jpg       every frame; of a clip made of pictures, under their names
    labels/train/bear_00000.txt       ``class x1 y1 x2 y2 ...`` per object, as fractions of width and height

A class is a name; objects of the same name share it. A line has one polygon, and an object is one line: its other
parts and its holes are joined to the longest outline by bridges without width, so that filling by the even-odd rule
(``cv2.fillPoly``, which Ultralytics uses, and which adds the pixels that lines touch) keeps holes open. Vertices lie
on the corners of pixels. A frame without objects has an empty text file: a picture of the background.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np

from sam2_core.errors import PromptError
from sam2_core.formats.annotation import Annotation, Progress
from sam2_core.formats.archive import Members, writing_zip
from sam2_core.formats.collection import MaskCollection
from sam2_core.formats.polygons import Vertices, fill, outline
from sam2_core.media import encode_jpeg
from sam2_core.rle import BoolMask

_JPEG_QUALITY = 92
_LONGEST_LABELS = 4 * 1024 * 1024  # characters of one file: filling takes time
_MOST_LINES = 1000


def write_yolo(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write a data set of this video: pictures, labels, classes."""
    video, names = annotation.video, annotation.class_names
    with writing_zip(path) as archive:
        archive.writestr("classes.txt", "".join(f"{name}\n" for name in names))
        archive.writestr("data.yaml", _yaml(names))
        for frame_index, stem in enumerate(annotation.frame_stems):
            name = stem if video.frame_names else f"{annotation.stem}_{stem}"
            archive.writestr(f"images/train/{name}.jpg", encode_jpeg(video[frame_index], _JPEG_QUALITY))
            lines = [
                _line(names.index(each.class_name), outline(found.mask.decode()) / (video.width, video.height))
                for each, found in annotation.visible(frame_index)
            ]
            archive.writestr(f"labels/train/{name}.txt", "".join(lines))
            progress(frame_index + 1, len(video))


def _yaml(names: tuple[str, ...]) -> str:
    # A text in JSON is one in YAML too.
    classes = "".join(f"  {number}: {json.dumps(name, ensure_ascii=False)}\n" for number, name in enumerate(names))
    return f"path: .\ntrain: images/train\nval: images/train\nnames:\n{classes}"


def _line(class_index: int, fractions: Vertices) -> str:
    return f"{class_index} {' '.join(f'{value:.6f}' for value in fractions.ravel())}\n"


def is_yolo(place: PurePosixPath) -> bool:
    """Whether a file is a picture's labels."""
    return place.suffix.lower() == ".txt" and "labels" in place.parts


def read_yolo(members: Members, masks: MaskCollection, progress: Progress) -> None:
    """Collect the masks of label files, whose names end in the frame's number.

    Class 0 becomes object 1 and so on, since lines do not say which object they are; several lines of one class on a
    frame are one mask.

    Raises:
        PromptError: a line is no polygon.
    """
    files = [place for place in members if is_yolo(place)]
    for done, place in enumerate(files, start=1):
        found: dict[int, BoolMask] = {}
        text, name = members[place]().decode("utf-8", "replace"), str(place)[-80:]
        lines = [line for line in text.splitlines() if line.strip()]
        if len(text) > _LONGEST_LABELS or len(lines) > _MOST_LINES:
            raise PromptError(f"{name!r} has far too many polygons or points; simplify them.")
        for line in lines:
            object_id, vertices = _parse(line, name)
            pixels = fill(vertices * (masks.width, masks.height), masks.height, masks.width)
            found[object_id] = found[object_id] | pixels if object_id in found else pixels
        for object_id, pixels in found.items():
            masks.add(object_id, masks.frame_named(place.stem), pixels)
        progress(done, len(files))


def _parse(line: str, name: str) -> tuple[int, Vertices]:
    class_index, *numbers = line.split()
    try:
        values = np.array(numbers, dtype=np.float64)
        object_id = int(class_index) + 1
    except ValueError:
        values, object_id = np.zeros(0), 0
    if values.size < 6 or values.size % 2 or not (np.abs(values - 0.5) <= 0.5).all() or object_id < 1:
        raise PromptError(f"a line of {name!r} should be a class and three or more points, as fractions from 0 to 1.")
    return object_id, values.reshape(-1, 2)
