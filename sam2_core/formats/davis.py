"""DAVIS: one palette PNG per frame, all objects in it, in a zip.

A pixel's value is the object's id (1 to 255; 0 is none) and the palette is DAVIS's, so that the picture shows the
objects in colours. A pixel has room for one object: where masks overlap, the one with the smallest id has it, as in
every picture that this project draws. Names are ``00000.png`` and so on, or those of the pictures that the clip is made
of, at the top of the zip; ``objects.csv`` beside them has the objects' names and colours.
"""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_core.errors import PromptError
from sam2_core.formats.annotation import Annotation, Progress
from sam2_core.formats.archive import Members, png, writing_zip
from sam2_core.formats.collection import MaskCollection
from sam2_core.media import label_map, palette_image

_MODES = ("P", "L", "1")


def write_davis(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write a palette PNG for every frame, also where nothing is to be seen."""
    video = annotation.video
    with writing_zip(path) as archive:
        archive.writestr("objects.csv", annotation.objects_csv())
        for frame_index, stem in enumerate(annotation.frame_stems):
            labels = label_map(annotation.masks(frame_index), video.height, video.width)
            archive.writestr(f"{stem}.png", png(palette_image(labels)))
            progress(frame_index + 1, len(video))


def read_davis(members: Members, masks: MaskCollection, progress: Progress) -> None:
    """Collect the masks of PNGs whose values are ids: with a palette, or grey with 8 bits or fewer.

    Raises:
        PromptError: a picture is of another kind or size, or its name is no frame's number.
    """
    pictures = [place for place in members if place.suffix.lower() == ".png"]
    for done, place in enumerate(pictures, start=1):
        labels = read_labels(place, members[place](), masks)
        for object_id in np.unique(labels[labels > 0]):
            masks.add(int(object_id), masks.frame_named(place.stem), labels == object_id)
        progress(done, len(pictures))


def read_labels(place: PurePosixPath, data: bytes, masks: MaskCollection) -> npt.NDArray[np.uint8]:
    """The values ``[H, W]`` of a picture, whose size is looked at before its pixels.

    Raises:
        PromptError: it is no such picture.
    """
    name = str(place)[-80:]
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            size, mode = image.size, image.mode
            if size == (masks.width, masks.height) and mode in _MODES:
                return np.asarray(image).astype(np.uint8)
    except Exception as error:  # on bad bytes Pillow's readers raise whatever happens to go wrong
        raise PromptError(f"{name!r} is no PNG, or a damaged one; export it again.") from error
    if mode not in _MODES:
        raise PromptError(
            f"{name!r} is a PNG of mode {mode}, where a palette or 8 bits of grey are expected: a pixel's value is an "
            "object's id, or tells the object from the rest."
        )
    raise PromptError(
        f"masks have the video's size, {masks.width} x {masks.height} pixels; {name!r} is {size[0]} x {size[1]}."
    )
