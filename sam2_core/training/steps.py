"""One training step of each stage: draw, predict, compare. No state is kept here.

The forward pass runs under bfloat16 autocast, except where clicks become position codes; losses are in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2_core.config import MEMORY_FRAMES, POINTER_FRAMES
from sam2_core.model import SAM2, ImageFeatures, MaskPrediction, MemoryContext, PromptTensors, Selection
from sam2_core.training.augment import ImageBatch, soft_targets
from sam2_core.training.losses import LossWeights, answer_loss, mask_iou, tracking_loss
from sam2_core.training.procedural import box_toy, click_toy, correction_toy
from sam2_core.training.prompts import correction_clicks, first_clicks, jittered_boxes, with_click
from sam2_core.training.pseudo_video import Clip

BOX_SHARE = 0.35
CORRECTION_ROUNDS = (0.5, 0.2, 0.15, 0.15)
"""Chances of one to four correction clicks; only the last one is learned from."""
MASK_PROMPT_SHARE = 0.7
"""Share of clips that start from a given mask; the others start from a click or a box."""
CORRECTED_SHARE = 0.3
"""Share of clips in which a tracked frame gets a correction click."""
FARTHEST = 60
"""Frames by which the first frame may pretend to lie further back than it does."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step says about itself: a differentiable ``loss`` and plain measurements."""

    loss: Tensor
    single_iou: float
    best_iou: float
    before: float
    after: float
    """Mean IoU before and after a correction, or on the first and last tracked frame of a clip."""


def _mixed_precision(model: SAM2) -> torch.autocast:
    return torch.autocast(model.device.type, torch.bfloat16)


def _decode(model: SAM2, features: ImageFeatures, conditioned: Tensor, prompt: PromptTensors) -> MaskPrediction:
    encoded = model.encode_prompt(prompt)  # in float32: an angle of several turns has no digits to lose
    with _mixed_precision(model):
        raw = model.decode(features, conditioned, encoded)
    return MaskPrediction(
        raw.logits_bmhw.float(),
        raw.iou_bm.float(),
        raw.pointer_bmc.float(),
        raw.object_score_b.float(),
        raw.absent_pointer_1c,
    )


def _answer(prediction: MaskPrediction, target: Tensor, weights: LossWeights) -> Tensor:
    return answer_loss(prediction.logits_bmhw, prediction.iou_bm, prediction.object_score_b, target, weights)


def _ious(prediction: MaskPrediction, target: Tensor) -> Tensor:
    return mask_iou(prediction.logits_bmhw.detach(), target[:, None].expand_as(prediction.logits_bmhw))


def warmup_step(model: SAM2, rng: np.random.Generator, batch: int, weights: LossWeights) -> StepReport:
    """Clicks, boxes and corrections on noise: only prompt encoder and decoder have anything to learn."""
    draw = (click_toy, box_toy, correction_toy, box_toy)[int(rng.integers(4))]
    toy = draw(rng, model.config, batch)
    prediction = _decode(model, toy.features, model.condition(toy.features, None), toy.prompt)
    ious = _ious(prediction, toy.target)
    single, best = float(ious[:, 0].mean()), float(ious[:, 1:].amax(dim=1).mean())
    return StepReport(_answer(prediction, toy.target, weights), single, best, single, single)


def image_step(model: SAM2, rng: np.random.Generator, batch: ImageBatch, weights: LossWeights) -> StepReport:
    """Several objects of each picture, prompted by a click or a box and then corrected."""
    count = batch.targets.shape[1]
    with _mixed_precision(model):
        features = model.encode_image(batch.pixels)
    picture = torch.arange(batch.pixels.shape[0]).repeat_interleave(count)
    boxed = torch.from_numpy(rng.random(picture.shape[0]) < BOX_SHARE)
    targets, masks = batch.targets.flatten(0, 1), batch.masks.flatten(0, 1)
    reports = []
    for rows, by_box in ((torch.nonzero(~boxed)[:, 0], False), (torch.nonzero(boxed)[:, 0], True)):
        if not len(rows):
            continue
        target = targets[rows]
        prompt = jittered_boxes(rng, masks[rows], model.config.image_size) if by_box else first_clicks(rng, target)
        own = features[picture[rows]]
        report = _prompted(model, rng, own, model.condition(own, None), prompt, target, weights)[0]
        reports.append((len(rows) / len(picture), report))
    return _mean(reports)


