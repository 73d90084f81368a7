"""Pictures for people: a frame with masks and prompts, candidates side by side."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from sam2_core.media import encode_jpeg, object_colour, overlay
from sam2_core.media.source import RgbFrame
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import FrameResult, ObjectMask
from sam2_core.rle import BoolMask, Rle

SHOWN_PIXELS = (960, 1280)
"""A frame is shown with a longer side in this range; small ones are enlarged so that prompts stay fine dots."""

_POSITIVE = (22, 163, 74)
_NEGATIVE = (220, 38, 38)
_WHITE = (255, 255, 255)
_THUMBNAIL = (192, 144)


def annotated_frame(
    frame: RgbFrame, result: FrameResult | None = None, prompts: Mapping[int, Prompt] | None = None
) -> RgbFrame:
    """A frame at the size in which it is shown, with all masks and all that was said on it.

    Shapes: ``frame`` is ``[H, W, 3]``; the result has the same proportions and a longer side of 960 to 1280 pixels.
    """
    size = _shown_size(frame)
    shown = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    if result and result.objects:
        shown = overlay(shown, {found.object_id: _resized(found.mask, size) for found in result.objects})
    picture = Image.fromarray(shown)
    for object_id, prompt in (prompts or {}).items():
        _draw_prompt(picture, object_id, prompt)
    return np.asarray(picture)


def candidate_thumbnails(frame: RgbFrame, candidates: Sequence[ObjectMask]) -> list[RgbFrame]:
    """One small picture for each candidate, all of the same part of the frame.

    Shapes: ``frame`` is ``[H, W, 3]``; each result is ``[144, 192, 3]``.
    """
    masks = [candidate.mask.decode() for candidate in candidates]
    rows, columns = _surroundings(np.logical_or.reduce(masks), _THUMBNAIL[0] / _THUMBNAIL[1])
    part = frame[rows, columns]
    return [
        np.asarray(
            Image.fromarray(overlay(part, {candidate.object_id: mask[rows, columns]}, opacity=0.6)).resize(
                _THUMBNAIL, Image.Resampling.BILINEAR, reducing_gap=2.0
            )
        )
        for candidate, mask in zip(candidates, masks, strict=True)
    ]


def thumbnail(frame: RgbFrame, width: int = 320) -> RgbFrame:
    """A frame ``[H, W, 3]`` reduced to ``width`` pixels."""
    height = max(1, round(frame.shape[0] * width / frame.shape[1]))
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))


def data_url(picture: RgbFrame, quality: int = 85) -> str:
    """A picture ``[H, W, 3]`` as the address of itself."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(picture, quality)).decode("ascii")


def _shown_size(frame: RgbFrame) -> tuple[int, int]:
    """Width and height in which a frame is shown."""
    height, width = frame.shape[:2]
    longer = max(width, height)
    scale = min(max(longer, SHOWN_PIXELS[0]), SHOWN_PIXELS[1]) / longer
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(mask: Rle, size: tuple[int, int]) -> BoolMask:
    return np.asarray(Image.fromarray(mask.decode()).resize(size, Image.Resampling.NEAREST))


def _draw_prompt(picture: Image.Image, object_id: int, prompt: Prompt) -> None:
    draw = ImageDraw.Draw(picture)
    if prompt.box:
        _draw_box(draw, picture, prompt.box, object_id)
    for point in prompt.points:
        _draw_point(draw, picture, point)


def _draw_box(draw: ImageDraw.ImageDraw, picture: Image.Image, box: Box, object_id: int) -> None:
    corners = [
        (box.x0 * picture.width, box.y0 * picture.height),
        (box.x1 * picture.width - 1, box.y1 * picture.height - 1),
    ]
    draw.rectangle(corners, outline=_WHITE, width=4)
    draw.rectangle(corners, outline=object_colour(object_id), width=2)


def _draw_point(draw: ImageDraw.ImageDraw, picture: Image.Image, point: Point) -> None:
    x, y = point.x * picture.width, point.y * picture.height
    draw.circle((x, y), 11, fill=_POSITIVE if point.positive else _NEGATIVE, outline=_WHITE, width=2)
    draw.line((x - 5, y, x + 5, y), fill=_WHITE, width=2)
    if point.positive:
        draw.line((x, y - 5, x, y + 5), fill=_WHITE, width=2)


def _surroundings(mask: BoolMask, aspect: float) -> tuple[slice, slice]:
    """Rows and columns around a mask with some room, as near to ``aspect`` (width over height) as the frame allows."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(None), slice(None)
    height = (rows[-1] - rows[0] + 1) * 1.3
    width = (columns[-1] - columns[0] + 1) * 1.3
    height, width = max(height, width / aspect, 32.0), max(width, height * aspect, 32.0 * aspect)
    return (
        _window((rows[0] + rows[-1]) / 2, height, mask.shape[0]),
        _window((columns[0] + columns[-1]) / 2, width, mask.shape[1]),
    )


def _window(centre: float, extent: float, size: int) -> slice:
    length = min(size, round(extent))
    first = min(max(round(centre - length / 2), 0), size - length)
    return slice(first, first + length)
