"""Losses: those of the paper's released training code, and the one that gets a model off the ground.

The paper's sum is ``20 focal + dice + IoU + presence`` (appendix D.2.1). From scratch, with objects that cover three
per cent of a picture, focal loss first finds the empty mask and stays there; class-balanced cross entropy does not, so
training starts with it and fades into plain cross entropy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

_FOCAL_ALPHA, _FOCAL_GAMMA = 0.25, 2.0


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each term counts; the defaults are the paper's."""

    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    presence: float = 1.0
    cross_entropy: float = 0.0
    balanced: float = 0.0


@dataclass(frozen=True, slots=True)
class LossTerms:
    """Unweighted terms of one prediction, each a mean over objects (scalars with gradients)."""

    focal: Tensor
    dice: Tensor
    iou: Tensor
    presence: Tensor

    def total(self, weights: LossWeights) -> Tensor:
        """The weighted sum."""
        focal, dice = weights.focal * self.focal, weights.dice * self.dice
        return focal + dice + weights.iou * self.iou + weights.presence * self.presence


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


def balanced_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy in which object and background weigh the same, whatever their areas. ``[..., H, W] -> [...]``."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    object_share = target.mean(dim=(-2, -1), keepdim=True).clamp(1e-4, 1 - 1e-4)
    weight = 0.5 * target / object_share + 0.5 * (1 - target) / (1 - object_share)
    return (weight * entropy).mean(dim=(-2, -1))


def shape_loss(logits: Tensor, target: Tensor, weights: LossWeights) -> Tensor:
    """All terms about where the mask is, weighted. Shapes: ``[..., H, W] -> [...]``; targets may be soft."""
    loss = weights.dice * dice_loss(logits, target)
    if weights.focal:
        loss = loss + weights.focal * focal_loss(logits, target)
    if weights.cross_entropy:
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(-2, -1))
        loss = loss + weights.cross_entropy * entropy
    if weights.balanced:
        loss = loss + weights.balanced * balanced_cross_entropy(logits, target)
    return loss


def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of thresholded masks; the union counts at least one pixel. Shapes: ``[..., H, W] -> [...]``."""
    predicted, true = logits > 0, target > 0.5
    union = (predicted | true).sum(dim=(-2, -1)).clamp(min=1)
    return (predicted & true).sum(dim=(-2, -1)) / union


def iou_loss(predicted_iou: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    """L1 distance of the predicted IoU from the true one. Shapes: ``[...]`` and ``[..., H, W] -> [...]``."""
    return (predicted_iou - mask_iou(logits.detach(), target)).abs()


def paper_terms(logits_bmhw: Tensor, iou_bm: Tensor, score_b: Tensor, target_bhw: Tensor) -> LossTerms:
    """The released code's terms of one prediction.

    Only the mask with the least ``20 focal + dice`` is trained to fit; the IoUs of all masks are. Mask terms count
    only where the object is visible.
    """
    target = target_bhw[:, None].expand_as(logits_bmhw)
    visible = target_bhw.flatten(1).any(dim=1).to(logits_bmhw.dtype)
    focal, dice = focal_loss(logits_bmhw, target), dice_loss(logits_bmhw, target)
    best = (20 * focal + dice).argmin(dim=1, keepdim=True)
    return LossTerms(
        focal=(focal.gather(1, best)[:, 0] * visible).mean(),
        dice=(dice.gather(1, best)[:, 0] * visible).mean(),
        iou=(iou_loss(iou_bm, logits_bmhw, target).mean(dim=1) * visible).mean(),
        presence=F.binary_cross_entropy_with_logits(score_b, visible),
    )


def answer_loss(
    logits_bmhw: Tensor, iou_bm: Tensor, score_b: Tensor, target_bhw: Tensor, weights: LossWeights
) -> Tensor:
    """For a click: mask 0 and the best candidate are trained to fit, all IoUs to be true. One number.

    Shapes: all four masks ``[B, 4, h, w]``, ``iou_bm [B, 4]``, ``score_b [B]``; soft target ``[B, h, w]`` in 0..1.
    """
    shapes, honesty, visible = _terms(logits_bmhw, iou_bm, target_bhw, weights)
    fit = shapes[:, 0] + shapes[:, 1:].amin(dim=1)
    return _weigh(fit, honesty, score_b, visible, weights)


def tracking_loss(
    logits_bmhw: Tensor, iou_bm: Tensor, score_b: Tensor, target_bhw: Tensor, weights: LossWeights
) -> Tensor:
    """For a tracked frame: memory leaves no ambiguity, so all four masks are trained to fit. Shapes as above."""
    shapes, honesty, visible = _terms(logits_bmhw, iou_bm, target_bhw, weights)
    return _weigh(2 * shapes.mean(dim=1), honesty, score_b, visible, weights)


def _terms(logits: Tensor, iou: Tensor, target: Tensor, weights: LossWeights) -> tuple[Tensor, Tensor, Tensor]:
    target = target[:, None].expand_as(logits)
    visible = (target[:, 0].flatten(1).amax(dim=1) > 0.5).to(logits.dtype)
    return shape_loss(logits, target, weights), iou_loss(iou, logits, target).mean(dim=1), visible


def _weigh(fit: Tensor, honesty: Tensor, score: Tensor, visible: Tensor, weights: LossWeights) -> Tensor:
    presence = F.binary_cross_entropy_with_logits(score, visible)
    return ((fit + weights.iou * honesty) * visible).mean() + weights.presence * presence
