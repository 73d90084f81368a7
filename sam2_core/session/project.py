"""Project files: a session as one zip, to keep, to hand on, and to open again; whoever made it may mean harm.

::

    session.json    commands.jsonl    masks.bin    and, where the clip was put in, media or media/00000.jpg ...
"""

from __future__ import annotations

import errno
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sam2_core.errors import ProjectError, SessionLimit
from sam2_core.formats.archive import ModestFile
from sam2_core.media import pictures_in, replacing
from sam2_core.session.header import HEADER, Header
from sam2_core.session.store import Moment

MEDIA = "media"
"""Name of a session's own copy of the clip."""
_COMMANDS, _MASKS = "commands.jsonl", "masks.bin"
_PICTURE = re.compile(r"media/[0-9]{5,7}\.[a-z]{1,5}", re.ASCII)
_CHUNK = 2**20
_LARGEST_HEADER = 8_000_000  # most of it the names of pictures


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """Bounds on what a project file unpacks to.

    Attributes:
        log_bytes: of the commands.
        masks_bytes: of the masks.
        media_bytes: of the clip.
    """

    log_bytes: int = 200 * 10**6
    masks_bytes: int = 10**9
    media_bytes: int = 500 * 10**6


def write_project(moment: Moment, path: Path, media: Path | None) -> None:
    """Write a session as a project file, whole or not at all.

    Args:
        moment: what was in the session's files; it may have moved on since.
        path: the file to write.
        media: the clip to put in, a file or a folder of pictures; ``None`` leaves it out, and whoever opens the project
            needs to have it.

    Raises:
        SessionLimit: the disk does not take it.
    """
    header = replace(moment.header, media=None, generation=0)
    try:
        with replacing(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(HEADER, header.to_json())
            for name, (file, length) in zip((_COMMANDS, _MASKS), moment.files, strict=True):
                with archive.open(name, "w", force_zip64=True) as member:
                    for start in range(0, length, _CHUNK):
                        member.write(file.read(min(_CHUNK, length - start)))
            if media is not None:
                for source, name in _media_members(media):
                    archive.write(source, name, zipfile.ZIP_STORED)  # clips are compressed already
    except OSError as error:
        advice = "make room on the disk" if error.errno == errno.ENOSPC else "try again"
        raise SessionLimit(f"the project cannot be saved ({error.strerror}); {advice}.") from error


def unpacked_bytes(path: Path, limits: ProjectLimits) -> int:
    """What a project file unpacks to at most, as its own list of contents says: more never comes out of it.

    Raises:
        ProjectError: it is not a project file, is damaged, or unpacks to too much.
    """
    with _opened(path) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        clip = sum(size for name, size in sizes.items() if name not in _NEEDED)
        for what, size, most in (
            (HEADER, sizes[HEADER], _LARGEST_HEADER),
            (_COMMANDS, sizes[_COMMANDS], limits.log_bytes),
            (_MASKS, sizes[_MASKS], limits.masks_bytes),
            ("the clip", clip, limits.media_bytes),
        ):
            if size > most:
                raise ProjectError(f"{what} in this project file unpacks to more than {most / 1e6:g} MB.")
        return sum(sizes.values())


def unpack_project(path: Path, folder: Path, limits: ProjectLimits) -> Header:
    """Unpack a project file into an empty folder; what is in the files, :class:`Store` checks when it reads them.

    Nothing in the archive chooses a path: members are looked up by the names that a project has, pictures by numbers.

    Raises:
        ProjectError: it is not a project file, is damaged, or unpacks to too much.
        SessionLimit: the disk does not take it.
    """
    unpacked_bytes(path, limits)
    with _opened(path) as archive:
        header = Header.parse(archive.read(HEADER).decode("utf-8", "replace"))
        header = replace(header, media=None, generation=0)
        names = {_COMMANDS: header.commands_file, _MASKS: header.masks_file}
        for member in archive.namelist():
            if member != HEADER:
                target = folder / names.get(member, member)
                target.parent.mkdir(exist_ok=True)
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, _CHUNK)
    header.write(folder)
    return header


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, which has what a project has and nothing else."""
    try:
        with ModestFile(path, 2 * _CHUNK) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            pictures = [name for name in names if _PICTURE.fullmatch(name)]
            allowed = {*_NEEDED, MEDIA, *pictures}
            if len(names) != len(set(names)) or not _NEEDED <= set(names) <= allowed or (pictures and MEDIA in names):
                raise ProjectError("this is not a project file of this program; choose one that was saved here.")
            yield archive
    except ProjectError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise SessionLimit("the disk has no room for this project at the moment; try again later.") from error
        raise ProjectError("this project file cannot be read; it is damaged or not one of this program's.") from error


_NEEDED = {HEADER, _COMMANDS, _MASKS}


def _media_members(media: Path) -> Iterator[tuple[Path, str]]:
    """Files with their names in a project."""
    if media.is_file():
        yield media, MEDIA
    else:
        for place, picture in enumerate(pictures_in(media)):
            yield picture, f"{MEDIA}/{place:05d}{picture.suffix.lower()}"
