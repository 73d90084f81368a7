"""What the frames of a clip are called in what is exported: by number, or as the pictures that it was made of."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

from sam2_core.media import Video

_LONGEST = 120  # bytes: file systems take 255, and more is to be added
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')  # on one system or another


def frame_stems(video: Video) -> tuple[str, ...]:
    """Names without a suffix, one for each frame, safe on every system and each but once: ``00000``, or ``IMG_12``.

    Where pictures differ in nothing but their suffix, all of them begin with their number.
    """
    numbers = [f"{index:05d}" for index in range(len(video))]
    if not video.frame_names:
        return tuple(numbers)
    stems = [_safe(PurePath(name).stem) or number for name, number in zip(video.frame_names, numbers, strict=True)]
    if len({stem.casefold() for stem in stems}) == len(stems):
        return tuple(stems)
    return tuple(f"{number}_{stem}" for number, stem in zip(numbers, stems, strict=True))


def _safe(stem: str) -> str:
    text = unicodedata.normalize("NFC", _UNSAFE.sub("_", stem)).encode(errors="replace")
    return text[:_LONGEST].decode(errors="ignore").strip(" .")
