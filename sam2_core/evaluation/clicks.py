"""Where a simulated person clicks (the paper's appendix F.1.2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sam2_core.evaluation.metrics import BoolMask


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
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size:
        # All that counts lies within one pixel of the mask's box, which is often small.
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        distance[box] = ndimage.distance_transform_edt(np.pad(mask[box], 1))[1:-1, 1:-1]
    return distance
