"""Answers that need no model. A figure without these beside it says little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sam2_core.evaluation.clicks import error_centre_click
from sam2_core.evaluation.images import Instance
from sam2_core.evaluation.metrics import BoolMask, jaccard

DISC_RADIUS = 40
DISC_RADII = (30, 55, 110)
"""Pixels, of pictures with a long side of 480."""


@dataclass(frozen=True, slots=True)
class GeometryScore:
    """Mean IoUs of a disc round the first click, of the best of three such discs, and of the filled box."""

    disc: float
    best_disc: float
    filled_box: float


def score_geometry(instances: Sequence[Instance]) -> GeometryScore:
    """Scores of the trivial answers on the objects of a picture set."""
    masks = [instance.mask for instance in instances]
    discs = [[jaccard(mask, _disc(mask, radius)) for radius in (DISC_RADIUS, *DISC_RADII)] for mask in masks]
    boxes = [jaccard(mask, _filled_box(mask)) for mask in masks]
    return GeometryScore(
        disc=float(np.mean([each[0] for each in discs])),
        best_disc=float(np.mean([max(each[1:]) for each in discs])),
        filled_box=float(np.mean(boxes)),
    )


def _disc(mask: BoolMask, radius: int) -> BoolMask:
    x, y, _ = error_centre_click(mask, np.zeros_like(mask))
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    disc: BoolMask = (columns - x) ** 2 + (rows - y) ** 2 <= radius * radius
    return disc


def _filled_box(mask: BoolMask) -> BoolMask:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    filled = np.zeros_like(mask)
    filled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return filled
