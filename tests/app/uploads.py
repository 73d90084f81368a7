"""What visitors upload, from the ordinary to the hostile: each kind is made by a function that is given a folder."""

import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from sam2_core.media.source import RgbFrame
from tests.media.makers import numbered, packet_places, turn, write_sound, write_video


@dataclass(frozen=True)
class Upload:
    """One kind.

    Attributes:
        name: of the file, as the visitor's machine calls it.
        make: writes it to a path.
        size: height and width of what it opens; ``None`` if it cannot be used.
        frames: of what it opens; ``None`` if nobody can tell.
        notice: a part of what is said of it although it opens.
    """

    name: str
    make: Callable[[Path], object]
    size: tuple[int, int] | None = None
    frames: int | None = None
    notice: str = ""


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _clip(count: int = 12, **how: object) -> Callable[[Path], object]:
    return lambda path: write_video(path, numbered(count), **how)  # type: ignore[arg-type]


def _edited(edit: Callable[[bytes], bytes], make: Callable[[Path], object]) -> Callable[[Path], object]:
    def made(path: Path) -> None:
        make(path)
        path.write_bytes(edit(path.read_bytes()))

    return made


def _picture(pixels: np.ndarray, **how: object) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(pixels).save(path, **how)


def _animation(frames: Sequence[np.ndarray]) -> Callable[[Path], object]:
    first, *others = [Image.fromarray(frame) for frame in frames]
    return lambda path: first.save(path, save_all=True, append_images=others, duration=40, disposal=2)


def _without_frames(path: Path) -> None:
    write_video(path, numbered(5), codec="mjpeg")
    data = bytearray(path.read_bytes())
    for start, size in packet_places(path):
        data[start : start + size] = bytes(size)
    path.write_bytes(data)


def _odd(path: Path) -> None:
    """Sizes that 4:2:0 cannot have."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 101, 77, "bgr0"
        for frame in numbered(6, 77, 101):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _rotated(path: Path) -> None:
    write_video(path, numbered(6))
    turn(path, 1)


def _zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip.mp4", bytes(100_000))


def _huge_png() -> bytes:
    """A few hundred bytes that claim to be 60,000 x 60,000 pixels."""
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(999))))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*parts, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _photograph(height: int = 48, width: int = 64) -> RgbFrame:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def _with_alpha(count: int) -> list[np.ndarray]:
    frames = []
    for frame in numbered(count):
        alpha = np.zeros((*frame.shape[:2], 1), np.uint8)
        alpha[10:40] = 255
        frames.append(np.concatenate((frame, alpha), axis=2))
    return frames


UPLOADS = {
    # videos
    "an ordinary clip": Upload("clip.mp4", _clip(), (48, 64), 12),
    "a clip cut off in the middle": Upload(
        "half.mp4",
        _edited(lambda data: data[: len(data) * 2 // 3], _clip(60)),
        (48, 64),
        notice=" of about 60 frames can be read: the file seems cut off",
    ),
    "a clip without its index": Upload("recording.mov", _edited(lambda data: data[: len(data) // 2], _clip(60))),
    "a clip of one frame": Upload("one.mp4", _clip(1), (48, 64), 1),
    "an odd size": Upload("odd.mkv", _odd, (77, 101), 6),
    "a varying frame rate": Upload("phone.mp4", _clip(5, ticks=[0, 1, 50, 51, 300]), (48, 64), 5),
    "a turned clip": Upload("upright.mp4", _rotated, (64, 48), 6),
    "HEVC": Upload("hevc.mp4", _clip(codec="libx265", options={"x265-params": "log-level=none"}), (48, 64), 12),
    "VP9": Upload("clip.webm", _clip(codec="libvpx-vp9"), (48, 64), 12),
    "motion JPEG": Upload("clip.avi", _clip(codec="mjpeg"), (48, 64), 12),
    "an unknown codec": Upload("clip.mp4", _edited(lambda data: data.replace(b"avc1", b"zzzz"), _clip())),
    "no frame that decodes": Upload("clip.avi", _without_frames),
    "sound alone": Upload("song.mp4", write_sound),
    "frames too large": Upload(
        "large.avi", lambda path: write_video(path, [np.zeros((4112, 4096, 3), np.uint8)], codec="mpeg4")
    ),
    # pictures
    "a picture": Upload("photo.jpg", _picture(_photograph()), (48, 64), 1),
    "one pixel": Upload("dot.png", _picture(_photograph(1, 1)), (1, 1), 1),
    "sixteen bits": Upload("scan.png", _picture(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21), (48, 64), 1),
    "CMYK": Upload("print.jpg", lambda path: Image.new("CMYK", (64, 48)).save(path), (48, 64), 1),
    "a picture that claims to be huge": Upload("bomb.png", _bytes(_huge_png())),
    "a picture cut off": Upload("photo.jpg", _edited(lambda data: data[: len(data) // 2], _picture(_photograph()))),
    "a picture with a hole": Upload(
        "photo.png", _edited(lambda data: data[:200] + bytes(100) + data[300:], _picture(_photograph()))
    ),
    "a GIF with transparency": Upload("sticker.gif", _animation(_with_alpha(4)), (48, 64), 4),
    "an animated WebP": Upload("sticker.webp", _animation(numbered(4)), (48, 64), 4),
    "an animated PNG": Upload("sticker.png", _animation(numbered(4)), (48, 64), 4),
    # neither
    "nothing at all": Upload("clip.mp4", _bytes(b"")),
    "a text": Upload("holiday.mp4", _bytes(b"this is no video\n" * 50)),
    "a drawing": Upload("logo.svg", _bytes(b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')),
    "an archive": Upload("clip.mp4", _zipped),
    "a playlist": Upload("list.mp4", _bytes(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")),
    "a name that is markup": Upload("<img src=x onerror=alert(1)>.mp4", _bytes(b"x")),
}
