"""What a command did to the masks of a frame, as a record on the disk; what is read may come from anyone.

A record is whole or it is not there: it carries its length and a checksum.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import BinaryIO

from sam2_core.errors import ProjectError, SessionLimit
from sam2_core.results import LARGEST_OBJECT_ID, ObjectMask
from sam2_core.rle import Rle
from sam2_core.session.document import Change
from sam2_core.session.header import Header

LARGEST_RECORD = 64 * 2**20
"""Bytes of one record."""
_FRAME = struct.Struct("<II")  # length, checksum
_CHANGE = struct.Struct("<IIbB")  # command, frame, step, objects
_MASK = struct.Struct("<BBffI")  # object, flags, predicted IoU, object score, bytes
_HAS_MASK, _NO_MASK, _ENDED = 1, 2, 4


def pack(number: int, change: Change) -> bytes:
    """The record of what command ``number`` did.

    Raises:
        SessionLimit: it is too large.
    """
    parts = []
    objects = sorted(change.masks.keys() | change.ended)
    for object_id in objects:
        mask = change.masks.get(object_id)
        kind = _HAS_MASK if mask else _NO_MASK if object_id in change.masks else 0
        flags = kind | (_ENDED if object_id in change.ended else 0)
        data = mask.mask.data if mask else b""
        iou, score = (mask.predicted_iou, mask.object_score) if mask else (0.0, 0.0)
        parts.append(_MASK.pack(object_id, flags, iou, score, len(data)) + data)
    payload = _CHANGE.pack(number, change.frame_index, change.step, len(objects)) + b"".join(parts)
    if len(payload) > LARGEST_RECORD:
        raise SessionLimit(f"a frame's masks take {LARGEST_RECORD:,} bytes at most; track fewer objects.")
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def read(file: BinaryIO) -> bytes | None:
    """The next record's content; empty where it is damaged, and ``None`` where the file ends, or is torn."""
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(head)
    payload = file.read(length) if length <= LARGEST_RECORD else b""
    if len(payload) < length:
        return None
    return payload if zlib.crc32(payload) == checksum else b""


def unpack(payload: bytes, header: Header) -> tuple[int, Change]:
    """The command's number and what it did, from a record's content.

    Raises:
        ProjectError: it makes no sense for this clip.
    """
    try:
        number, frame, step, count = _CHANGE.unpack_from(payload)
        place, masks, ended = _CHANGE.size, dict[int, ObjectMask | None](), set[int]()
        for _ in range(count):
            object_id, flags, iou, score, size = _MASK.unpack_from(payload, place)
            place += _MASK.size
            data, place = payload[place : place + size], place + size
            if not 1 <= object_id <= LARGEST_OBJECT_ID or not math.isfinite(iou) or not math.isfinite(score):
                raise ValueError("a number is out of range")
            if flags & _HAS_MASK:
                masks[object_id] = ObjectMask(object_id, Rle(header.height, header.width, data), iou, score)
            elif flags & _NO_MASK:
                masks[object_id] = None
            if flags & _ENDED:
                ended.add(object_id)
        if frame >= header.frames or step not in (-1, 0, 1) or place != len(payload):
            raise ValueError("a number is out of range")
    except (ValueError, struct.error) as error:
        raise ProjectError(f"the masks of this session cannot be read ({error}); the file is damaged.") from error
    return number, Change(frame, masks, step, frozenset(ended))
