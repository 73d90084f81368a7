"""Losses: those of the paper's released training code, and the one that gets a model off the ground.

The paper's sum is ``20 focal + dice + IoU + presence`` (appendix D.2.1). From scratch, with objects that cover three
per cent of a picture, focal loss first finds the empty mask and stays there; class-balanced cross entropy does not, so
training starts with it and fades into plain cross entropy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.model import MaskPrediction
from sam2_core.training.ranges import Strength

_FOCAL_ALPHA, _FOCAL_GAMMA = 0.25, 2.0


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each term counts; the defaults are the paper's."""

    focal: Strength = 20.0
    dice: Strength = 1.0
    iou: Strength = 1.0
    presence: Strength = 1.0
    cross_entropy: Strength = 0.0
    balanced: Strength = 0.0


class Fit(Enum):
    """Which masks of a prediction are trained to fit; the IoUs of all masks that are looked at are trained to be true.

    ``ASKED`` is the released code's: the best candidate where candidates are asked for (after one click, and on a
    tracked frame), mask 0 elsewhere. ``ALL`` makes the most of a prediction, as a small model from nothing needs it:
    mask 0 and the best candidate after any prompt, and all four on a tracked frame, where memory leaves no ambiguity.
    """

    ASKED = "asked"
    ALL = "all"


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Sigmoid focal loss, mean over pixels. Shapes: ``[..., H, W] -> [...]``."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = logits.sigmoid()
    wrong = probability * (1 - target) + (1 - probability) * target
    alpha = _FOCAL_ALPHA * target + (1 - _FOCAL_ALPHA) * (1 - target)
    return (alpha * wrong**_FOCAL_GAMMA * entropy).mean(dim=(-2, -1))


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """``1 - (2 |p g| + 1) / (|p| + |g| + 1)``. Shapes: ``[..., H, W] -> [...]``."""
    probability = logits.sigmoid()
    both = (probability * target).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target.sum(dim=(-2, -1))
    return 1 - (2 * both + 1) / (total + 1)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy, mean over pixels. Shapes: ``[..., H, W] -> [...]``."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(-2, -1))


def balanced_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy in which object and background weigh the same, whatever their areas. ``[..., H, W] -> [...]``."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    object_share = target.mean(dim=(-2, -1), keepdim=True).clamp(1e-4, 1 - 1e-4)
    weight = 0.5 * target / object_share + 0.5 * (1 - target) / (1 - object_share)
    return (weight * entropy).mean(dim=(-2, -1))


def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of thresholded masks; the union counts at least one pixel. Shapes: ``[..., H, W] -> [...]``."""
    predicted, true = logits > 0, target > 0.5
    union = (predicted | true).sum(dim=(-2, -1)).clamp(min=1)
    return (predicted & true).sum(dim=(-2, -1)) / union


def iou_loss(predicted_iou: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    """L1 distance of the predicted IoU from the true one. Shapes: ``[...]`` and ``[..., H, W] -> [...]``."""
    return (predicted_iou - mask_iou(logits.detach(), target)).abs()


@dataclass(frozen=True, slots=True)
class LossTerms:
    """Unweighted terms of one prediction, by object. Shapes: ``[B]`` each, with gradients."""

    focal: Tensor
    dice: Tensor
    iou: Tensor
    presence: Tensor
    cross_entropy: Tensor
    balanced: Tensor

    def total(self, weights: LossWeights) -> Tensor:
        """The weighted sum, ``[B]``."""
        return torch.stack([getattr(weights, each.name) * getattr(self, each.name) for each in fields(self)]).sum(dim=0)


def loss_terms(
    prediction: MaskPrediction, points: int, target_bhw: Tensor, weights: LossWeights, fit: Fit = Fit.ASKED
) -> LossTerms:
    """Terms of one prediction. All but presence count only where the object is visible.

    Terms of no weight are not computed: at the image's size they cost as much as the others.

    Args:
        prediction: all four masks, not gated by visibility.
        points: how many the prompt had; none on a tracked frame.
        target_bhw: true masks at the size of the predicted ones, in 0..1; they may be soft.
        weights: of the terms; the best candidate is the one for which the weighted terms of its shape are least.
        fit: which masks have to fit.
    """
    masks = _looked_at(points, fit)
    logits, iou = prediction.logits_bmhw[:, masks], prediction.iou_bm[:, masks]
    target = target_bhw[:, None].expand_as(logits)
    visible = (target_bhw.flatten(1).amax(dim=1) > 0.5).to(logits.dtype)
    shapes = {
        name: loss(logits, target) if getattr(weights, name) else torch.zeros_like(iou)
        for name, loss in _SHAPE_LOSSES.items()
    }
    weighted = torch.stack([getattr(weights, name) * shape.detach() for name, shape in shapes.items()]).sum(dim=0)
    share = _shares(weighted, points, fit)
    return LossTerms(
        **{name: (share * shape).sum(dim=1) * visible for name, shape in shapes.items()},
        iou=iou_loss(iou, logits, target).mean(dim=1) * visible,
        presence=F.binary_cross_entropy_with_logits(prediction.object_score_b, visible, reduction="none"),
    )


def _looked_at(points: int, fit: Fit) -> slice:
    if fit is Fit.ALL:
        return slice(None)
    return slice(1, None) if points < 2 else slice(1)


def _shares(loss_bm: Tensor, points: int, fit: Fit) -> Tensor:
    """How much each mask has to fit, ``[B, M]``."""
    if fit is Fit.ALL and points == 0:
        return torch.full_like(loss_bm, 2 / loss_bm.shape[1])
    first = 1 if fit is Fit.ALL else 0  # mask 0 is not among those that compete
    best = F.one_hot(loss_bm[:, first:].argmin(dim=1), loss_bm.shape[1] - first).to(loss_bm.dtype)
    return torch.cat((torch.ones_like(loss_bm[:, :first]), best), dim=1)


_SHAPE_LOSSES = {
    "focal": focal_loss,
    "dice": dice_loss,
    "cross_entropy": cross_entropy,
    "balanced": balanced_cross_entropy,
}
