"""A PNG per object and frame, black and white, in a zip: the layout of SA-V's validation and test sets.

``001/00000.png`` is object 1 on frame 0. Overlapping masks stay whole. There is a picture for every frame on which the
object has a mask, all black where it is hidden. Pictures that a clip is made of lend the frames their names;
``objects.csv`` has the objects'.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from sam2_core.errors import PromptError
from sam2_core.formats.annotation import Annotation, Progress
from sam2_core.formats.archive import Members, png, writing_zip
from sam2_core.formats.collection import MaskCollection
from sam2_core.formats.davis import read_labels


def write_object_png(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write a grey PNG with 0 and 255 for every mask."""
    total = len(annotation.video)
    with writing_zip(path) as archive:
        archive.writestr("objects.csv", annotation.objects_csv())
        for frame_index, stem in enumerate(annotation.frame_stems):
            for each in annotation.objects:
                found = annotation.masklets.get(each.object_id, {}).get(frame_index)
                if found is not None:
                    image = Image.fromarray(found.mask.decode().astype(np.uint8) * 255)
                    archive.writestr(f"{each.object_id:03d}/{stem}.png", png(image))
            progress(frame_index + 1, total)


def is_object_png(place: PurePosixPath) -> bool:
    """Whether a file is a picture in a folder that is named by a number."""
    return place.suffix.lower() == ".png" and re.fullmatch(r"[0-9]{1,9}", place.parent.name) is not None


def read_object_png(members: Members, masks: MaskCollection, progress: Progress) -> None:
    """Collect the masks of such folders; a picture may have a palette, but one value besides 0 at most.

    Raises:
        PromptError: a picture is of another kind or size, or holds more than one object.
    """
    pictures = [place for place in members if is_object_png(place)]
    for done, place in enumerate(pictures, start=1):
        labels = read_labels(place, members[place](), masks)
        inside = labels > 0
        if np.unique(labels[inside]).size > 1:
            raise PromptError(
                f"{str(place)[-80:]!r} has several values, and a folder with a number is of one object; if the values "
                "are objects' ids, move the pictures out of that folder."
            )
        masks.add(int(place.parent.name), masks.frame_named(place.stem), inside)
        progress(done, len(pictures))
