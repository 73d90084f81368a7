"""The masks over the video, to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sam2_core.formats.annotation import Annotation, Progress
from sam2_core.media import VideoWriter, overlay, replacing
from sam2_core.media.source import RgbFrame

_LARGEST_VIDEO_SIDE = 4096  # few players take more


def write_overlay(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write an mp4, scaled down to 4096 pixels a side where the video is larger.

    After tracking and not during it, because tracking may go backward and a video file only forward.
    """
    video = annotation.video
    with VideoWriter(path, video.fps) as writer:
        for frame_index in range(len(video)):
            writer.write(_playable(painted_frame(annotation, frame_index)))
            progress(frame_index + 1, len(video))


def write_overlay_picture(annotation: Annotation, path: Path, progress: Progress) -> None:
    """Write the first frame, which is all of a picture, as a PNG."""
    with replacing(path) as partial:
        Image.fromarray(painted_frame(annotation, 0)).save(partial, format="PNG")
    progress(1, 1)


def painted_frame(annotation: Annotation, frame_index: int) -> RgbFrame:
    """A frame ``[H, W, 3]`` under its masks."""
    return overlay(annotation.video[frame_index], annotation.masks(frame_index), colours=annotation.colours)


def _playable(frame: RgbFrame) -> RgbFrame:
    if max(frame.shape) <= _LARGEST_VIDEO_SIDE:
        return frame
    image = Image.fromarray(frame)
    image.thumbnail((_LARGEST_VIDEO_SIDE, _LARGEST_VIDEO_SIDE))
    return np.asarray(image)
