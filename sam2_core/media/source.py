"""What a source of frames is, and how large it may be.

Four of them exist: frames in memory (here), a folder of pictures (``pictures``), an animated picture (``animation``)
and a video file (``container``). The rest of the project sees one type, :class:`sam2_core.media.frames.Video`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from sam2_core.errors import VideoError

RgbFrame: TypeAlias = npt.NDArray[np.uint8]
"""One picture, ``[H, W, 3]``, red, green and blue from 0 to 255."""

DEFAULT_FPS = 24.0
"""Frames per second of media that do not say: folders, arrays, files with an absurd clock. DAVIS is 24."""


_LEAST_FPS, _MOST_FPS = 0.1, 1000.0  # that players and encoders follow


def plausible_fps(fps: float) -> float:
    """The frame rate that a file claims, or the default where nobody would follow it."""
    return fps if _LEAST_FPS <= fps <= _MOST_FPS else DEFAULT_FPS


def cut_off(found: str) -> str:
    """What is said of a file that ends too early. ``found``: how many frames there are, such as "only 4"."""
    return f"{found} frames can be read: the file seems cut off; copy or upload it again if it should be whole."


def checked_fps(fps: float) -> float:
    """The frame rate that a person gave.

    Raises:
        VideoError: nobody would follow it.
    """
    is_number = isinstance(fps, (int, float, np.integer, np.floating)) and not isinstance(fps, bool)
    if not is_number or not _LEAST_FPS <= fps <= _MOST_FPS:  # which not-a-number is not, either
        raise VideoError(f"a frame rate is a number from {_LEAST_FPS:g} to {_MOST_FPS:g} a second; got {fps!r:.60}.")
    return float(fps)


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Bounds on media, which may come from anyone.

    Attributes:
        pixels: in one frame, at most; a file that claims more is refused before anything is decoded.
        frames: in one video, at most.
        window_bytes: decoded frames that an open video keeps in memory, at most.
    """

    pixels: int = 4096 * 4096
    frames: int = 100_000
    window_bytes: int = 128 * 1024 * 1024

    def check_size(self, name: str, height: int, width: int) -> None:
        """Refuse frames of more than ``pixels`` pixels.

        Raises:
            VideoError: the frames are too large, or have no size at all.
        """
        if height < 1 or width < 1:
            raise VideoError(f"the frames of {name!r} have no size ({width} x {height}); the file is damaged.")
        if height * width > self.pixels:
            raise VideoError(
                f"the frames of {name!r} are {width} x {height} pixels; a frame may have {self.pixels:,} pixels at "
                f"most: scale it down first."
            )

    def check_count(self, name: str, count: int) -> None:
        """Refuse a video of more than ``frames`` frames.

        Raises:
            VideoError: there are too many frames.
        """
        if count > self.frames:
            raise VideoError(f"{name!r} has more than {self.frames:,} frames, the most that can be used: cut it first.")


class FrameSource(Protocol):
    """Frames of one size that can be read in any order, by one thread at a time."""

    count: int
    height: int
    width: int
    fps: float

    def read(self, index: int) -> RgbFrame:
        """Frame ``index``, ``0 <= index < count``, as a new array ``[H, W, 3]``."""
        ...

    def close(self) -> None:
        """Let go of files and memory."""
        ...


class ArraySource:
    """Frames that are in memory already."""

    def __init__(self, frames: Sequence[RgbFrame] | RgbFrame, fps: float) -> None:
        self._frames = frames
        self.count = len(frames)
        self.height, self.width = frames[0].shape[:2]
        self.fps = fps

    def read(self, index: int) -> RgbFrame:
        """A copy, so that nobody draws on the original."""
        return np.array(self._frames[index])

    def close(self) -> None:
        """Let go of the frames."""
        self._frames = ()
