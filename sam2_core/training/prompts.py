"""Simulated people: where a click, a box or a correction would land (the paper's appendix D.2.1 and F.1.2).

Clicks are drawn at random on masks at stride 4, where a distance transform costs a tenth of a millisecond; the exact
click of the evaluation is :func:`sam2_core.evaluation.clicks.error_centre_click`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam2_core.evaluation.clicks import depth
from sam2_core.model import PromptTensors

BoolArray = npt.NDArray[np.bool_]

STRIDE = 4
"""Image pixels per pixel of the masks on which training clicks are drawn."""
BOX_JITTER = 0.1
BOX_JITTER_LIMIT = 20.0
"""A box corner is off by up to a tenth of the side, at most this many pixels at a model size of 1024."""


def first_clicks(rng: np.random.Generator, targets: Tensor) -> PromptTensors:
    """One positive click on each object: at its deepest point, somewhere deep, or anywhere on it.

    Shapes: ``targets [B, h, w]`` at stride 4, in 0..1.
    """
    clicks = [_click_inside(rng, target) for target in _solid(targets)]
    return _clicks(rng, clicks, [1] * len(clicks))


def correction_clicks(rng: np.random.Generator, logits: Tensor, targets: Tensor) -> PromptTensors:
    """One click on an error of each prediction, positive on what is missed, negative on what is too much.

    A perfect prediction gets a negative click on the background.

    Shapes: ``logits, targets [B, h, w]`` at stride 4.
    """
    clicks, labels = [], []
    for target, predicted in zip(_solid(targets), (logits > 0).numpy(), strict=True):
        missed, invented = target & ~predicted, predicted & ~target
        total = int(missed.sum() + invented.sum())
        positive = total > 0 and rng.random() * total < missed.sum()
        region = missed if positive else invented if total else ~target
        clicks.append(_click_inside(rng, region))
        labels.append(int(positive))
    return _clicks(rng, clicks, labels)


def jittered_boxes(rng: np.random.Generator, masks: Tensor, image_size: int) -> PromptTensors:
    """A loosely drawn box round each object, as two corners. Shapes: ``masks [B, S, S]``, not empty."""
    solid = (masks > 0.5).numpy()
    boxes = np.stack([_box(mask) for mask in solid])
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    reach = np.minimum(BOX_JITTER * sides, BOX_JITTER_LIMIT * image_size / 1024)
    boxes = (boxes + rng.uniform(-1, 1, boxes.shape) * reach).clip(0, image_size - 1)
    points = torch.from_numpy(boxes.astype(np.float32)).view(-1, 2, 2)
    return PromptTensors(points, torch.tensor([[2, 3]]).expand(len(boxes), 2))


def with_click(prompt: PromptTensors | None, click: PromptTensors, logits: Tensor) -> PromptTensors:
    """One more click on top of what was said, if anything was, and the mask so far as the starting point."""
    if prompt is None:
        return PromptTensors(click.points_bn2, click.labels_bn, logits)
    points = torch.cat((prompt.points_bn2, click.points_bn2), dim=1)
    return PromptTensors(points, torch.cat((prompt.labels_bn, click.labels_bn), dim=1), logits)


def _solid(targets: Tensor) -> BoolArray:
    """Soft targets as masks that are never empty where there is anything at all."""
    peak = targets.flatten(1).amax(dim=1)[:, None, None]
    solid: BoolArray = (targets >= peak.clamp(1e-6, 0.5)).numpy()
    return solid


def _click_inside(rng: np.random.Generator, region: BoolArray) -> tuple[int, int]:
    """A cell (column, row) of the region; of an empty one, of the whole map."""
    if not region.any():
        return int(rng.integers(region.shape[1])), int(rng.integers(region.shape[0]))
    style = rng.random()
    if style < 0.7:
        inside = depth(region)
        region = inside >= inside.max() * (0.999 if style < 0.45 else 0.5)
    cells = np.flatnonzero(region)
    row, column = divmod(int(cells[rng.integers(cells.size)]), region.shape[1])
    return column, row


def _clicks(rng: np.random.Generator, cells: list[tuple[int, int]], labels: list[int]) -> PromptTensors:
    """Cells at stride 4 as model pixels, anywhere within the cell."""
    pixels = np.asarray(cells, np.float32) * STRIDE + rng.integers(0, STRIDE, (len(cells), 2))
    return PromptTensors(torch.from_numpy(pixels.astype(np.float32))[:, None], torch.tensor(labels)[:, None])


def _box(mask: BoolArray) -> npt.NDArray[np.float64]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float64)
