"""One step: what it asks of the model, its loss, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sam2_core.model import SAM2
from sam2_core.training.answers import Observed, observe, summed_loss
from sam2_core.training.batches import ClipBatch, Share
from sam2_core.training.clip_step import ClipPlayer, Forgetting, decode, mixed_precision
from sam2_core.training.losses import Fit, LossWeights, loss_terms, mask_iou
from sam2_core.training.plan import Chance, Stream
from sam2_core.training.procedural import box_toy, click_toy, correction_toy
from sam2_core.training.recipe import Stage

_TOYS = (click_toy, box_toy, correction_toy, box_toy)


@dataclass(frozen=True, slots=True)
class StepResult:
    """A differentiable loss, summed over ``objects``, and what was observed."""

    loss: Tensor
    objects: int
    observed: Observed


def run_step(
    model: SAM2,
    stage: Stage,
    step: int,
    batch: ClipBatch | None,
    chance: Chance,
    share: Share,
    precision: torch.dtype,
) -> StepResult:
    """One process's share of a step, forward only.

    Args:
        model: in training mode.
        stage: what the step is a part of.
        step: counted from 0.
        batch: clips, where the model is; none for a toy.
        chance: of this step.
        share: this process's part.
        precision: number type of the forward pass.
    """
    weights = stage.loss.weights_at(step / stage.steps)
    if batch is None:
        return _toy_step(model, stage.toy.batch, weights, chance, share, precision)
    torch.manual_seed(int(chance.stream(Stream.NOISE, share.rank).integers(2**31)))  # what is dropped out
    player = make_player(model, stage, batch, chance, precision)
    answers = player.play()
    scale = stage.image.weight if batch.plan.frames == 1 else stage.video.weight
    loss = scale * summed_loss(answers, player.masks, stage.loss, weights)
    return StepResult(loss, len(batch.masks), observe(answers, player.masks))


def make_player(model: SAM2, stage: Stage, batch: ClipBatch, chance: Chance, precision: torch.dtype) -> ClipPlayer:
    """A model that plays a batch as the stage says."""
    person = stage.image.prompts if batch.plan.frames == 1 else stage.video.prompts
    rngs = [chance.stream(Stream.PERSON, number) for number in batch.numbers]
    forgetting = Forgetting(chance.stream(Stream.MEMORY), stage.video.forget, stage.video.forget_all)
    return ClipPlayer(model, batch, person, [rngs[clip] for clip in batch.owner.tolist()], forgetting, precision)


def _toy_step(
    model: SAM2, batch: int, weights: LossWeights, chance: Chance, share: Share, precision: torch.dtype
) -> StepResult:
    """Clicks, boxes and corrections on noise: only prompt encoder and decoder have anything to learn.

    Every process draws the whole batch and keeps its own part, so that all of them together have what one would have.
    """
    draw = _TOYS[int(chance.stream(Stream.PLAN).integers(len(_TOYS)))]
    toy = draw(chance.stream(Stream.CLIP), model.config, batch)[share.numbers(batch)].to(model.device)
    autocast = mixed_precision(model, precision)
    prediction = decode(model, toy.features, model.condition(toy.features, None), toy.prompt, autocast)
    points = int((toy.prompt.labels_bn[0] >= 0).sum())
    loss = loss_terms(prediction, points, toy.target, weights, Fit.ALL).total(weights).sum()
    with torch.no_grad():
        ious = mask_iou(prediction.logits_bmhw, toy.target[:, None].expand_as(prediction.logits_bmhw))
    return StepResult(loss, len(toy.target), Observed(click=ious[:, 0].tolist(), best=ious.amax(dim=1).tolist()))
