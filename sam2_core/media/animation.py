"""Animated pictures (GIF, WebP, APNG), decoded by Pillow, which lays each frame over the ones before it."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sam2_core.errors import VideoError
from sam2_core.media.pictures import open_picture, to_rgb
from sam2_core.media.sequential import SequentialReader
from sam2_core.media.source import MediaLimits, RgbFrame, cut_off, plausible_fps


def is_animated(image: Image.Image) -> bool:
    """Whether a picture moves; pages of a TIFF and the two eyes of a stereo photograph do not count."""
    return image.format in ("GIF", "WEBP", "PNG") and bool(getattr(image, "is_animated", False))


class AnimationSource:
    """An animated picture as a source of frames; the ones after a damaged frame build on it and are left out.

    Args:
        path: an existing file for which :func:`is_animated` holds.
        limits: what is accepted.

    Attributes:
        notice: what people should know of a file that is cut off, in a sentence; else empty.

    Raises:
        VideoError: no frame can be decoded, or there are too many of them.
    """

    def __init__(self, path: Path, limits: MediaLimits) -> None:
        decoder = _AnimationDecoder(path, limits)
        self.count, seconds = decoder.scan()
        self.notice = cut_off(f"only {self.count}") if decoder.is_broken else ""
        self.fps = plausible_fps(self.count / seconds if seconds > 0 else 0.0)
        self._reader = SequentialReader(decoder, limits.window_bytes)
        self.height, self.width = self._reader.read(0).shape[:2]

    def read(self, index: int) -> RgbFrame:
        """Frame ``index`` with all that earlier frames left on it."""
        return np.array(self._reader.read(index))

    def close(self) -> None:
        """Close the file and forget all frames."""
        self._reader.close()


class _AnimationDecoder:
    def __init__(self, path: Path, limits: MediaLimits) -> None:
        self.name = path.name
        self.is_broken = False
        self._path = path
        self._limits = limits

    def scan(self) -> tuple[int, float]:
        """Frames that decode, and how many seconds they last together."""
        count, milliseconds = 0, 0.0
        for image in self._images():
            count += 1
            milliseconds += image.info.get("duration", 0)
            self._limits.check_count(self.name, count)
        if not count:
            raise VideoError(f"no frame of {self.name!r} can be decoded; it is damaged or cut off: copy it again.")
        return count, milliseconds / 1000

    def starts(self, _index: int, /) -> Sequence[int]:
        return (0,)

    def frames_from(self, _start: int, /) -> Generator[RgbFrame, None, None]:
        for image in self._images():
            yield to_rgb(image)

    def nbytes(self, frame: RgbFrame) -> int:
        return frame.nbytes

    def _images(self) -> Generator[Image.Image, None, None]:
        with open_picture(self._path, self._limits) as image:
            size = image.size
            # An APNG may lead with a picture for programs that know no animations; it is not part of this one.
            first = int(getattr(image, "default_image", False))
            for index in itertools.count(first):
                try:
                    image.seek(index)
                    image.load()
                except EOFError:  # after the last frame
                    return
                except Exception:  # on bad bytes whatever happens to go wrong
                    self.is_broken = True
                    return
                if image.size != size:  # a GIF may draw outside its own canvas
                    self.is_broken = True
                    return
                yield image
