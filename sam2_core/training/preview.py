"""Sheets to look at: what the averaged weights make of clips that stay the same throughout a stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from scipy import ndimage

from sam2_core.media import overlay, replacing
from sam2_core.media.source import RgbFrame
from sam2_core.training.answers import Answer
from sam2_core.training.batches import ClipBatch

_TILE = 256
_MOST_ROWS, _MOST_COLUMNS = 6, 12
_TRUTH = (255, 255, 255)
_CLICK_COLOURS = {0: "#ff3030", 1: "#30ff30"}
_BOX_COLOUR = "#ffe030"
_CAPTION = 36
_LEGEND = "tinted: prediction; outline: truth"


def write_sheet(path: Path, batch: ClipBatch, answers: Sequence[Answer]) -> None:
    """One row for each object: of a clip its frames as they ended, of a picture every answer from the first click on.

    The prediction is tinted, the truth outlined in white, clicks are green and red, boxes yellow.
    """
    rows = [_row(batch, answers, row) for row in range(min(len(batch.masks), _MOST_ROWS))]
    columns = max(len(row) for row in rows)
    sheet = Image.new("RGB", (columns * _TILE, len(rows) * _TILE + _CAPTION))
    across = "frames" if batch.plan.frames > 1 else "one correction after the other"
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((6, 4), f"down: objects; across: {across}\n{_LEGEND}", fill="white")
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            sheet.paste(tile, (x * _TILE, y * _TILE + _CAPTION))
    with replacing(path) as partial:
        sheet.save(partial, format="JPEG", quality=85)


def _row(batch: ClipBatch, answers: Sequence[Answer], row: int) -> list[Image.Image]:
    own = [answer for answer in answers if bool((answer.rows == row).any())]
    if batch.plan.frames == 1:
        return [_tile(batch, row, 0, answer) for answer in own[:_MOST_COLUMNS]]
    final = {answer.frame: answer for answer in own}
    return [_tile(batch, row, frame, final.get(frame)) for frame in range(min(batch.plan.frames, _MOST_COLUMNS))]


def _tile(batch: ClipBatch, row: int, frame: int, answer: Answer | None) -> Image.Image:
    """A frame with truth and prediction; one that started from a given mask has no prediction."""
    pixels: RgbFrame = batch.pixels[batch.owner[row], frame].permute(1, 2, 0).cpu().numpy()
    truth = (batch.masks[row, frame] > 127).cpu().numpy()
    place = None if answer is None else int(torch.nonzero(answer.rows == row)[0])
    if answer is not None and place is not None:
        shown = answer.chosen.gated() if answer.tracked else answer.chosen
        logits = shown.logits_bhw[place][None, None].float()
        size = batch.pixels.shape[-1]
        predicted = F.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)[0, 0] > 0
        pixels = overlay(pixels, {1: predicted.cpu().numpy()})
    tile = Image.fromarray(_outlined(pixels, truth))
    if answer is not None and place is not None:
        _draw_prompt(ImageDraw.Draw(tile), answer, place)
    return tile.resize((_TILE, _TILE))


def _outlined(pixels: RgbFrame, truth: npt.NDArray[np.bool_]) -> RgbFrame:
    drawn: RgbFrame = pixels.copy()
    drawn[truth & ~ndimage.binary_erosion(truth, border_value=1)] = _TRUTH
    return drawn


def _draw_prompt(draw: ImageDraw.ImageDraw, answer: Answer, place: int) -> None:
    points, labels = answer.prompt.points_bn2[place].tolist(), answer.prompt.labels_bn[place].tolist()
    corners = []
    for (x, y), label in zip(points, labels, strict=True):
        if label in _CLICK_COLOURS:
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=_CLICK_COLOURS[label], outline="black")
        elif label >= 0:
            corners.append((x, y))
    if corners:
        draw.rectangle([*corners[0], *corners[1]], outline=_BOX_COLOUR, width=2)
