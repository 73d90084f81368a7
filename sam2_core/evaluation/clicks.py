"""What a simulated person points at (the paper's appendix F.1.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sam2_core.prompts import Box, Point, Prompt
from sam2_core.rle import BoolMask
from sam2_core.tracking.tracker import Tracker


def error_centre_click(truth: BoolMask, predicted: BoolMask) -> tuple[int, int, bool]:
    """The pixel of the errors that is farthest from their border, as (x, y) and whether the click is positive.

    Positive if the deepest miss is deeper than the deepest false alarm; the picture's edge counts as a border. With an
    empty prediction it is the deepest pixel of the object.

    Shapes: two ``[H, W]`` masks.
    """
    missed, invented = depth(truth & ~predicted), depth(predicted & ~truth)
    positive = bool(missed.max() > invented.max())
    errors = missed if positive else invented
    y, x = np.unravel_index(errors.argmax(), errors.shape)
    return int(x), int(y), positive


def depth(mask: BoolMask) -> npt.NDArray[np.float64]:
    """Distance of every pixel of ``[H, W]`` to the nearest one outside the mask, in pixels."""
    distance = np.zeros(mask.shape)
    if mask.any():
        # All that counts lies within one pixel of the mask's box, which is often small.
        box = bounds(mask)
        distance[box] = ndimage.distance_transform_edt(np.pad(mask[box], 1))[1:-1, 1:-1]
    return distance


def click_errors(
    tracker: Tracker, object_id: int, frame_index: int, truth: BoolMask, clicks: int, ignored: BoolMask | None = None
) -> Iterator[BoolMask]:
    """Click the centre of the largest error again and again; yields the mask ``[H, W]`` after each click.

    The first click is on the error of the mask that the frame already has, or on the object's middle. It ends early
    where there is no error left.

    Args:
        tracker: of the video; its answers stay in it.
        object_id: which object.
        frame_index: where to click.
        truth: what the person wants, ``[H, W]``.
        clicks: at most.
        ignored: pixels about which the person does not care, ``[H, W]``.
    """
    held = {found.object_id: found.mask.decode() for found in tracker.result(frame_index).objects}
    predicted = held.get(object_id, np.zeros_like(truth))
    prompt: Prompt | None = None
    for _ in range(clicks):
        cared = predicted if ignored is None else np.where(ignored, truth, predicted)
        if np.array_equal(truth, cared):
            return
        point = _point(truth, cared)
        prompt = prompt.with_point(point) if prompt else Prompt(points=(point,))
        predicted = tracker.prompt(object_id, frame_index, prompt)[object_id].mask.decode()
        yield predicted


def _point(truth: BoolMask, predicted: BoolMask) -> Point:
    x, y, positive = error_centre_click(truth, predicted)
    height, width = truth.shape
    return Point((x + 0.5) / width, (y + 0.5) / height, positive)


def enclosing_box(mask: BoolMask) -> Box:
    """The smallest box that holds a mask ``[H, W]`` which is not empty."""
    height, width = mask.shape
    rows, columns = bounds(mask)
    return Box(columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)


def bounds(mask: BoolMask) -> tuple[slice, slice]:
    """Rows and columns of the smallest box that holds a mask ``[H, W]`` which is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
