"""A stand-in for a clip that plays in every browser, and in which a time is a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sam2_core.media.encode import VideoWriter
from sam2_core.media.frames import Video
from sam2_core.media.source import RgbFrame

_LONGER_SIDE = 1280


def write_proxy(video: Video, path: Path) -> None:
    """Write all frames of ``video`` to an mp4 file: upright, at a constant rate, at most 1280 pixels on a side.

    Frame ``k`` is shown from ``k / video.fps`` seconds on, whatever the times in the original were.

    Raises:
        VideoError: a frame cannot be read, or the file not be written.
    """
    with VideoWriter(path, video.fps) as writer:
        for frame in video:
            writer.write(_reduced(frame))


def _reduced(frame: RgbFrame) -> RgbFrame:
    height, width = frame.shape[:2]
    scale = _LONGER_SIDE / max(height, width)
    if scale >= 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
