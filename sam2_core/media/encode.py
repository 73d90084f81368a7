"""Frames to files that play everywhere: H.264 in mp4, and JPEG."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import Image

from sam2_core.errors import VideoError
from sam2_core.media.source import RgbFrame

_X264 = {
    "crf": "20",  # hardly told from the original
    "preset": "veryfast",
    "bf": "0",  # frames in the order of display, so that a browser's seek lands on the frame it asked for
}
_BT709 = 1  # the number of ITU-T H.273 for its matrix, its primaries and its transfer curve alike
_KEYFRAME_SECONDS = 1  # at most this much is decoded when a player jumps
_FAILURES = (OSError, ValueError, av.FFmpegError)  # ValueError: PyAV was built without the encoder


class VideoWriter:
    """Writes frames to an mp4 file one by one, as a context manager.

    The file is H.264, yuv420p, BT.709, with its index in front so that a browser plays it while loading. It appears
    under its name when the block ends well; otherwise nothing is left behind. Frames with an odd number of rows or
    columns get the last one twice, because yuv420p counts in pairs.

    Args:
        path: where to write; the folder exists.
        fps: frames per second.

    Raises:
        VideoError: the rate is no rate, a frame does not fit, or the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float) -> None:
        if not (math.isfinite(fps) and 0.01 <= fps <= 1000):
            raise VideoError(f"a video has 0.01 to 1000 frames per second; got {fps}.")
        self._path = Path(path)
        self._partial = self._path.with_name(f".{self._path.name}.partial")
        self._rate = Fraction(fps).limit_denominator(1001)  # finds 30000/1001 and its kin
        self._shape: tuple[int, ...] = ()
        self._stream: VideoStream | None = None
        with self._failures():
            self._partial.touch()  # FFmpeg would not say before the first frame that it cannot write here
            self._container = av.open(
                str(self._partial.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
            )

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, frame: RgbFrame) -> None:
        """Append a frame ``[H, W, 3]``, uint8 RGB, of the same size as those before it.

        Raises:
            VideoError: the frame has another size, shape or type, or cannot be written.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise VideoError(f"a frame is a uint8 array [H, W, 3]; got {frame.dtype} of shape {list(frame.shape)}.")
        if self._shape and frame.shape != self._shape:
            raise VideoError(
                f"all frames of a video have one size; got {frame.shape[1]} x {frame.shape[0]} pixels after "
                f"{self._shape[1]} x {self._shape[0]}."
            )
        self._shape = frame.shape
        height, width = frame.shape[:2]
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        with self._failures():
            picture = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            if self._stream is None:
                self._stream = self._add_stream(picture.width, picture.height)
            self._container.mux(self._stream.encode(picture))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with contextlib.suppress(*_FAILURES):
                self._container.close()
            self._partial.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._stream is None:
            raise VideoError(f"no frame was written to {self._path.name!r}; a video has at least one.")
        with self._failures():
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._partial.replace(self._path)

    def _add_stream(self, width: int, height: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=self._rate, options=_X264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.gop_size = max(1, round(self._rate * _KEYFRAME_SECONDS))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        return stream

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            reason = getattr(error, "strerror", None) or error
            raise VideoError(f"{self._path.name!r} cannot be written: {reason}.") from error


def encode_jpeg(frame: RgbFrame, quality: int = 85) -> bytes:
    """A frame ``[H, W, 3]`` as JPEG; ``quality`` goes from 1 to 95."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()
