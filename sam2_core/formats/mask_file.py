"""A mask from a picture file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sam2_core.errors import PromptError
from sam2_core.media.pictures import open_picture
from sam2_core.media.source import MediaLimits
from sam2_core.rle import BoolMask, Rle


def read_mask(path: Path, object_id: int, height: int, width: int) -> Rle:
    """One object's mask of ``height`` x ``width`` pixels from a PNG, or from any other picture.

    In a palette picture, as DAVIS and :class:`ResultsFolder` write them, the object is where the value is its id. Where
    no pixel has that value, and in every other picture, the object is what is neither black nor transparent.

    Raises:
        PromptError: the file does not exist, is not a picture, has another size or holds no object.
        VideoError: the picture is damaged or too large.
    """
    if not path.is_file():
        raise PromptError(f"there is no file {path.name!r}; a mask is a PNG of the frame's size.")
    try:
        with open_picture(path, MediaLimits()) as image:
            mask = _object_pixels(image, object_id)
    except UnidentifiedImageError as error:
        raise PromptError(f"{path.name!r} is not a picture; a mask is a PNG of the frame's size.") from error
    if mask.shape != (height, width):
        raise PromptError(
            f"a mask has the frame's size, {width} x {height} pixels; {path.name!r} has {mask.shape[1]} x "
            f"{mask.shape[0]}: scale it first, without smoothing."
        )
    if not mask.any():
        raise PromptError(f"the mask {path.name!r} is empty; every pixel that is not black belongs to the object.")
    return Rle.encode(mask)


def _object_pixels(image: Image.Image, object_id: int) -> BoolMask:
    pixels = np.asarray(image)
    colours, opaque = pixels, np.ones(pixels.shape[:2], dtype=bool)
    if image.mode == "P" and (pixels == object_id).any():
        colours = pixels == object_id
    elif image.mode in ("LA", "RGBA"):
        colours, opaque = pixels[..., :-1], pixels[..., -1] > 0
    inside: BoolMask = opaque & (colours.reshape(*opaque.shape, -1) != 0).any(axis=2)
    return inside
