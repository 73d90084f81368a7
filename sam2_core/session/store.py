"""A session on disk: a log of commands and the masks that answered them, both append-only.

::

    session.json        what it is about; names the two files in force
    commands-0.jsonl    one command a line; the number of a line is the number of the command
    masks-0.bin         records of what commands did to the masks of a frame

A record is whole or it is not there: it carries its length and a checksum, and a line carries its end. The masks that
answer a prompt are written before its command, those of a sweep after it, one record for each frame as soon as it is
finished. So at any moment the process may be killed: what is torn, or belongs to no command, lies at the end and is cut
off. Commands are forced to the disk and masks with them, those of a sweep at its end.
"""

from __future__ import annotations

import errno
import math
import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from sam2_core.errors import ProjectError, SessionLimit
from sam2_core.results import LARGEST_OBJECT_ID, ObjectMask
from sam2_core.rle import Rle
from sam2_core.session.command_json import LONGEST_LINE, from_json, to_json
from sam2_core.session.commands import Command, UseModel
from sam2_core.session.document import Change
from sam2_core.session.header import Header

MOST_COMMANDS = 200_000
_LARGEST_RECORD = 64 * 2**20
_FRAME = struct.Struct("<II")  # length, checksum
_CHANGE = struct.Struct("<IIbB")  # command, frame, step, objects
_MASK = struct.Struct("<BBffI")  # object, flags, predicted IoU, object score, bytes
_HAS_MASK, _NO_MASK, _ENDED = 1, 2, 4


class Store:
    """The files of one session; one caller at a time.

    Args:
        folder: which is there.
        header: what the session is about, and which files are in force; they are made if they are not there.
        most_bytes: that both files may have together.

    Attributes:
        commands: of the log, in their order.

    Raises:
        ProjectError: what is there is damaged beyond a torn end.
    """

    def __init__(self, folder: Path, header: Header, most_bytes: int = 2**40) -> None:
        self.folder = folder
        self.header = header
        self.commands: list[Command] = []
        self._most_bytes = most_bytes
        self._places: dict[int, list[int]] = defaultdict(list)  # of a command's records
        self._log = _open(folder / header.commands_file)
        self._masks = _open(folder / header.masks_file)
        try:
            self._read_log()
            self._read_masks()
        except BaseException:
            self.close()
            raise

    @property
    def nbytes(self) -> int:
        """What both files take."""
        return self._log.tell() + self._masks.tell()

    def add(self, command: Command, change: Change | None = None) -> int:
        """Write a command, and what it did; both are on the disk when this returns.

        Returns:
            The command's number.

        Raises:
            SessionLimit: there is no room.
        """
        number, line = len(self.commands), (to_json(command) + "\n").encode("ascii")
        if number >= MOST_COMMANDS:
            raise SessionLimit(f"a session has {MOST_COMMANDS:,} commands at most; save it and start a new one.")
        if len(line) > LONGEST_LINE:
            raise SessionLimit(f"a command takes {LONGEST_LINE:,} bytes at most; give simpler masks.")
        masks, log = self._masks.tell(), self._log.tell()
        try:
            if change is not None:
                self.add_change(number, change)
            _append(self._log, line, self._room)
            self.sync()
        except SessionLimit:  # what was refused must not be there after a restart
            self._places.pop(number, None)
            _cut(self._masks, masks)
            _cut(self._log, log)
            raise
        self.commands.append(command)
        return number

    def add_change(self, number: int, change: Change) -> None:
        """Write what a command did to a frame.

        Raises:
            SessionLimit: there is no room.
        """
        payload = _pack(number, change)
        if len(payload) > _LARGEST_RECORD:
            raise SessionLimit(f"a frame's masks take {_LARGEST_RECORD:,} bytes at most; track fewer objects.")
        place = self._masks.tell()
        _append(self._masks, _FRAME.pack(len(payload), zlib.crc32(payload)) + payload, self._room)
        self._places[number].append(place)

    def changes(self, number: int) -> Iterator[Change]:
        """What a command did, in its order."""
        places = self._places.get(number, ())
        with (self.folder / self.header.masks_file).open("rb") as file:
            for place in places:
                file.seek(place)
                payload = _read_record(file)
                if not payload:
                    raise ProjectError("the masks of this session changed on disk; open it again.")
                yield self._unpack(payload)[1]

    def count(self, number: int) -> int:
        """How many frames a command has changed."""
        return len(self._places.get(number, ()))

    def sync(self) -> None:
        """Force what was written to the disk.

        Raises:
            SessionLimit: it does not take it.
        """
        try:
            for file in (self._masks, self._log):
                os.fsync(file.fileno())
        except OSError as error:
            raise _not_saved(error) from error

    def close(self) -> None:
        """Let go of the files."""
        self._log.close()
        self._masks.close()

    def successor(self) -> Store:
        """An empty store beside this one, for the same clip; it is in force once its header is written."""
        header = replace(self.header, generation=self.header.generation + 1)
        for name in (header.commands_file, header.masks_file):  # of an attempt that was killed
            (self.folder / name).unlink(missing_ok=True)
        return Store(self.folder, header, self._most_bytes)

    def delete(self) -> None:
        """Let go of the files, and delete them."""
        self.close()
        for name in (self.header.commands_file, self.header.masks_file):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def _room(self) -> int:
        return self._most_bytes - self.nbytes

    def _read_log(self) -> None:
        end = 0
        with (self.folder / self.header.commands_file).open("rb") as file:
            while (line := file.readline(LONGEST_LINE)).endswith(b"\n"):
                if len(self.commands) >= MOST_COMMANDS:
                    raise ProjectError(f"a session has {MOST_COMMANDS:,} commands at most; this file has more.")
                self.commands.append(from_json(line.decode("ascii", "replace")))
                end = file.tell()
        if len(line) == LONGEST_LINE:
            raise ProjectError("a command in this session is too long; the file is damaged.")
        _cut(self._log, end)  # the process may have been killed while it wrote the rest

    def _read_masks(self) -> None:
        place = end = 0
        with (self.folder / self.header.masks_file).open("rb") as file:
            while (payload := _read_record(file)) is not None:
                if payload:  # else it is damaged: its masks are lost, and no others
                    number, _ = self._unpack(payload)
                    if number >= len(self.commands):
                        break  # the process was killed before it wrote the command
                    self._places[number].append(place)
                    end = file.tell()
                place = file.tell()
        _cut(self._masks, end)

    def _unpack(self, payload: bytes) -> tuple[int, Change]:
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
                    mask = Rle(self.header.height, self.header.width, data)
                    masks[object_id] = ObjectMask(object_id, mask, iou, score)
                elif flags & _NO_MASK:
                    masks[object_id] = None
                if flags & _ENDED:
                    ended.add(object_id)
            if frame >= self.header.frames or step not in (-1, 0, 1) or place != len(payload):
                raise ValueError("a number is out of range")
        except (ValueError, struct.error) as error:
            raise ProjectError(f"the masks of this session cannot be read ({error}); the file is damaged.") from error
        return number, Change(frame, masks, step, frozenset(ended))