def _mean(reports: list[tuple[float, StepReport]]) -> StepReport:
    def weigh(name: str) -> float:
        return sum(share * float(getattr(report, name)) for share, report in reports)

    loss = torch.stack([share * report.loss for share, report in reports]).sum()
    return StepReport(loss, weigh("single_iou"), weigh("best_iou"), weigh("before"), weigh("after"))


def _prompted(
    model: SAM2,
    rng: np.random.Generator,
    features: ImageFeatures,
    conditioned: Tensor,
    prompt: PromptTensors,
    target: Tensor,
    weights: LossWeights,
) -> tuple[StepReport, Selection]:
    """A first answer and the answer after one to four corrections, both learned from."""
    first = _decode(model, features, conditioned, prompt)
    shown = first.best() if prompt.labels_bn.shape[1] == 1 else first.single()
    logits, rounds = shown.logits_bhw.detach(), 1 + int(rng.choice(len(CORRECTION_ROUNDS), p=CORRECTION_ROUNDS))
    for _ in range(rounds - 1):
        prompt = with_click(prompt, correction_clicks(rng, logits, target), logits)
        with torch.no_grad():
            logits = _decode(model, features, conditioned, prompt).single().logits_bhw
    before = mask_iou(logits, target)
    prompt = with_click(prompt, correction_clicks(rng, logits, target), logits)
    last = _decode(model, features, conditioned, prompt)
    ious, after = _ious(first, target), mask_iou(last.single().logits_bhw.detach(), target)
    report = StepReport(
        _answer(first, target, weights) + _answer(last, target, weights),
        float(ious[:, 0].mean()),
        float(ious[:, 1:].amax(dim=1).mean()),
        float(before.mean()),
        float(after.mean()),
    )
    return report, last.single()


@dataclass(frozen=True, slots=True)
class Memory:
    """What one frame of a clip left behind. Shapes: ``map_bdhw [B, D, h, w]``, ``pointer_bc [B, C]``."""

    frame: int
    map_bdhw: Tensor
    pointer_bc: Tensor


def _context(rng: np.random.Generator, frame: int, conditioning: list[Memory], recent: list[Memory]) -> MemoryContext:
    """As the tracker would choose, with some recent memories lost at random so that none is relied on."""
    kept = [memory for memory in recent if rng.random() < 0.85] if rng.random() < 0.75 else []
    mapped = [memory for memory in kept if frame - memory.frame < MEMORY_FRAMES]
    maps, pointers = [*conditioning, *mapped], [*conditioning, *kept]
    rows = [MEMORY_FRAMES - 1] * len(conditioning) + [frame - memory.frame - 1 for memory in mapped]
    distances = [float(frame - memory.frame) for memory in pointers]
    batch = maps[0].map_bdhw.shape[0]
    return MemoryContext(
        torch.stack([memory.map_bdhw for memory in maps], dim=1),
        torch.tensor([rows]).expand(batch, -1),
        torch.stack([memory.pointer_bc for memory in pointers], dim=1),
        torch.tensor([distances]).expand(batch, -1) / (POINTER_FRAMES - 1),
    )


def _remember(model: SAM2, frame: int, features: ImageFeatures, selection: Selection) -> Memory:
    size = model.config.image_size
    logits = selection.gated().logits_bhw[:, None]
    mask = F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)[:, 0].sigmoid()
    with _mixed_precision(model):
        kept = model.remember(features, mask, selection.object_score_b)
    return Memory(frame, kept.float(), selection.pointer_bc)


