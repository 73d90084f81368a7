"""Videos, pictures and folders behind one type, decoded when a frame is asked for.

Nothing here grows with the video: an open video is an index of a few bytes per frame and a bounded window of decoded
frames. A picture is a video of one frame.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt
from PIL import UnidentifiedImageError

from sam2_core.errors import VideoError
from sam2_core.media.animation import AnimationSource, is_animated
from sam2_core.media.container import ContainerSource
from sam2_core.media.pictures import FolderSource, open_picture, to_rgb
from sam2_core.media.source import DEFAULT_FPS, ArraySource, FrameSource, MediaLimits, RgbFrame, checked_fps

_DEFAULT_LIMITS = MediaLimits()


class Video:
    """Frames of one size, in any order, from any thread.

    Made by :func:`open_video` and :func:`video_from_array`. ``video[i]`` is frame ``i`` as a new uint8 array
    ``[H, W, 3]``, RGB, as a player shows it; reading forward decodes every frame once.

    Attributes:
        name: the file's or folder's own name, for people to read; it may hold any character.
        height: rows, in pixels.
        width: columns, in pixels.
        fps: frames per second, the mean where frames last differently long; 1 for a picture.
        is_image: this is a single still picture.
        frame_names: file names of the pictures that it is made of, one for each frame, for people to read; empty where
            frames are no files.
        notice: what people should know of it, such as that the file is cut off, in a sentence; else empty.
    """

    def __init__(
        self,
        source: FrameSource,
        name: str,
        *,
        is_image: bool = False,
        frame_names: tuple[str, ...] = (),
        notice: str = "",
    ) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._closed = False
        self.name = name
        self.height = source.height
        self.width = source.width
        self.fps = source.fps
        self.is_image = is_image
        self.frame_names = frame_names
        self.notice = notice

    def __len__(self) -> int:
        """Frames that can be decoded."""
        return self._source.count

    def __getitem__(self, index: SupportsIndex) -> RgbFrame:
        """Frame ``index``, counted from 0, as a new array ``[H, W, 3]``.

        Raises:
            VideoError: there is no such frame, the video is closed, or its file has changed.
        """
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise VideoError(f"{self.name!r} has frames 0 to {len(self) - 1}; there is no frame {index}.")
        with self._lock:
            if self._closed:
                raise VideoError(f"{self.name!r} is closed; open it again.")
            return self._source.read(index)

    def __iter__(self) -> Iterator[RgbFrame]:
        """All frames in order."""
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<Video {self.name!r}: {len(self)} frames, {self.width} x {self.height}, {self.fps:g} fps>"

    def close(self) -> None:
        """Let go of the file and of all decoded frames; closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._source.close()

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_video(path: str | os.PathLike[str], *, limits: MediaLimits = _DEFAULT_LIMITS) -> Video:
    """Open a video (mp4, mov, webm, mkv, avi), a picture (jpg, png, webp, gif, bmp, tiff) or a folder of pictures.

    What a file is, its bytes decide and not its name. Animated pictures are videos.

    Args:
        path: a file or folder.
        limits: what is accepted.

    Raises:
        VideoError: there is nothing there, it cannot be decoded, or it exceeds ``limits``.
    """
    path = Path(path).absolute()
    name = path.name or str(path)
    try:
        if path.is_dir():
            folder = FolderSource(path, limits)
            return Video(folder, name, frame_names=folder.names)
        if not path.is_file():
            raise VideoError(f"there is no file or folder {name!r}; check the path.")
        if path.stat().st_size == 0:
            raise VideoError(f"{name!r} is empty (0 bytes); copy or upload it again.")
        return _open_file(path, limits)
    except OSError as error:
        raise VideoError(f"{name!r} cannot be read: {error.strerror or error}.") from error


def _open_file(path: Path, limits: MediaLimits) -> Video:
    try:
        with open_picture(path, limits) as image:
            still = None if is_animated(image) else to_rgb(image)
    except UnidentifiedImageError:
        container = ContainerSource(path, limits)
        return Video(container, path.name, notice=container.notice)
    if still is None:
        animation = AnimationSource(path, limits)
        return Video(animation, path.name, notice=animation.notice)
    return Video(ArraySource(still[None], fps=1.0), path.name, is_image=True)


def video_from_array(frames: npt.NDArray[np.uint8], *, fps: float = DEFAULT_FPS, name: str = "array") -> Video:
    """A video of frames that are in memory; they are neither copied nor changed.

    Shapes: ``frames`` is ``[T, H, W, 3]``, or ``[H, W, 3]`` for a still picture; RGB, uint8.

    Raises:
        VideoError: the array has another shape or type, or no pixels, or that is no frame rate.
    """
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or frames.shape[-1] != 3 or frames.size == 0:
        raise VideoError(
            f"frames are uint8 arrays [T, H, W, 3] or [H, W, 3] with values 0 to 255; "
            f"got {frames.dtype} of shape {list(frames.shape)}."
        )
    fps = checked_fps(fps)
    if frames.ndim == 3:
        return Video(ArraySource(frames[None], fps=1.0), name, is_image=True)
    return Video(ArraySource(frames, fps=fps), name)