def _pack(number: int, change: Change) -> bytes:
    parts = []
    objects = sorted(change.masks.keys() | change.ended)
    for object_id in objects:
        mask = change.masks.get(object_id)
        kind = _HAS_MASK if mask else _NO_MASK if object_id in change.masks else 0
        flags = kind | (_ENDED if object_id in change.ended else 0)
        data = mask.mask.data if mask else b""
        iou, score = (mask.predicted_iou, mask.object_score) if mask else (0.0, 0.0)
        parts.append(_MASK.pack(object_id, flags, iou, score, len(data)) + data)
    return _CHANGE.pack(number, change.frame_index, change.step, len(objects)) + b"".join(parts)


def _read_record(file: BinaryIO) -> bytes | None:
    """The next record's content; empty where it is damaged, and ``None`` where the file ends, or is torn."""
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(head)
    payload = file.read(length) if length <= _LARGEST_RECORD else b""
    if len(payload) < length:
        return None
    return payload if zlib.crc32(payload) == checksum else b""


def _open(path: Path) -> FileIO:
    path.touch()
    return FileIO(path, "r+")  # without a buffer: what was written survives the process


def _cut(file: FileIO, end: int) -> None:
    file.truncate(end)
    file.seek(end)


def _append(file: FileIO, data: bytes, room: int) -> None:
    """Write at the end, all of it or nothing."""
    end = file.tell()
    if len(data) > room:
        raise SessionLimit("this session has used up its room on the disk; save the project and start a new session.")
    try:
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        _cut(file, end)
        raise _not_saved(error) from error


def _not_saved(error: OSError) -> SessionLimit:
    return SessionLimit(f"the session cannot be saved ({error.strerror}); make room on the disk.")


def model_of(commands: Sequence[Command]) -> str:
    """Name of the model in use; empty where none is named yet."""
    return next((command.name for command in reversed(commands) if isinstance(command, UseModel)), "")
