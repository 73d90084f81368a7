"""Still pictures and folders of them, read by Pillow."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sam2_core.errors import Sam2Error, VideoError
from sam2_core.media.source import DEFAULT_FPS, MediaLimits, RgbFrame

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Names under which a folder's frames are looked for; everything else in the folder is left alone."""

# Pillow knows many more formats, some of which start other programs (EPS); uploads choose among these only.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)


@contextlib.contextmanager
def open_picture(path: Path, limits: MediaLimits) -> Iterator[Image.Image]:
    """Open a picture file without decoding its pixels; what goes wrong inside the block is reported as its damage.

    Raises:
        VideoError: the picture is too large or damaged.
        UnidentifiedImageError: the file is not a picture.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            limits.check_size(path.name, image.height, image.width)
            yield image
    except (UnidentifiedImageError, Sam2Error):
        raise
    except Image.DecompressionBombError as error:
        raise VideoError(f"{path.name!r} is far too large a picture; scale it down first.") from error
    except Exception as error:  # on bad bytes Pillow's readers raise whatever happens to go wrong
        reason = getattr(error, "strerror", None) or error  # the rest of a system error is the machine's own path
        raise VideoError(f"the picture {path.name!r} is damaged or cut off ({reason}); copy it again.") from error


def to_rgb(image: Image.Image) -> RgbFrame:
    """Pixels of a picture as a viewer shows it, ``[H, W, 3]``.

    The camera's orientation is applied, transparency lies on white as on a page, 16-bit greys keep their upper 8 bits
    (over the full range, so that the frames of a series stay comparable), and colours are otherwise Pillow's RGB.

    Raises:
        ValueError: the pixels are 32-bit numbers, whose black and white nothing defines.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ValueError("its pixels are 32-bit numbers: save it with 8 or 16 bits per channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def shown_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of a picture as a viewer shows it, from its header: a camera's quarter turn swaps them."""
    turned = image.getexif().get(_ORIENTATION, 1) in _QUARTER_TURNS
    return image.size if turned else (image.height, image.width)


class FolderSource:
    """A folder with one picture per frame, as DAVIS and SA-V lay videos out.

    When every name is a number (``00000.jpg``) the numbers give the order, otherwise the names do, with the numbers
    inside them compared as numbers. All pictures have one size; that is checked here, from their headers.

    Args:
        path: an existing folder.
        limits: what is accepted.

    Attributes:
        names: of the files, in the order of the frames.

    Raises:
        VideoError: there is no picture, one is damaged, or one has another size than the first.
    """

    fps = DEFAULT_FPS

    def __init__(self, path: Path, limits: MediaLimits) -> None:
        self._limits = limits
        self._paths = pictures_in(path)
        self.count = len(self._paths)
        self.names = tuple(each.name for each in self._paths)
        if not self._paths:
            raise VideoError(f"the folder {path.name!r} holds no pictures; it needs one (jpg, png, ...) per frame.")
        limits.check_count(path.name, self.count)
        self.height, self.width = self._size(self._paths[0])
        for each in self._paths[1:]:
            self._check_size(each, *self._size(each))

    def read(self, index: int) -> RgbFrame:
        """The picture of frame ``index``."""
        path = self._paths[index]
        try:
            with open_picture(path, self._limits) as image:
                frame = to_rgb(image)
        except UnidentifiedImageError as error:
            raise VideoError(f"{path.name!r} is no longer a picture; it changed on disk.") from error
        self._check_size(path, *frame.shape[:2])
        return frame

    def close(self) -> None:
        """Nothing is kept open between two frames."""

    def _size(self, path: Path) -> tuple[int, int]:
        try:
            with open_picture(path, self._limits) as image:
                return shown_size(image)
        except UnidentifiedImageError as error:
            raise VideoError(f"{path.name!r} is not a picture, whatever its name says; remove it.") from error

    def _check_size(self, path: Path, height: int, width: int) -> None:
        if (height, width) != (self.height, self.width):
            raise VideoError(
                f"all pictures of one clip have one size; {self._paths[0].name!r} is {self.width} x {self.height} and "
                f"{path.name!r} is {width} x {height}."
            )


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, in the order of the frames.

    Raises:
        VideoError: two of them have the same number.
    """
    return in_order([each for each in folder.iterdir() if _is_frame(each)])


def _is_frame(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def in_order(paths: list[Path]) -> list[Path]:
    """Files as frames: by their numbers where names are numbers, else by name, with ``9`` before ``10``.

    Raises:
        VideoError: two of them have the same number.
    """
    if not all(re.fullmatch(r"[0-9]+", path.stem) for path in paths):
        return sorted(paths, key=_natural)
    ordered = sorted(paths, key=lambda path: (int(path.stem), path.name))
    for before, after in pairwise(ordered):
        if int(before.stem) == int(after.stem):
            raise VideoError(f"{before.name!r} and {after.name!r} are the same frame number; keep one of them.")
    return ordered


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """``shot2.png`` before ``shot10.png``: digits compare as numbers, and before letters."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return [(False, int(part), "") if part[0] in "0123456789" else (True, 0, part.lower()) for part in parts]
