"""Interactive segmentation of single pictures: what one click, several clicks or a box are worth, in IoU.

The person is simulated as in the paper's appendix F: the first click goes to the object's deepest point, each further
one to the centre of the largest error. Masks are compared at the picture's own size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sam2_core.evaluation.baselines import score_geometry
from sam2_core.evaluation.clicks import click_errors, enclosing_box
from sam2_core.evaluation.cost import Meter
from sam2_core.evaluation.metrics import jaccard
from sam2_core.evaluation.options import MEAN_CLICKS, Options
from sam2_core.evaluation.pictures import Instance, MaskedPicture, Picture
from sam2_core.evaluation.results import InstanceScore, PictureResult, Protocol, Snapshot
from sam2_core.evaluation.snapshots import draw
from sam2_core.media import video_from_array
from sam2_core.model import SAM2
from sam2_core.prompts import Prompt
from sam2_core.rle import BoolMask
from sam2_core.tracking.behaviour import Behaviour
from sam2_core.tracking.tracker import Tracker

TARGETS = (0.85, 0.90)
"""IoUs to which clicks are counted (NoC85 and NoC90); the last one is good enough to stop."""


def evaluate_picture(model: SAM2, picture: Picture, options: Options, behaviour: Behaviour) -> PictureResult:
    """All objects of one picture, which is encoded once.

    Raises:
        VideoError: picture or masks cannot be read.
    """
    meter = Meter(model.device)  # from file to masks
    content = picture.read()
    tracker = Tracker(model, video_from_array(content.image), behaviour)
    answered = [_answer(tracker, instance, options.picture_clicks) for instance in content.instances]
    # Every click and every box is an answer; the picture is encoded once.
    cost = meter.read(sum(len(ious) + 1 for ious, _, _, _ in answered))
    scores = tuple(
        InstanceScore(instance.name, _padded(ious), oracle, box, score_geometry(instance.mask, instance.ignored))
        for instance, (ious, oracle, box, _) in zip(content.instances, answered, strict=True)
    )
    pictures = _extremes(picture.name, content, [(ious[0], first) for ious, _, _, first in answered])
    return PictureResult(Protocol.IMAGES, picture.name, scores, cost, pictures)


def _answer(tracker: Tracker, instance: Instance, clicks: int) -> tuple[list[float], float, float, BoolMask]:
    """IoUs after each click, of the best candidate and for the box; and the mask after the first click."""
    each, truth = instance.object_id, instance.mask
    ious: list[float] = []
    oracle, first = 0.0, truth
    for predicted in click_errors(tracker, each, 0, truth, clicks, instance.ignored):
        ious.append(_iou(instance, predicted))
        if len(ious) == 1:
            first = predicted
            oracle = max(_iou(instance, option.mask.decode()) for option in tracker.candidates(each, 0))
        if len(ious) >= MEAN_CLICKS and ious[-1] >= TARGETS[-1]:
            break
    tracker.remove_object(each)
    boxed = tracker.prompt(each, 0, Prompt(box=enclosing_box(truth)))[each].mask.decode()
    tracker.remove_object(each)
    return ious, oracle, _iou(instance, boxed), first


def _padded(ious: Sequence[float]) -> tuple[float, ...]:
    """After a perfect mask nobody clicks any more, and it stays perfect."""
    return (*ious, *[ious[-1]] * (MEAN_CLICKS - len(ious)))


def _iou(instance: Instance, predicted: BoolMask) -> float:
    return jaccard(instance.mask, predicted if instance.ignored is None else predicted & ~instance.ignored)


def _extremes(name: str, content: MaskedPicture, firsts: Sequence[tuple[float, BoolMask]]) -> tuple[Snapshot, ...]:
    """The objects with the least and the greatest IoU after one click."""
    if not firsts:
        return ()
    ious = [iou for iou, _ in firsts]
    chosen = dict.fromkeys((int(np.argmin(ious)), int(np.argmax(ious))))
    return tuple(
        Snapshot(
            name,
            content.instances[place].name,
            None,
            ious[place],
            draw(content.image, content.instances[place].mask, firsts[place][1]),
        )
        for place in chosen
    )
