"""How many bytes a video file should have, by what its outermost parts say of their own lengths.

A download or upload that broke off ends in the middle of one of them. That is the only sign of it to be trusted: counts
of frames and durations are wrong in files that are whole, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_BOXES = {b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"styp", b"free", b"skip", b"wide", b"uuid", b"pnot"}
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_PICTURE_BRANDS = {b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"}  # HEIF: boxes as in mp4, and no video
_MOST_BOXES = 100_000
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def declared_bytes(path: Path) -> int | None:
    """Bytes that an mp4, mov, webm, mkv or avi file says it has; 0 where it does not say, ``None`` for other files."""
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            return _riff_bytes(head)
        if head[:4] == _EBML:
            return _matroska_bytes(file)
        if head[4:8] in _FIRST_BOXES and head[8:] not in _PICTURE_BRANDS:
            return _boxes_bytes(file, path.stat().st_size)
    return None


def _riff_bytes(head: bytes) -> int:
    size = int.from_bytes(head[4:8], "little")
    return 0 if size in (0, 2**32 - 1) else size + 8  # whoever writes to a pipe does not know


def _boxes_bytes(file: BinaryIO, file_bytes: int) -> int:
    end = 0
    for _ in range(_MOST_BOXES):
        file.seek(end)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if head[4:8] not in _BOXES or size < 8:  # the end, something foreign behind it, or a box that reaches to it
            break
        end += size
        if end >= file_bytes:
            break
    return end


def _matroska_bytes(file: BinaryIO) -> int:
    """The file is a header and a segment, each with an id of four bytes and a length of one to eight."""
    file.seek(len(_EBML))
    header = _length(file)
    file.seek(header or 0, 1)
    if not header or file.read(len(_SEGMENT)) != _SEGMENT:
        return 0
    segment = _length(file)
    return file.tell() + segment if segment else 0


def _length(file: BinaryIO) -> int:
    """A length whose first byte's leading zeros say how many bytes follow; 0 where it is unknown, as in recordings."""
    first = (file.read(1) or b"\0")[0]
    following = 8 - first.bit_length()
    if following > 7:
        return 0
    bits = 7 * (following + 1)
    value = int.from_bytes(bytes([first]) + file.read(following), "big") & (2**bits - 1)
    return 0 if value == 2**bits - 1 or value > 2**56 else value
