"""Region similarity J and boundary accuracy F (Perazzi et al., 2016), as the SA-V evaluator computes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

BoolMask = npt.NDArray[np.bool_]

_TOLERANCE = 0.008
"""How far a boundary may be off, as a share of the frame's diagonal."""


@dataclass(frozen=True, slots=True)
class SequenceScore:
    """Means over the frames of one object, both in 0..1."""

    j: float
    f: float

    @property
    def j_and_f(self) -> float:
        """The mean of both."""
        return (self.j + self.f) / 2


def jaccard(truth: BoolMask, predicted: BoolMask) -> float:
    """Intersection over union; 1 if both masks ``[H, W]`` are empty."""
    union = int(np.count_nonzero(truth | predicted))
    return np.count_nonzero(truth & predicted) / union if union else 1.0


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
    # The same as dilating the other edge by a full disk, at a cost that does not grow with the radius.
    distance = ndimage.distance_transform_edt(~other)
    return int(np.count_nonzero(distance[edge] <= radius)) / total


def frame_scores(truth: Sequence[BoolMask], predicted: Sequence[BoolMask]) -> list[SequenceScore]:
    """Scores of every frame, from the first one on which truth or prediction shows the object."""
    pairs = list(zip(truth, predicted, strict=True))
    first = next((i for i, (a, b) in enumerate(pairs) if a.any() or b.any()), len(pairs))
    return [SequenceScore(jaccard(a, b), boundary_f(a, b)) for a, b in pairs[first:]]


def sequence_score(truth: Sequence[BoolMask], predicted: Sequence[BoolMask], *, ends: bool = False) -> SequenceScore:
    """Mean over a sequence; its first and last frame are left out unless ``ends``, as is the custom for DAVIS."""
    inner = slice(None) if ends else slice(1, -1)
    scores = frame_scores(truth[inner], predicted[inner])
    if not scores:
        raise ValueError("the object is on none of the scored frames, neither in truth nor in prediction")
    return SequenceScore(float(np.mean([s.j for s in scores])), float(np.mean([s.f for s in scores])))
