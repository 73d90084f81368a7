"""Video files, decoded by FFmpeg through PyAV.

A container's own frame count and clock cannot be believed: edit lists hide frames, downloads break off, bits rot. So
opening a file decodes it once without keeping or converting anything; what comes out *is* the video. With the loop
filter off this takes some hundredths of a 720p clip's duration, and it yields the keyframes at which to enter later.
"""

from __future__ import annotations

import contextlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData, Type
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from sam2_core.errors import VideoError
from sam2_core.media.sequential import SequentialReader
from sam2_core.media.source import DEFAULT_FPS, MediaLimits, RgbFrame

# FFmpeg would also read play lists and scripts, which name other files and hosts: a hostile upload must not be one.
_OPEN_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi",
    "protocol_whitelist": "file",
}


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored frame is turned into the one that a player shows: transposed first, then mirrored."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """Read the display matrix: the camera's quarter turn, and the mirror of a selfie.

        A stored pixel ``(x, y)`` is shown at ``(a x + c y, b x + d y)``. Angles between quarter turns are rounded.
        """
        side_data = cast("dict[Type, SideData]", frame.side_data)
        try:
            matrix = np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), np.int32).reshape(3, 3)
        except KeyError:
            return cls()
        (a, b), (c, d) = matrix[:2, :2].tolist()
        if abs(a) >= abs(b):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def apply(self, image: RgbFrame) -> RgbFrame:
        """The picture as shown, contiguous in memory."""
        if self.transposed:
            image = image.swapaxes(0, 1)
        if self.mirrored_x:
            image = image[:, ::-1]
        if self.mirrored_y:
            image = image[::-1]
        return np.ascontiguousarray(image)


class ContainerSource:
    """A video file as a source of frames.

    Args:
        path: an existing file.
        limits: what is accepted.

    Raises:
        VideoError: the file is no video, holds only sound, or gives no frame.
    """

    def __init__(self, path: Path, limits: MediaLimits) -> None:
        decoder = _ContainerDecoder(path, limits)
        self.count = len(decoder.stamps)
        self.fps = decoder.fps()
        self._stored_height, self._stored_width = decoder.stored_size
        self._orientation = decoder.orientation
        turned = decoder.orientation.transposed
        self.height, self.width = decoder.stored_size[::-1] if turned else decoder.stored_size
        self._reader = SequentialReader(decoder, limits.window_bytes)
        self._reformatter = VideoReformatter()

    def read(self, index: int) -> RgbFrame:
        """Frame ``index`` in RGB, turned as a player shows it, at the size of the first frame."""
        frame = self._reader.read(index)
        rgb = self._reformatter.reformat(frame, self._stored_width, self._stored_height, "rgb24")
        return self._orientation.apply(cast(RgbFrame, rgb.to_ndarray()))

    def close(self) -> None:
        """Close the file and forget all frames."""
        self._reader.close()


class _ContainerDecoder:
    """Where the frames of a file are, found by decoding it once.

    Attributes:
        stamps: every frame's presentation time in units of ``time_base``, in the order of presentation.
        keyframes: frames at which decoding can begin; frame 0 always can.
    """

    def __init__(self, path: Path, limits: MediaLimits) -> None:
        self.name = path.name
        self._path = path
        self._limits = limits
        self.stamps = array("q")
        self.keyframes = array("q", [0])
        with self._open() as (container, stream):
            # The loop filter changes pixels and never whether a frame decodes: the count needs none.
            stream.codec_context.options = self._codec_options() | {"skip_loop_filter": "all"}
            self._time_base = stream.time_base or Fraction(1, 1000)
            self._scan(_decode(container, stream))

    def _scan(self, frames: Iterator[av.VideoFrame]) -> None:
        ordered = True
        for index, frame in enumerate(frames):
            stamp = _stamp(frame)
            if index == 0:
                self.stored_size = (frame.height, frame.width)
                self.orientation = Orientation.of(frame)
                self._limits.check_size(self.name, *self.stored_size)
            else:
                ordered = ordered and stamp is not None and stamp > self.stamps[-1]
                if frame.key_frame:
                    self.keyframes.append(index)
            self.stamps.append(0 if stamp is None else stamp)
            self._limits.check_count(self.name, index + 1)
        if not self.stamps:
            raise VideoError(f"no frame of {self.name!r} can be decoded; it is damaged or cut off: copy it again.")
        if not ordered:
            # Frames cannot be told apart by time, so a jump into the middle could not be verified.
            self.keyframes = array("q", [0])

    def fps(self) -> float:
        """Mean frames per second of the frames that exist, whatever the container claims."""
        span = (self.stamps[-1] - self.stamps[0]) * self._time_base
        if span <= 0:
            return DEFAULT_FPS
        fps = float((len(self.stamps) - 1) / span)
        return fps if 0.1 <= fps <= 1000 else DEFAULT_FPS

    def starts(self, index: int) -> Sequence[int]:
        nearest = bisect_right(self.keyframes, index) - 1
        return sorted({0, *self.keyframes[max(nearest - 1, 0) : nearest + 1]}, reverse=True)

    def frames_from(self, start: int) -> Generator[av.VideoFrame, None, None]:
        with self._open() as (container, stream), contextlib.suppress(av.FFmpegError):
            stream.codec_context.options = self._codec_options()
            if start == 0:
                yield from _decode(container, stream)
                return
            container.seek(self.stamps[start], stream=stream)
            expected = start
            for frame in _decode(container, stream):
                position = self._position(frame)
                if position is None or position < start:
                    continue  # a leading picture: it refers to frames before the keyframe and decodes to rubbish here
                if position != expected:
                    return  # the jump landed elsewhere, or the file decodes differently from here
                yield frame
                expected += 1

    def nbytes(self, frame: av.VideoFrame) -> int:
        return sum(plane.buffer_size for plane in frame.planes)

    def _position(self, frame: av.VideoFrame) -> int | None:
        stamp = _stamp(frame)
        if stamp is None:
            return None
        position = bisect_left(self.stamps, stamp)
        return position if position < len(self.stamps) and self.stamps[position] == stamp else None

    def _codec_options(self) -> dict[str, str]:
        return {"max_pixels": str(self._limits.pixels)}  # holds for sizes that change in mid-stream too

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        try:
            container = av.open(str(self._path.absolute()), options=_OPEN_OPTIONS)
        except OSError as error:
            raise VideoError(f"{self.name!r} cannot be read: {error.strerror or error}.") from error
        except av.FFmpegError as error:
            raise VideoError(
                f"{self.name!r} is neither a video (mp4, mov, webm, mkv, avi) nor a picture (jpg, png, webp, gif, bmp, "
                f"tiff) that can be read; convert it to one of these."
            ) from error
        with container:
            # Cover art of a song counts as a video stream too.
            streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
            if not streams:
                raise VideoError(f"{self.name!r} holds no moving pictures, only sound or data; choose a video.")
            if streams[0].codec_context is None:
                raise VideoError(
                    f"{self.name!r} uses a codec that is not known here; convert it to H.264 in an mp4 file."
                )
            self._limits.check_size(self.name, streams[0].height, streams[0].width)
            yield container, streams[0]


def _stamp(frame: av.VideoFrame) -> int | None:
    return frame.pts if frame.pts is not None else frame.dts


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """All frames that decode, in the order of presentation; packets that do not are skipped, as players do."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None  # the file breaks off here; what the decoder still holds is good
        with contextlib.suppress(av.FFmpegError):
            yield from stream.decode(packet)
        if packet is None:
            return
