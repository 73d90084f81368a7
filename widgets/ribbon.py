"""The score ribbon: what the model thought of its own masks, for every frame and object, as a strip of HTML.

It is made of numbers only, takes its height and neutral colours from the page's style sheet, and scales to any width.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from sam2_core.media import object_colour
from sam2_core.results import Masklet

COLUMNS = 600
"""Columns that a lane has at most; in a longer video each shows the worst of several frames, which is where to look."""
_LOWEST_BAR = 0.08


def score_ribbon(
    masklets: Mapping[int, Masklet],
    prompted_frames: Mapping[int, Collection[int]],
    frame_count: int,
    current_frame: int,
) -> str:
    """A lane for each object: bars as high as the predicted IoU, hatched where the object is hidden, marks at prompts.

    Args:
        masklets: finished masks by object and frame.
        prompted_frames: frames on which something was said, by object.
        frame_count: of the video.
        current_frame: where the playhead stands.
    """
    lanes = "".join(
        _lane(object_id, masklet, prompted_frames.get(object_id, ()), frame_count)
        for object_id, masklet in masklets.items()
    )
    playhead = f'<b class="playhead" style="left:{_percent(current_frame, frame_count)}"></b>'
    return f'<div class="ribbon" data-frames="{frame_count}">{lanes or _EMPTY_LANE}{playhead}</div>'


_EMPTY_LANE = '<div class="lane"></div>'


def _lane(object_id: int, masklet: Masklet, prompted: Collection[int], frame_count: int) -> str:
    iou, hidden = _columns(masklet, frame_count)
    red, green, blue = object_colour(object_id)
    seen = _bars(np.where(hidden, np.nan, iou))
    unseen = _bars(np.where(hidden, 1.0, np.nan))
    marks = "".join(f'<i style="left:{_percent(frame, frame_count)}"></i>' for frame in sorted(prompted))
    return (
        f'<div class="lane" style="--object:rgb({red},{green},{blue})"><span>{object_id}</span>'
        f'<svg viewBox="0 0 {len(iou)} 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="seen" d="{seen}"/><path class="hidden" d="{unseen}"/></svg>{marks}</div>'
    )


def _columns(masklet: Masklet, frame_count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The lowest predicted IoU of each column, NaN where nothing is known, and whether the object is hidden there."""
    count = min(frame_count, COLUMNS)
    iou, hidden = np.full(count, np.nan), np.zeros(count, dtype=bool)
    for frame_index, found in masklet.items():
        column = frame_index * count // frame_count
        iou[column] = np.fmin(iou[column], min(max(found.predicted_iou, _LOWEST_BAR), 1.0))
        hidden[column] |= not found.visible
    return iou, hidden


def _bars(heights: npt.NDArray[np.float64]) -> str:
    """An SVG path of bars from the bottom of a box of height 1; neighbours of the same height are one bar."""
    rounded = np.round(heights, 2)
    edges = np.flatnonzero(np.diff(rounded, prepend=np.inf) != 0)  # NaN is unequal to itself: such columns stay apart
    lengths = np.diff(edges, append=rounded.size)
    return "".join(
        f"M{start} 1V{1 - rounded[start]:g}h{length}V1z"
        for start, length in zip(edges.tolist(), lengths.tolist(), strict=True)
        if not np.isnan(rounded[start])
    )


def _percent(frame_index: int, frame_count: int) -> str:
    """The middle of a frame's own stretch of the lane."""
    return f"{(frame_index + 0.5) / frame_count:.3%}"