def video_step(
    model: SAM2, rng: np.random.Generator, clips: list[Clip], watched: int, weights: LossWeights
) -> StepReport:
    """Clips tracked from their first frame.

    Only the first frame and the last ``watched`` ones are learned from; what lies between is tracked without gradients,
    so that the model meets its own drift. At times one of the last frames is corrected by a click.
    """
    pixels = torch.stack([clip.pixels for clip in clips])
    frames = pixels.shape[1]
    masks = torch.cat([clip.masks for clip in clips])  # objects clip by clip: B, T, S, S
    targets = soft_targets(masks)
    owner = torch.arange(len(clips)).repeat_interleave(clips[0].masks.shape[0])
    learned = [0, *range(max(1, frames - watched), frames)]
    corrected = int(rng.choice(learned[1:])) if rng.random() < CORRECTED_SHARE else None
    features = _encode_frames(model, pixels, learned)

    own = features[0][owner]
    losses, start = _start(model, rng, own, masks[:, 0], targets[:, 0], weights)
    further = int(rng.integers(FARTHEST)) if rng.random() < 0.5 else 0
    conditioning, recent = [_remember(model, -further, own, start)], list[Memory]()
    scores = []
    for frame in range(1, frames):
        own, target = features[frame][owner], targets[:, frame]
        with torch.set_grad_enabled(frame in learned):
            with _mixed_precision(model):
                conditioned = model.condition(own, _context(rng, frame, conditioning, recent))
            nothing = PromptTensors.nothing(owner.shape[0], model.device)
            prediction = _decode(model, own, conditioned.float(), nothing)
            selection = prediction.best()
            scores.append(_tracking_score(prediction, selection, target))
            if frame in learned:
                losses.append(_tracked(prediction, target, weights))
            if frame == corrected:
                logits = selection.logits_bhw.detach()
                prompt = with_click(None, correction_clicks(rng, logits, target), logits)
                prediction = _decode(model, own, conditioned.float(), prompt)
                losses.append(_answer(prediction, target, weights))
                conditioning.append(_remember(model, frame, own, prediction.best()))
            else:
                recent.append(_remember(model, frame, own, selection))
    chosen, oracle = np.nanmean(np.array([*scores, (np.nan, np.nan)]), axis=0)
    loss = 2 * torch.stack(losses).sum() / len(learned)
    return StepReport(loss, float(chosen), float(oracle), float(scores[0][0]), float(scores[-1][0]))


def _tracked(prediction: MaskPrediction, target: Tensor, weights: LossWeights) -> Tensor:
    return tracking_loss(prediction.logits_bmhw, prediction.iou_bm, prediction.object_score_b, target, weights)


def _tracking_score(prediction: MaskPrediction, selection: Selection, target: Tensor) -> tuple[float, float]:
    """Mean IoU of the chosen mask and of the best one, over the objects that are visible; not a number without any."""
    visible = target.flatten(1).amax(dim=1) > 0.5
    if not visible.any():
        return float("nan"), float("nan")
    chosen = mask_iou(selection.gated().logits_bhw.detach(), target)
    return float(chosen[visible].mean()), float(_ious(prediction, target)[visible].amax(dim=1).mean())


def _encode_frames(model: SAM2, pixels: Tensor, learned: list[int]) -> list[ImageFeatures]:
    """Features of every frame, with gradients for some. Shapes: ``pixels [clips, T, 3, S, S]``."""
    clips, frames = pixels.shape[:2]
    found: dict[int, ImageFeatures] = {}
    for group in (learned, [frame for frame in range(frames) if frame not in learned]):
        if not group:
            continue
        with torch.set_grad_enabled(group is learned), _mixed_precision(model):
            features = model.encode_image(pixels[:, group].flatten(0, 1))
        rows = torch.arange(clips) * len(group)
        found.update({frame: features[rows + position] for position, frame in enumerate(group)})
    return [found[frame] for frame in range(frames)]


def _start(
    model: SAM2, rng: np.random.Generator, features: ImageFeatures, masks: Tensor, targets: Tensor, weights: LossWeights
) -> tuple[list[Tensor], Selection]:
    """The first frame's mask: given, or the answer to a prompt and its corrections."""
    if rng.random() < MASK_PROMPT_SHARE:
        given = (masks > 0.5).float()
        with _mixed_precision(model):
            adopted = model.adopt_mask(features, given)
        return [], Selection(
            adopted.logits_bhw.float(), adopted.iou_b, adopted.pointer_bc.float(), adopted.object_score_b
        )
    by_box = rng.random() < BOX_SHARE
    prompt = jittered_boxes(rng, masks, model.config.image_size) if by_box else first_clicks(rng, targets)
    report, selection = _prompted(model, rng, features, model.condition(features, None), prompt, targets, weights)
    return [report.loss], selection
