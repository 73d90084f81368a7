"""Masks as people look at them: tinted frames, label maps and palette PNGs."""

from __future__ import annotations

import colorsys
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from sam2_core.errors import PromptError, VideoError
from sam2_core.media.source import RgbFrame
from sam2_core.rle import BoolMask, Rle

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

LabelMap: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""``[H, W]``: the id of the object that each pixel belongs to, 0 for none."""

RgbaFrame: TypeAlias = npt.NDArray[np.uint8]
"""``[H, W, 4]``: red, green, blue and opacity, 0 to 255."""

_GOLDEN_RATIO = 0.6180339887498949
_TIERS = ((0.85, 1.0), (0.65, 1.0), (0.9, 0.8))  # saturation and value: neighbours in hue differ in these


def _voc_palette() -> npt.NDArray[np.uint8]:
    """Spread the bits of an id over the colour: bits 0, 1, 2 give the highest bits of red, green, blue, and so on."""
    ids = np.arange(256)[:, None]
    shifts = np.arange(3)[None, :]
    colour = np.zeros((256, 3), dtype=np.int64)
    for level in range(8):
        colour |= ((ids >> (3 * level + shifts)) & 1) << (7 - level)
    return colour.astype(np.uint8)


PALETTE = _voc_palette()
"""``[256, 3]``: the colour of every id in PASCAL VOC's and DAVIS's palette PNGs."""
PALETTE.setflags(write=False)


def object_colour(object_id: int) -> Colour:
    """The colour in which an object is shown, always the same for the same id.

    Hues advance by the golden ratio, so that any number of objects in a row keep their distance.
    """
    saturation, value = _TIERS[(object_id - 1) % len(_TIERS)]
    red, green, blue = colorsys.hsv_to_rgb((0.58 + (object_id - 1) * _GOLDEN_RATIO) % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def label_map(masks: Mapping[int, BoolMask | Rle], height: int, width: int) -> LabelMap:
    """One picture of all masks; where they overlap, the object with the smallest id wins.

    Shapes: each mask is ``[height, width]``; so is the result, uint8 while all ids are below 256, else uint16.

    Raises:
        PromptError: an id is not between 1 and 65535, or a mask has another size.
    """
    for object_id in masks:
        if not 1 <= object_id <= 65535:
            raise PromptError(f"a label map holds objects 1 to 65535 (0 is the background); got object {object_id}.")
    labels = np.zeros((height, width), dtype=np.uint8 if max(masks, default=0) < 256 else np.uint16)
    for object_id in sorted(masks, reverse=True):
        labels[_pixels(object_id, masks[object_id], height, width)] = object_id
    return labels


def overlay(
    frame: RgbFrame,
    masks: Mapping[int, BoolMask | Rle],
    *,
    opacity: float = 0.5,
    colours: Mapping[int, Colour] | None = None,
) -> RgbFrame:
    """A frame with its masks as tints and outlines.

    Every object's outline is drawn whole, so that an object behind another is still seen; tints follow
    :func:`label_map`.

    Shapes: ``frame`` and the result are ``[H, W, 3]``, each mask is ``[H, W]``.

    Args:
        frame: what lies underneath; it is not changed.
        masks: object id to mask.
        opacity: of the tint, from 0 (outlines only) to 1.
        colours: of the objects that are not to have their :func:`object_colour`.

    Raises:
        PromptError: as for :func:`label_map`.
    """
    height, width = frame.shape[:2]
    chosen = {object_id: (colours or {}).get(object_id, object_colour(object_id)) for object_id in masks}
    painted: RgbFrame = frame.copy()
    pixels = {object_id: _pixels(object_id, mask, height, width) for object_id, mask in masks.items()}
    labels = label_map(pixels, height, width)
    inside = labels > 0
    table = np.zeros((max(masks, default=0) + 1, 3), dtype=np.uint16)
    for object_id, colour in chosen.items():
        table[object_id] = colour
    alpha = round(min(max(opacity, 0.0), 1.0) * 256)
    tinted = frame[inside].astype(np.uint16) * (256 - alpha) + table[labels[inside]] * alpha
    painted[inside] = tinted >> 8
    for object_id in sorted(masks, reverse=True):
        _draw_outline(painted, pixels[object_id], chosen[object_id])
    return painted


def cut_out(frame: RgbFrame, masks: Mapping[int, BoolMask | Rle]) -> RgbaFrame:
    """A frame of which only the objects are left; all else is transparent, and black underneath.

    Shapes: ``frame`` is ``[H, W, 3]``, each mask is ``[H, W]``; the result is ``[H, W, 4]``.

    Raises:
        PromptError: as for :func:`label_map`.
    """
    height, width = frame.shape[:2]
    inside = label_map(masks, height, width) > 0
    cut = np.zeros((height, width, 4), dtype=np.uint8)
    cut[inside, :3] = frame[inside]
    cut[inside, 3] = 255
    return cut


def palette_image(labels: npt.NDArray[np.integer]) -> Image.Image:
    """A label map as DAVIS has it: one byte per pixel, whose value is the object's id, and :data:`PALETTE`.

    Shapes: ``labels`` is ``[H, W]``.

    Raises:
        PromptError: an id does not fit into a byte.
    """
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest > 255:
        wrong = highest if highest > 255 else lowest
        raise PromptError(f"a palette PNG holds objects 1 to 255 (0 is the background); got object {wrong}.")
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(PALETTE.tobytes())
    return image


def save_palette_png(path: str | os.PathLike[str], labels: npt.NDArray[np.integer]) -> None:
    """Write :func:`palette_image` to a file.

    Shapes: ``labels`` is ``[H, W]``.

    Raises:
        PromptError: an id does not fit into a byte.
        VideoError: the file cannot be written.
    """
    image = palette_image(labels)
    try:
        image.save(path, format="PNG")
    except OSError as error:
        raise VideoError(f"{Path(path).name!r} cannot be written: {error.strerror or error}.") from error


def _pixels(object_id: int, mask: BoolMask | Rle, height: int, width: int) -> BoolMask:
    pixels = mask.decode() if isinstance(mask, Rle) else mask.astype(bool, copy=False)
    if pixels.shape != (height, width):
        raise PromptError(
            f"masks have the frame's size, {width} x {height} pixels; "
            f"the one of object {object_id} is an array of shape {list(pixels.shape)}."
        )
    return pixels


def _draw_outline(frame: RgbFrame, mask: BoolMask, colour: Colour) -> None:
    """Draw the inner edge of a mask, some pixels thick on large frames; the frame's border is no edge."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return
    thickness = max(1, round(min(mask.shape) / 240))
    # One pixel of background around the object is enough, and clipped away where the frame ends.
    box = (
        slice(max(int(rows[0]) - 1, 0), int(rows[-1]) + 2),
        slice(max(int(columns[0]) - 1, 0), int(columns[-1]) + 2),
    )
    core = ndimage.binary_erosion(mask[box], iterations=thickness, border_value=1)
    frame[box][mask[box] & ~core] = colour
