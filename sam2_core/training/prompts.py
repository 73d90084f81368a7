"""Simulated people: where a click, a box or a correction would land (the paper's appendix D.2.2 and F.1.2).

Clicks are drawn at random on masks at stride 4, where a distance transform costs a tenth of a millisecond; the exact
click of the evaluation is :func:`sam2_core.evaluation.clicks.error_centre_click`. Every object has a generator of its
own, so that what is drawn for it does not depend on its company.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam2_core.evaluation.clicks import depth
from sam2_core.model import PromptTensors
from sam2_core.training.recipe import Prompting

BoolArray = npt.NDArray[np.bool_]
Generators = Sequence[np.random.Generator]

STRIDE = 4
"""Image pixels per pixel of the masks on which training clicks are drawn."""
BOX_JITTER = 0.1
BOX_JITTER_LIMIT = 20.0
"""A box corner is off by up to a tenth of the side, at most this many pixels at a model size of 1024."""


def first_clicks(rngs: Generators, targets: Tensor, person: Prompting) -> PromptTensors:
    """One positive click on each object: at its deepest point, somewhere deep, or anywhere on it.

    Where an object is absent, a negative click anywhere: a positive one always means something that is there.

    Shapes: ``targets [B, h, w]`` at stride 4, in 0..1.
    """
    solid = _solid(targets)
    clicks = [_click_inside(rng, target, person) for rng, target in zip(rngs, solid, strict=True)]
    return _clicks(rngs, clicks, [int(target.any()) for target in solid], targets.device)


def correction_clicks(rngs: Generators, logits: Tensor, targets: Tensor, person: Prompting) -> PromptTensors:
    """One click on an error of each prediction, positive on what is missed, negative on what is too much.

    A perfect prediction gets a negative click on the background. At times, as the recipe says, the click comes from the
    whole object as if nothing had been predicted.

    Shapes: ``logits, targets [B, h, w]`` at stride 4.
    """
    clicks, labels = [], []
    for rng, target, predicted in zip(rngs, _solid(targets), (logits > 0).cpu().numpy(), strict=True):
        if rng.random() < person.from_truth:
            predicted = np.zeros_like(predicted)
        missed, invented = target & ~predicted, predicted & ~target
        total = int(missed.sum() + invented.sum())
        positive = total > 0 and rng.random() * total < missed.sum()
        region = missed if positive else invented if total else ~target
        clicks.append(_click_inside(rng, region, person))
        labels.append(int(positive))
    return _clicks(rngs, clicks, labels, targets.device)


def jittered_boxes(rngs: Generators, masks: Tensor) -> PromptTensors:
    """A loosely drawn box round each object, as two corners. Shapes: ``masks [B, S, S]``, none empty."""
    image_size = masks.shape[-1]
    boxes = np.stack([_box(mask) for mask in (masks > 0.5).cpu().numpy()])
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    reach = np.minimum(BOX_JITTER * sides, BOX_JITTER_LIMIT * image_size / 1024)
    offsets = np.stack([rng.uniform(-1, 1, 4) for rng in rngs])
    boxes = (boxes + offsets * reach).clip(0, image_size - 1)
    points = torch.from_numpy(boxes.astype(np.float32)).view(-1, 2, 2).to(masks.device)
    return PromptTensors(points, torch.tensor([[2, 3]], device=masks.device).expand(len(boxes), 2))


def with_click(prompt: PromptTensors | None, click: PromptTensors, logits: Tensor) -> PromptTensors:
    """One more click on top of what was said, if anything was, and the mask so far as the starting point."""
    if prompt is None:
        return PromptTensors(click.points_bn2, click.labels_bn, logits)
    points = torch.cat((prompt.points_bn2, click.points_bn2), dim=1)
    return PromptTensors(points, torch.cat((prompt.labels_bn, click.labels_bn), dim=1), logits)


def _solid(targets: Tensor) -> BoolArray:
    """Soft targets as masks that are never empty where there is anything at all."""
    peak = targets.flatten(1).amax(dim=1)[:, None, None]
    solid: BoolArray = (targets >= peak.clamp(1e-6, 0.5)).cpu().numpy()
    return solid


def _click_inside(rng: np.random.Generator, region: BoolArray, person: Prompting) -> tuple[int, int]:
    """A cell (column, row) of the region; of an empty one, of the whole map."""
    if not region.any():
        return int(rng.integers(region.shape[1])), int(rng.integers(region.shape[0]))
    style = rng.random()
    if style < person.centre + person.deep:
        inside = depth(region)
        region = inside >= inside.max() * (0.999 if style < person.centre else 0.5)
    cells = np.flatnonzero(region)
    row, column = divmod(int(cells[rng.integers(cells.size)]), region.shape[1])
    return column, row


def _clicks(rngs: Generators, cells: list[tuple[int, int]], labels: list[int], device: torch.device) -> PromptTensors:
    """Cells at stride 4 as model pixels, anywhere within the cell."""
    pixels = np.asarray(cells, np.float32) * STRIDE + np.stack([rng.integers(0, STRIDE, 2) for rng in rngs])
    points = torch.from_numpy(pixels.astype(np.float32))[:, None].to(device)
    return PromptTensors(points, torch.tensor(labels, device=device)[:, None])


def _box(mask: BoolArray) -> npt.NDArray[np.float64]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float64)
