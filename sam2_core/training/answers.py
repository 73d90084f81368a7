"""What a model answered in one step, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.evaluation.metrics import roc_auc
from sam2_core.model import MaskPrediction, PromptTensors, Selection
from sam2_core.training.losses import LossWeights, loss_terms, mask_iou
from sam2_core.training.recipe import Loss

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Answer:
    """One run of the decoder.

    Attributes:
        frame: of the clip.
        rows: ``[n]``: the objects that were asked for, as rows of the batch.
        prediction: all four masks of each.
        chosen: the mask that goes on, without gradients.
        prompt: what was asked.
        correction: how many corrections led here.
        learned: whether the loss counts it.
    """

    frame: int
    rows: Tensor
    prediction: MaskPrediction
    chosen: Selection
    prompt: PromptTensors
    correction: int
    learned: bool

    @property
    def points(self) -> int:
        """In the prompt; a box has two, a tracked frame none."""
        return int((self.prompt.labels_bn[0] >= 0).sum())

    @property
    def tracked(self) -> bool:
        """Memory alone led here."""
        return self.points == 0


def summed_loss(answers: Sequence[Answer], masks: Tensor, loss: Loss, weights: LossWeights) -> Tensor:
    """Weighted terms, summed over answers and objects; dividing by the number of objects is left to the caller.

    Shapes: ``masks [B, T, S, S]`` in 0..1.
    """
    total = masks.new_zeros(())
    for answer in answers:
        if answer.learned:
            target = targets(masks[answer.rows, answer.frame], loss.stride)
            prediction = enlarged(answer.prediction, target.shape[-1])
            total = total + loss_terms(prediction, answer.points, target, weights, loss.fit).total(weights).sum()
    return total


def targets(masks_bhw: Tensor, stride: int) -> Tensor:
    """Masks at a stride, averaged over each cell. Shapes: ``[B, S, S] -> [B, S / stride, S / stride]``."""
    return masks_bhw if stride == 1 else F.avg_pool2d(masks_bhw[:, None], stride)[:, 0]


def enlarged(prediction: MaskPrediction, size: int) -> MaskPrediction:
    """The same with masks of ``size`` pixels a side."""
    logits = prediction.logits_bmhw
    if logits.shape[-1] != size:
        logits = F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)
    return MaskPrediction(
        logits, prediction.iou_bm, prediction.pointer_bmc, prediction.object_score_b, prediction.absent_pointer_1c
    )


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a step says about itself, besides its loss: IoUs over visible objects, not a number where there are none.

    Attributes:
        click: of the mask shown after the first prompt.
        best: of the best of all masks after the first prompt.
        corrected: of the mask shown after the last correction.
        tracked: of the masks on tracked frames.
        last: the same on the last frame of the clips.
        presence: how well object scores tell tracked frames with the object from those without, as the area under the
            ROC curve.
    """

    click: float = NAN
    best: float = NAN
    corrected: float = NAN
    tracked: float = NAN
    last: float = NAN
    presence: float = NAN


@dataclass(frozen=True, slots=True)
class Observed:
    """One process's part of a :class:`Measurement`: an IoU for each visible object, and object scores."""

    click: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    corrected: list[float] = field(default_factory=list)
    tracked: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    present: list[float] = field(default_factory=list)
    """Object scores where the object is on a tracked frame,"""
    absent: list[float] = field(default_factory=list)
    """and where it is not."""


def measurement(parts: Sequence[Observed]) -> Measurement:
    """Over all that was observed, by whichever process."""
    every = {each.name: [value for part in parts for value in getattr(part, each.name)] for each in fields(Observed)}
    present, absent = every.pop("present"), every.pop("absent")
    presence = roc_auc([*present, *absent], [True] * len(present) + [False] * len(absent))
    means = {name: float(np.mean(values)) if values else NAN for name, values in every.items()}
    return Measurement(**means, presence=NAN if presence is None else presence)


@torch.no_grad()
def observe(answers: Sequence[Answer], masks: Tensor) -> Observed:
    """What a step's answers are like, at the decoder's resolution. Shapes: ``masks [B, T, S, S]`` in 0..1."""
    judged = [(answer, targets(masks[answer.rows, answer.frame], 4)) for answer in answers]
    first = [pair for pair in judged if not pair[0].tracked and pair[0].correction == 0]
    last = {(a.frame, tuple(a.rows.tolist())): (a, t) for a, t in judged if a.correction}
    tracked = [pair for pair in judged if pair[0].tracked]
    end = max((answer.frame for answer in answers), default=0)
    scores = [(answer.chosen.object_score_b, _visible(target)) for answer, target in tracked]
    return Observed(
        click=_listed(_shown_ious(*pair) for pair in first),
        best=_listed(_best_ious(*pair) for pair in first),
        corrected=_listed(_shown_ious(*pair) for pair in last.values()),
        tracked=_listed(_shown_ious(*pair) for pair in tracked),
        last=_listed(_shown_ious(*pair) for pair in tracked if pair[0].frame == end),
        present=_listed(score[visible] for score, visible in scores),
        absent=_listed(score[~visible] for score, visible in scores),
    )


def _shown_ious(answer: Answer, target: Tensor) -> Tensor:
    shown = answer.chosen.gated() if answer.tracked else answer.chosen  # who points at an object sees it
    return mask_iou(shown.logits_bhw, target)[_visible(target)]


def _best_ious(answer: Answer, target: Tensor) -> Tensor:
    logits = answer.prediction.logits_bmhw
    return mask_iou(logits, target[:, None].expand_as(logits)).amax(dim=1)[_visible(target)]


def _visible(target: Tensor) -> Tensor:
    return target.flatten(1).amax(dim=1) > 0.5


def _listed(values: Iterable[Tensor]) -> list[float]:
    return [float(value) for each in values for value in each.tolist()]
