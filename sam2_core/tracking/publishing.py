"""From answers to masklets: logits are held where they may be asked for, masks are kept at the video's size.

What a person gave is published as they gave it, and not as the model sees it, on whose coarse grid a thin line or a
single pixel would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from torch import Tensor

from sam2_core.media.frames import Video
from sam2_core.model import Selection
from sam2_core.results import ObjectMask
from sam2_core.tracking.object_track import ObjectTrack
from sam2_core.tracking.pixels import given_logits, video_logits, video_masks

Scores: TypeAlias = dict[int, tuple[float, float]]
"""Predicted IoU and object score by object id."""


def hold(frame_index: int, tracks: Sequence[ObjectTrack], selection: Selection) -> Scores:
    """Note the logits of an answer about these objects; returns its scores."""
    for track, logits in zip(tracks, selection.logits_bhw, strict=True):
        track.logits[frame_index] = logits
    pairs = zip(selection.iou_b.tolist(), selection.object_score_b.tolist(), strict=True)
    return {track.object_id: pair for track, pair in zip(tracks, pairs, strict=True)}


def publish(
    frame_index: int,
    tracks: Iterable[ObjectTrack],
    scores: Mapping[int, tuple[float, float]],
    video: Video,
    *,
    apart: bool,
) -> None:
    """Write masks at the video's size into the masklets of the objects that were just answered.

    Where objects may not overlap (``apart``), a new mask also cuts those that are there.
    """
    shown = [track for track in tracks if track.object_id in scores or (apart and frame_index in track.logits)]
    masks = video_masks((_shown_logits(track, frame_index, video) for track in shown), apart=apart)
    for track, mask in zip(shown, masks, strict=True):
        if track.object_id in scores:
            iou, score = scores[track.object_id]
        else:
            iou, score = track.masklet[frame_index].predicted_iou, track.masklet[frame_index].object_score
        track.masklet[frame_index] = ObjectMask(track.object_id, mask, iou, score)


def _shown_logits(track: ObjectTrack, frame_index: int, video: Video) -> Tensor:
    """``[1, H, W]``."""
    logits, interaction = track.logits[frame_index], track.interactions.get(frame_index)
    if interaction is not None and interaction.given is not None:
        return given_logits(interaction.given, logits.device)
    return video_logits(logits[None], video.height, video.width)
