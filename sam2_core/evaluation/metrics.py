"""Region similarity J and boundary accuracy F (Perazzi et al., 2016), as the SA-V evaluator computes them.

A sequence's first and last annotated frame do not count, and an object counts from the first of the others on which
truth or prediction shows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from sam2_core.rle import BoolMask, Rle

_TOLERANCE = 0.008
"""How far a boundary may be off, as a share of the frame's diagonal."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One object's scores by frame, in 0..1.

    Attributes:
        frames: that count, in ascending order; at least one.
        j: region similarity on each of them.
        f: boundary accuracy on each of them.
    """

    frames: tuple[int, ...]
    j: tuple[float, ...]
    f: tuple[float, ...]

    @property
    def mean_j(self) -> float:
        """Over the frames."""
        return float(np.mean(self.j))

    @property
    def mean_f(self) -> float:
        """Over the frames."""
        return float(np.mean(self.f))

    @property
    def j_and_f(self) -> float:
        """The mean of both means."""
        return (self.mean_j + self.mean_f) / 2


def jaccard(truth: BoolMask, predicted: BoolMask) -> float:
    """Intersection over union; 1 if both masks ``[H, W]`` are empty."""
    union = int(np.count_nonzero(truth | predicted))
    return int(np.count_nonzero(truth & predicted)) / union if union else 1.0


def boundary_f(truth: BoolMask, predicted: BoolMask) -> float:
    """Harmonic mean of boundary precision and recall, within a tolerance. Shapes: ``[H, W]``."""
    height, width = truth.shape
    radius = math.ceil(_TOLERANCE * math.hypot(height, width))
    true_edge, predicted_edge = boundary(truth), boundary(predicted)
    precision = _share_near(predicted_edge, true_edge, radius)
    recall = _share_near(true_edge, predicted_edge, radius)
    if not true_edge.any() and predicted_edge.any():
        precision, recall = 0.0, 1.0
    if true_edge.any() and not predicted_edge.any():
        precision, recall = 1.0, 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary(mask: BoolMask) -> BoolMask:
    """Pixels that differ from their right, lower or lower-right neighbour; outside, the mask repeats its last pixels.

    The corner pixel is never a boundary. Shapes: ``[H, W]``.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, lower, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edge: BoolMask = (mask ^ right) | (mask ^ lower) | (mask ^ diagonal)
    return edge


def _share_near(edge: BoolMask, other: BoolMask, radius: int) -> float:
    """Share of an edge's pixels that have a pixel of the other edge within the radius; 1 for an empty edge."""
    total = int(np.count_nonzero(edge))
    if not total or not other.any():
        return 0.0 if total else 1.0
    rows, columns = (np.flatnonzero(other.any(axis=axis)) for axis in (1, 0))
    # Farther from the other edge than the radius nothing is near.
    box = (
        slice(max(int(rows[0]) - radius, 0), int(rows[-1]) + radius + 1),
        slice(max(int(columns[0]) - radius, 0), int(columns[-1]) + radius + 1),
    )
    return int(np.count_nonzero(edge[box] & _dilate(other[box], radius))) / total


def _dilate(mask: BoolMask, radius: int) -> BoolMask:
    """A mask ``[H, W]`` grown by a full disk, a line of the disk at a time."""
    lines = {dy: math.isqrt(radius * radius - dy * dy) for dy in range(min(radius, mask.shape[0] - 1) + 1)}
    grown = np.zeros_like(mask)
    line = mask.copy()
    for half in range(radius + 1):
        if half and half < mask.shape[1]:
            line[:, half:] |= mask[:, :-half]
            line[:, :-half] |= mask[:, half:]
        for dy in (dy for dy, width in lines.items() if width == half):
            grown[dy:] |= line[: len(line) - dy]
            grown[: len(line) - dy] |= line[dy:]
    return grown


def curve(truth: Mapping[int, Rle], predicted: Mapping[int, Rle], *, ends: bool = False) -> Curve | None:
    """Scores of one object on a sequence's annotated frames; ``None`` where truth never shows it on one that counts.

    Args:
        truth: mask by frame, empty ones included: its frames are those that count.
        predicted: mask by frame; a missing one is empty.
        ends: the first and the last annotated frame count, too.
    """
    frames = sorted(truth) if ends else sorted(truth)[1:-1]
    if not any(truth[frame].area for frame in frames):
        return None
    pairs = ((truth[frame], predicted.get(frame)) for frame in frames)
    masks = ((true.decode(), _decoded(found, true)) for true, found in pairs)
    scores = frame_scores(masks)
    return Curve(tuple(frames[-len(scores) :]), *zip(*scores, strict=True))


def _decoded(mask: Rle | None, like: Rle) -> BoolMask:
    return np.zeros((like.height, like.width), bool) if mask is None else mask.decode()


def frame_scores(pairs: Iterable[tuple[BoolMask, BoolMask]]) -> list[tuple[float, float]]:
    """J and F of every frame, from the first one on which truth or prediction, in this order, shows the object."""
    return list(_frame_scores(pairs))


def _frame_scores(pairs: Iterable[tuple[BoolMask, BoolMask]]) -> Iterator[tuple[float, float]]:
    seen = False
    for truth, predicted in pairs:
        seen = seen or bool(truth.any() or predicted.any())
        if seen:
            yield jaccard(truth, predicted), boundary_f(truth, predicted)


def roc_auc(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """How likely a positive one scores above a negative one (area under the ROC curve); ``None`` without either.

    Equal scores count half.
    """
    wanted = np.asarray(positive, dtype=bool)
    count, rest = int(wanted.sum()), int((~wanted).sum())
    if not count or not rest:
        return None
    ranks = rankdata(np.asarray(scores, dtype=np.float64))
    return float((ranks[wanted].sum() - count * (count + 1) / 2) / (count * rest))
