"""A session on disk: a log of commands and the masks that answered them, both append-only.

::

    session.json        what it is about; names the two files in force
    commands-0.jsonl    one command a line; the number of a line is the number of the command
    masks-0.bin         records of what commands did to the masks of a frame

A record (:mod:`sam2_core.session.records`) is whole or it is not there, and a line carries its end. The masks that
answer a prompt are written before its command, those of a sweep after it, one record for each frame as soon as it is
finished. So at any moment the process may be killed: what is torn, or belongs to no command, lies at the end and is cut
off. Commands are forced to the disk and masks with them, those of a sweep at its end.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from types import TracebackType

from sam2_core.errors import ProjectError, SessionLimit
from sam2_core.session import records
from sam2_core.session.command_json import LONGEST_LINE, from_json, to_json
from sam2_core.session.commands import Command, UseModel
from sam2_core.session.document import Change
from sam2_core.session.header import Header

MOST_COMMANDS = 50_000
"""In one log."""
MOST_RECORDS = 1_000_000
"""In one file of masks: a clip of 10,000 frames, tracked both ways fifty times."""
_START_ANEW = "take the masks home, and import them into a new session"


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Bounds on the files of one session.

    Attributes:
        total_bytes: of both together.
        log_bytes: of the commands, all of which are in memory; the masks that people paint and import are among them.
    """

    total_bytes: int = 2**40
    log_bytes: int = 2**40


class Moment:
    """What the files of a session hold at one moment, to be read to their ends then.

    It can be read while more is written, and after the files were deleted: they are open. Closed by its ``with`` block.

    Attributes:
        header: what the session is about.
        files: the log and the masks, each with its length in bytes.
    """

    def __init__(self, folder: Path, header: Header, lengths: tuple[int, int]) -> None:
        self.header = header
        with ExitStack() as opened:
            names = (header.commands_file, header.masks_file)
            log, masks = (opened.enter_context((folder / name).open("rb")) for name in names)
            self.files = ((log, lengths[0]), (masks, lengths[1]))
            self._opened = opened.pop_all()

    def __enter__(self) -> Moment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()


class Store:
    """The files of one session; one caller at a time.

    Args:
        folder: which is there.
        header: what the session is about, and which files are in force; they are made if they are not there.
        limits: what they may take.

    Attributes:
        commands: of the log, in their order.

    Raises:
        ProjectError: what is there is damaged beyond a torn end.
    """

    def __init__(self, folder: Path, header: Header, limits: StoreLimits | None = None) -> None:
        self.folder = folder
        self.header = header
        self.commands: list[Command] = []
        self._limits = limits or StoreLimits()
        self._records = 0
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
            raise SessionLimit(f"a session has {MOST_COMMANDS:,} commands at most; {_START_ANEW}.")
        if len(line) > LONGEST_LINE:
            raise SessionLimit(f"a command takes {LONGEST_LINE:,} bytes at most; give simpler masks.")
        masks, log = self._masks.tell(), self._log.tell()
        try:
            if change is not None:
                self.add_change(number, change)
            _append(self._log, line, min(self._room, self._limits.log_bytes - log))
            self.sync()
        except SessionLimit:  # what was refused must not be there after a restart
            self._records -= len(self._places.pop(number, ()))
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
        if self._records >= MOST_RECORDS:
            raise SessionLimit(f"a session has {MOST_RECORDS:,} changes of a frame at most; {_START_ANEW}.")
        place = self._masks.tell()
        _append(self._masks, records.pack(number, change), self._room)
        self._note_record(number, place)

    def changes(self, number: int) -> Iterator[Change]:
        """What a command did, in its order."""
        places = self._places.get(number, ())
        with (self.folder / self.header.masks_file).open("rb") as file:
            for place in places:
                file.seek(place)
                payload = records.read(file)
                if not payload:
                    raise ProjectError("the masks of this session changed on disk; open it again.")
                yield records.unpack(payload, self.header)[1]

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

    def moment(self) -> Moment:
        """What is in the files now."""
        return Moment(self.folder, self.header, (self._log.tell(), self._masks.tell()))

    def close(self) -> None:
        """Let go of the files."""
        self._log.close()
        self._masks.close()

    def successor(self) -> Store:
        """An empty store beside this one, for the same clip; it is in force once its header is written."""
        header = replace(self.header, generation=self.header.generation + 1)
        for name in (header.commands_file, header.masks_file):  # of an attempt that was killed
            (self.folder / name).unlink(missing_ok=True)
        return Store(self.folder, header, self._limits)

    def delete(self) -> None:
        """Let go of the files, and delete them."""
        self.close()
        for name in (self.header.commands_file, self.header.masks_file):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def _room(self) -> int:
        return self._limits.total_bytes - self.nbytes

    def _note_record(self, number: int, place: int) -> None:
        self._places[number].append(place)
        self._records += 1

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
            for count, payload in enumerate(iter(lambda: records.read(file), None)):
                if count >= MOST_RECORDS:
                    raise ProjectError(
                        f"a session has {MOST_RECORDS:,} changes of a frame at most; this file has more."
                    )
                if payload:  # else it is damaged: its masks are lost, and no others
                    number, _ = records.unpack(payload, self.header)
                    if number >= len(self.commands):
                        break  # the process was killed before it wrote the command
                    self._note_record(number, place)
                    end = file.tell()
                place = file.tell()
        _cut(self._masks, end)


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
        raise SessionLimit(f"this session has used up its room on the disk; {_START_ANEW}.")
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
