"""Frames to files: H.264 in mp4, which plays everywhere, two encodings that keep transparency, and JPEG."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from PIL import Image

from sam2_core.errors import Sam2Error, VideoError
from sam2_core.media.files import replacing
from sam2_core.media.source import RgbFrame


@dataclass(frozen=True, slots=True)
class Encoding:
    """How frames become a file.

    Attributes:
        container: FFmpeg's name of the file format.
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the format in which it is given pixels.
        channels: of a frame: 3 for RGB, 4 where alpha is kept too (straight, not premultiplied).
        options: the encoder's.
        container_options: the file format's.
    """

    container: str
    codec: str
    pixels: str
    channels: int
    options: Mapping[str, str]
    container_options: Mapping[str, str]


H264 = Encoding(
    "mp4", "libx264", "yuv420p", 3,
    {
        "crf": "20",  # hardly told from the original
        "preset": "veryfast",
        "bf": "0",  # frames in the order of display, so that a browser's seek lands on the frame it asked for
    },
    {"movflags": "+faststart"},  # the index in front, so that a browser plays it while loading
)  # fmt: skip
"""For every player."""

VP9_ALPHA = Encoding(
    "webm", "libvpx-vp9", "yuva420p", 4, {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "6"}, {}
)
"""Transparent in browsers; small."""

ANIMATION_ALPHA = Encoding("mov", "qtrle", "argb", 4, {}, {})
"""Transparent in video editors; large, and exact. FFmpeg's ProRes leaves specks of alpha at times."""

_BT709 = 1  # the number of ITU-T H.273 for its matrix, its primaries and its transfer curve alike
_KEYFRAME_SECONDS = 1  # at most this much is decoded when a player jumps
_FAILURES = (OSError, ValueError, av.FFmpegError)  # ValueError: PyAV was built without the encoder


class VideoWriter:
    """Writes frames to a video file one by one, as a context manager.

    The colours are BT.709. The file appears under its name when the block ends well; otherwise nothing is left behind.
    Frames with an odd number of rows or columns get the last one twice, because most pixel formats count in pairs.

    Args:
        path: where to write; the folder exists.
        fps: frames per second.
        encoding: of the file.

    Raises:
        VideoError: the rate is no rate, a frame does not fit, or the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float, encoding: Encoding = H264) -> None:
        if not (math.isfinite(fps) and 0.01 <= fps <= 1000):
            raise VideoError(f"a video has 0.01 to 1000 frames per second; got {fps}.")
        self._path = Path(path)
        self._encoding = encoding
        self._rate = Fraction(fps).limit_denominator(1001)  # finds 30000/1001 and its kin
        self._shape: tuple[int, ...] = ()
        self._stream: VideoStream | None = None

    def __enter__(self) -> VideoWriter:
        with contextlib.ExitStack() as opening, self._failures():
            partial = opening.enter_context(replacing(self._path))
            partial.touch()  # FFmpeg would not say before the first frame that it cannot write here
            name, options = str(partial.absolute()), dict(self._encoding.container_options)
            self._container = av.open(name, "w", format=self._encoding.container, options=options)
            opening.push(self._close)
            self._opened = opening.pop_all()
        return self

    def write(self, frame: npt.NDArray[np.uint8]) -> None:
        """Append a frame ``[H, W, C]``, uint8, with the encoding's channels, of the same size as those before it.

        Raises:
            VideoError: the frame has another size, shape or type, or cannot be written.
        """
        channels = self._encoding.channels
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != channels or frame.size == 0:
            raise VideoError(
                f"a frame is a uint8 array [H, W, {channels}]; got {frame.dtype} of shape {list(frame.shape)}."
            )
        if self._shape and frame.shape != self._shape:
            raise VideoError(
                f"all frames of a video have one size; got {frame.shape[1]} x {frame.shape[0]} pixels after "
                f"{self._shape[1]} x {self._shape[0]}."
            )
        self._shape = frame.shape
        height, width = frame.shape[:2]
        if "420" in self._encoding.pixels:  # colour for two by two pixels at a time
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        with self._failures():
            picture = av.VideoFrame.from_ndarray(frame, format="rgba" if channels == 4 else "rgb24").reformat(
                format=self._encoding.pixels, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            if self._stream is None:
                self._stream = self._add_stream(picture.width, picture.height)
            self._container.mux(self._stream.encode(picture))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._failures():
            self._opened.__exit__(kind, error, trace)

    def _close(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with contextlib.suppress(*_FAILURES):
                self._container.close()

    def _finish(self) -> None:
        if self._stream is None:
            raise VideoError(f"no frame was written to {self._path.name!r}; a video has at least one.")
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _add_stream(self, width: int, height: int) -> VideoStream:
        options = dict(self._encoding.options)
        stream = cast(VideoStream, self._container.add_stream(self._encoding.codec, self._rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, self._encoding.pixels
        if self._encoding.channels == 4:
            stream.metadata["alpha_mode"] = "1"  # a webm's players look here first
        context = stream.codec_context
        context.gop_size = max(1, round(self._rate * _KEYFRAME_SECONDS))
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        return stream

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except Sam2Error:
            raise
        except _FAILURES as error:
            reason = getattr(error, "strerror", None) or error
            raise VideoError(f"{self._path.name!r} cannot be written: {reason}.") from error


def encode_jpeg(frame: RgbFrame, quality: int = 85) -> bytes:
    """A frame ``[H, W, 3]`` as JPEG; ``quality`` goes from 1 to 95."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()
