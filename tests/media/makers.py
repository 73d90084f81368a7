"""Real media for the tests: frames that say their own number, and files made of them."""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from sam2_core.media.source import RgbFrame

BITS = 8
"""Bars in a numbered frame; one per binary digit of its number, white for 1."""


def numbered_frame(number: int, height: int = 48, width: int = 64) -> RgbFrame:
    """A frame that survives any codec with its number legible."""
    digits = np.array([(number >> bit) & 1 for bit in range(BITS)])
    row = np.repeat(digits, -(-width // BITS))[:width] * 255
    return np.broadcast_to(row[None, :, None], (height, width, 3)).astype(np.uint8)


def number_of(frame: RgbFrame) -> int:
    """What :func:`numbered_frame` wrote."""
    bar = -(-frame.shape[1] // BITS)
    centres = frame[frame.shape[0] // 2, bar // 2 :: bar].mean(axis=1)
    return sum(1 << bit for bit, value in enumerate(centres) if value > 127)


def numbered(count: int, height: int = 48, width: int = 64) -> list[RgbFrame]:
    """``count`` frames, numbered from 0."""
    return [numbered_frame(number, height, width) for number in range(count)]


def numbers_of(frames: Iterable[RgbFrame]) -> list[int]:
    """The numbers of many frames."""
    return [number_of(frame) for frame in frames]


def write_video(
    path: Path,
    frames: Sequence[RgbFrame],
    *,
    codec: str = "libx264",
    gop: int = 12,
    b_frames: int = 0,
    ticks: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video file at 25 frames a second, or with the frames at the given hundredths of a second."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size, stream.max_b_frames = gop, b_frames
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 100)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if ticks is not None:
                picture.pts, picture.time_base = ticks[index], Fraction(1, 100)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def turn(path: Path, quarter_turns: int, *, mirrored: bool = False) -> None:
    """Tell players of an mp4 file to turn it counter-clockwise, and then perhaps to mirror it left to right.

    The matrix stands in the track header: a stored (x, y) is shown at (a x + c y, b x + d y), in 16.16 fixed point.
    """
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter_turns]
    sign = -1 if mirrored else 1
    a, b, c, d = (number * 65536 for number in (sign * cosine, -sine, sign * sine, cosine))
    data = path.read_bytes()
    place = data.index(b"tkhd") + 44
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:place] + matrix + data[place + len(matrix) :])


def write_sound(path: Path) -> Path:
    """A file with a second of silence and no pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode(None))
    return path


def packet_places(path: Path) -> list[tuple[int, int]]:
    """Where each packet of a video lies in its file: first byte and size, in the order of decoding."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def psnr(one: RgbFrame, other: RgbFrame) -> float:
    """Peak signal-to-noise ratio in dB."""
    error = np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
