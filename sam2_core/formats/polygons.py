"""Masks as polygons, exactly.

Vertices lie on the corners of pixels, and filling by the even-odd rule gives the mask again.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from sam2_core.rle import BoolMask

Vertices = npt.NDArray[np.float64]
"""``[N, 2]``: x and y in pixels, the last one connected to the first; (0, 0) is the picture's top-left corner."""


def outline(mask: BoolMask) -> Vertices:
    """One closed polygon around a mask ``[H, W]``, however many parts and holes it has; empty for an empty mask.

    Parts and holes hang on the longest outline by bridges without width, which are walked there and back.
    """
    rings = _rings(mask)
    if not rings:
        return np.zeros((0, 2))
    trunk, *others = sorted(rings, key=len, reverse=True)
    tree = cKDTree(trunk)
    branches: defaultdict[int, list[Vertices]] = defaultdict(list)
    for ring in others:
        distances, places = (np.atleast_1d(each) for each in tree.query(ring))
        start = int(distances.argmin())
        place = int(places[start])
        branches[place] += [np.roll(ring, -start, axis=0), ring[start : start + 1], trunk[place : place + 1]]
    pieces = [piece for place in range(len(trunk)) for piece in (trunk[place : place + 1], *branches.get(place, ()))]
    return np.concatenate(pieces)


def _rings(mask: BoolMask) -> list[Vertices]:
    """All outlines, as corners that follow each other horizontally and vertically in turn.

    An outline turns where an odd number of the four pixels around a point is set. Along each line of points turns come
    in pairs: one begins an edge and the next one ends it. Where two pixels touch by a corner the edges just cross.
    """
    padded = np.pad(mask, 1)
    odd = padded[1:, 1:] ^ padded[1:, :-1] ^ padded[:-1, 1:] ^ padded[:-1, :-1]
    rows, columns = np.nonzero(odd)
    count = rows.size
    along_row = np.arange(count) ^ 1  # turns are listed row by row, so that pairs are neighbours
    by_column = np.lexsort((rows, columns))
    along_column = np.empty(count, dtype=np.intp)
    along_column[by_column] = by_column[np.arange(count) ^ 1]
    points = np.column_stack((columns, rows)).astype(np.float64)
    # Plain lists, because single numbers are taken from them.
    across, down, unseen = along_row.tolist(), along_column.tolist(), [True] * count
    rings = []
    for first in range(count):
        ring: list[int] = []
        turn = first
        while unseen[turn]:
            unseen[turn] = unseen[across[turn]] = False
            ring += [turn, across[turn]]
            turn = down[across[turn]]
        if ring:
            rings.append(points[ring])
    return rings


def fill(vertices: Vertices, height: int, width: int) -> BoolMask:
    """The pixels ``[height, width]`` whose centres lie inside a polygon, by the even-odd rule."""
    toggles = np.zeros((height, width + 1), dtype=bool)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        # Every row whose middle the edge crosses changes sides from there on.
        rows = np.arange(np.ceil(y0 - 0.5), np.ceil(y1 - 0.5)).clip(0, height - 1).astype(np.intp)
        if rows.size:
            crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            toggles[rows, np.ceil(crossings - 0.5).clip(0, width).astype(np.intp)] ^= True
    inside: BoolMask = np.logical_xor.accumulate(toggles, axis=1)[:, :width]
    return inside
