"""Interactive segmentation of single pictures: what one click, several clicks or a box are worth, in mean IoU.

The person is simulated as in the paper's appendix F: the first click goes to the object's deepest point, each further
one to the centre of the largest error. Masks are compared at the picture's own size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sam2_core.evaluation.clicks import error_centre_click
from sam2_core.evaluation.metrics import BoolMask, jaccard
from sam2_core.media import video_from_array
from sam2_core.model import SAM2
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Instance:
    """One object of one picture. Shapes: ``image [H, W, 3]`` uint8 RGB, ``mask [H, W]``."""

    image: npt.NDArray[np.uint8]
    mask: BoolMask


@dataclass(frozen=True, slots=True)
class InstanceScore:
    """IoUs of one object.

    Attributes:
        clicks: after one click, two clicks, and so on.
        oracle: of the best of the three candidates after one click.
        box: for its exact box.
    """

    clicks: tuple[float, ...]
    oracle: float
    box: float


@dataclass(frozen=True, slots=True)
class ImageScore:
    """Means over all objects."""

    objects: int
    one_click: float
    one_click_oracle: float
    last_click: float
    box: float


def evaluate_images(model: SAM2, images: Iterable[Sequence[Instance]], clicks: int = 5) -> ImageScore:
    """Mean scores over pictures, each given as the sequence of its objects."""
    scores = [score for instances in images for score in score_picture(model, instances, clicks)]
    return ImageScore(
        objects=len(scores),
        one_click=float(np.mean([s.clicks[0] for s in scores])),
        one_click_oracle=float(np.mean([s.oracle for s in scores])),
        last_click=float(np.mean([s.clicks[-1] for s in scores])),
        box=float(np.mean([s.box for s in scores])),
    )


def score_picture(model: SAM2, instances: Sequence[Instance], clicks: int) -> list[InstanceScore]:
    """Scores of all objects of one picture, which is encoded once."""
    if not instances:
        return []
    tracker = Tracker(model, video_from_array(instances[0].image))
    return [_score(tracker, 2 * index + 1, instance.mask, clicks) for index, instance in enumerate(instances)]


def _score(tracker: Tracker, object_id: int, truth: BoolMask, clicks: int) -> InstanceScore:
    prompt: Prompt | None = None
    predicted = np.zeros_like(truth)
    ious, oracle = [], 0.0
    for click in range(clicks):
        point = _point(truth, predicted)
        prompt = prompt.with_point(point) if prompt else Prompt(points=(point,))
        predicted = tracker.prompt(object_id, 0, prompt)[object_id].mask.decode()
        ious.append(jaccard(truth, predicted))
        if click == 0:
            candidates = tracker.candidates(object_id, 0)
            oracle = max(jaccard(truth, candidate.mask.decode()) for candidate in candidates)
    boxed = tracker.prompt(object_id + 1, 0, Prompt(box=enclosing_box(truth)))[object_id + 1].mask.decode()
    for done in (object_id, object_id + 1):
        tracker.remove_object(done)
    return InstanceScore(tuple(ious), oracle, jaccard(truth, boxed))


def _point(truth: BoolMask, predicted: BoolMask) -> Point:
    x, y, positive = error_centre_click(truth, predicted)
    height, width = truth.shape
    return Point((x + 0.5) / width, (y + 0.5) / height, bool(positive))


def enclosing_box(mask: BoolMask) -> Box:
    """The smallest box that holds a mask which is not empty."""
    height, width = mask.shape
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x1, y1 = (columns[-1] + 1) / width, (rows[-1] + 1) / height
    return Box(float(columns[0] / width), float(rows[0] / height), float(x1), float(y1))
