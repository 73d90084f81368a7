"""The best and the worst frame of a sequence, as pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from sam2_core.evaluation.metrics import Curve
from sam2_core.evaluation.results import Snapshot
from sam2_core.evaluation.sequences import GroundTruth, Masks
from sam2_core.media import Video, overlay
from sam2_core.media.source import RgbFrame
from sam2_core.rle import BoolMask, Rle

_WIDTH = 400
_QUALITY = 80
_PREDICTED, _TRUE = (42, 120, 214), (255, 255, 255)


def extremes(
    name: str, video: Video, curves: Mapping[int, Curve], truth: GroundTruth, predicted: Mapping[int, Masks]
) -> tuple[Snapshot, ...]:
    """The frame with the least and the one with the greatest IoU of all objects; none without curves.

    Args:
        name: of the sequence.
        video: its frames.
        curves: by object id.
        truth: the true masks.
        predicted: masks by object id and frame.
    """
    scored = [
        (j, each, frame) for each, scores in curves.items() for frame, j in zip(scores.frames, scores.j, strict=True)
    ]
    if not scored:
        return ()
    chosen = dict.fromkeys((min(scored), max(scored)))
    return tuple(
        Snapshot(
            name,
            truth.name_of(each),
            frame,
            j,
            draw(video[frame], truth.masklets[each][frame], predicted[each].get(frame)),
        )
        for j, each, frame in chosen
    )


def draw(frame: RgbFrame, truth: Rle | BoolMask, predicted: Rle | BoolMask | None) -> bytes:
    """A JPEG of a frame ``[H, W, 3]``: the prediction tinted, the truth outlined."""
    tinted = frame if predicted is None else overlay(frame, {1: predicted}, colours={1: _PREDICTED}, opacity=0.55)
    outlined = overlay(tinted, {1: truth}, colours={1: _TRUE}, opacity=0)
    image = Image.fromarray(np.ascontiguousarray(outlined))
    image.thumbnail((_WIDTH, _WIDTH))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
