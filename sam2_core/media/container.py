"""Video files as a source of frames.

A container's own frame count and clock cannot be believed: edit lists hide frames, downloads break off, bits rot. So
opening a file decodes it once without keeping or converting anything; what comes out *is* the video. With the loop
filter off this takes some hundredths of a 720p clip's duration, and it finds the keyframes at which to enter later.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import av
from av.video.reformatter import VideoReformatter

from sam2_core.errors import VideoError
from sam2_core.media.extent import declared_bytes
from sam2_core.media.ffmpeg import decode, open_stream
from sam2_core.media.orientation import Orientation
from sam2_core.media.sequential import SequentialReader
from sam2_core.media.source import MediaLimits, RgbFrame, cut_off, plausible_fps

# The loop filter changes pixels and never whether a frame decodes.
_SCAN_OPTIONS = {"skip_loop_filter": "all"}


class ContainerSource:
    """A video file as a source of frames.

    Args:
        path: an existing file.
        limits: what is accepted.

    Attributes:
        notice: what people should know of a file that is cut off, in a sentence; else empty.

    Raises:
        VideoError: the file is no video, holds only sound, or gives no frame.
    """

    def __init__(self, path: Path, limits: MediaLimits) -> None:
        self._index = _FrameIndex.of(path, limits)
        self.count = len(self._index.stamps)
        self.fps = self._index.fps
        self.notice = self._index.notice(path)
        size = (self._index.stored_height, self._index.stored_width)
        self.height, self.width = size[::-1] if self._index.orientation.transposed else size
        self._reader = SequentialReader(_ContainerDecoder(path, limits, self._index), limits.window_bytes)
        self._reformatter = VideoReformatter()

    def read(self, index: int) -> RgbFrame:
        """Frame ``index`` in RGB, turned as a player shows it, at the size of the first frame."""
        frame = self._reader.read(index)
        rgb = self._reformatter.reformat(frame, self._index.stored_width, self._index.stored_height, "rgb24")
        return self._index.orientation.apply(cast(RgbFrame, rgb.to_ndarray()))

    def close(self) -> None:
        """Close the file and forget all frames."""
        self._reader.close()


class _FrameIndex:
    """What a file really holds.

    Attributes:
        stamps: every frame's presentation time in units of ``time_base``, in the order of presentation.
        keyframes: frames at which decoding can begin; frame 0 always can.
        time_base: seconds.
        stored_height: rows before ``orientation`` is applied.
        stored_width: columns before ``orientation`` is applied.
        orientation: of all frames.
        claimed: frames that the file says it has; 0 where it does not say.
    """

    def __init__(self) -> None:
        self.stamps = array("q")
        self.claimed = 0
        self.keyframes = array("q")
        self.time_base = Fraction(1, 1000)
        self.stored_height = self.stored_width = 0
        self.orientation = Orientation()

    @classmethod
    def of(cls, path: Path, limits: MediaLimits) -> _FrameIndex:
        """Decode a file from beginning to end, and note its frames."""
        index = cls()
        try:
            index._scan(path, limits, "raise", {**_SCAN_OPTIONS, "err_detect": "explode"})
        except av.FFmpegError:
            sound = len(index.stamps)
            index = cls()
            index._scan(path, limits, "skip", _SCAN_OPTIONS)
            # What a decoder makes of damage depends on the frames before it: it must come from where all was well to
            # show the same each time.
            index.keyframes = array("q", [frame for frame in index.keyframes if frame == 0 or frame < sound])
        if not index.stamps:
            raise VideoError(f"no frame of {path.name!r} can be decoded; it is damaged or cut off: copy it again.")
        return index

    def _scan(
        self, path: Path, limits: MediaLimits, damage: Literal["skip", "raise"], codec_options: dict[str, str]
    ) -> None:
        with open_stream(path, limits, codec_options) as (container, stream):
            self.time_base = stream.time_base or self.time_base
            self.claimed = stream.frames
            for frame in decode(container, stream, damage):
                if not self.stamps:
                    self.stored_height, self.stored_width = frame.height, frame.width
                    self.orientation = Orientation.of(frame)
                if frame.key_frame or not self.stamps:
                    self.keyframes.append(len(self.stamps))
                self.stamps.append(_stamp(frame))
                limits.check_count(path.name, len(self.stamps))

    @property
    def fps(self) -> float:
        """Mean frames per second of the frames that exist, whatever the container claims."""
        span = (max(self.stamps) - min(self.stamps)) * self.time_base
        fps = float((len(self.stamps) - 1) / span) if span > 0 else 0.0
        return plausible_fps(fps)

    def notice(self, path: Path) -> str:
        """What is missing of a file that ends before it says it does.

        A claim alone proves nothing, for edit lists hide frames; nor does a file that is cut behind its last frame.
        """
        count = len(self.stamps)
        if (declared_bytes(path) or 0) <= path.stat().st_size or 0 < self.claimed <= count:
            return ""
        return cut_off(f"{count} of about {self.claimed}" if self.claimed else f"only {count}")

    def position(self, frame: av.VideoFrame) -> int | None:
        """Which frame of the video this is, by its time; with times out of order most frames are not found."""
        stamp = _stamp(frame)
        position = bisect_left(self.stamps, stamp)
        return position if position < len(self.stamps) and self.stamps[position] == stamp else None


def _stamp(frame: av.VideoFrame) -> int:
    """The frame's time; one that has none gets an impossible one."""
    if frame.pts is not None:
        return frame.pts
    return frame.dts if frame.dts is not None else -(2**63)


class _ContainerDecoder:
    """Decodes a file from any of its keyframes."""

    def __init__(self, path: Path, limits: MediaLimits, index: _FrameIndex) -> None:
        self.name = path.name
        self._path = path
        self._limits = limits
        self._index = index

    def starts(self, index: int, /) -> Sequence[int]:
        nearest = self._index.keyframes[bisect_right(self._index.keyframes, index) - 1]
        return (nearest, 0) if nearest else (0,)

    def frames_from(self, start: int, /) -> Generator[av.VideoFrame, None, None]:
        with open_stream(self._path, self._limits, {}) as (container, stream):
            if start > 0:
                try:
                    container.seek(self._index.stamps[start], stream=stream)
                except av.FFmpegError:
                    return
            frames = decode(container, stream, "skip")
            yield from frames if start == 0 else self._consecutive(frames, start)

    def _consecutive(self, frames: Iterator[av.VideoFrame], expected: int) -> Iterator[av.VideoFrame]:
        """The frames from ``expected`` on, until one is missing; then the jump landed elsewhere."""
        start = expected
        for frame in frames:
            position = self._index.position(frame)
            if position is None or position < start:
                continue  # a leading picture: it refers to frames before the keyframe and decodes to rubbish here
            if position != expected:
                return
            yield frame
            expected += 1

    def nbytes(self, frame: av.VideoFrame, /) -> int:
        return sum(plane.buffer_size for plane in frame.planes)
