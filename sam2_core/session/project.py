"""Project files: a session as one zip, to keep, to hand on, and to open again; whoever made it may mean harm.

::

    session.json    commands.jsonl    masks.bin    and, where the clip was put in, media or media/00000.jpg ...
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from sam2_core.errors import ProjectError, SessionLimit
from sam2_core.formats.archive import ModestFile
from sam2_core.media import pictures_in, replacing
from sam2_core.session.header import HEADER, Header
from sam2_core.session.store import Store

MEDIA = "media"
"""Name of a session's own copy of the clip."""
_COMMANDS, _MASKS = "commands.jsonl", "masks.bin"
_PICTURE = re.compile(r"media/[0-9]{5,7}\.[a-z]{1,5}", re.ASCII)
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """Bounds on what a project file unpacks to.

    Attributes:
        log_bytes: of commands and masks, each.
        media_bytes: of the clip.
    """

    log_bytes: int = 2 * 10**9
    media_bytes: int = 500 * 10**6


def write_project(store: Store, path: Path, media: Path | None) -> None:
    """Write a session as a project file, whole or not at all.

    Args:
        store: the session's.
        path: the file to write.
        media: the clip to put in, a file or a folder of pictures; ``None`` leaves it out, and whoever opens the project
            needs to have it.

    Raises:
        SessionLimit: the disk does not take it.
    """
    header = replace(store.header, media=None, generation=0)
    try:
        with replacing(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(HEADER, header.to_json())
            archive.write(store.folder / store.header.commands_file, _COMMANDS)
            archive.write(store.folder / store.header.masks_file, _MASKS)
            if media is not None:
                for source, name in _media_members(media):
                    archive.write(source, name, zipfile.ZIP_STORED)  # clips are compressed already
    except OSError as error:
        raise SessionLimit(f"the project cannot be saved ({error.strerror}); make room on the disk.") from error


def unpack_project(path: Path, folder: Path, limits: ProjectLimits) -> Header:
    """Unpack a project file into an empty folder; what is in the files, :class:`Store` checks when it reads them.

    Nothing in the archive chooses a path: members are looked up by the names that a project has, pictures by numbers.

    Raises:
        ProjectError: it is not a project file, is damaged, or unpacks to too much.
    """
    try:
        with ModestFile(path, 2 * _CHUNK) as file, zipfile.ZipFile(file) as archive:
            names = [member.filename for member in archive.infolist()]
            pictures = [name for name in names if _PICTURE.fullmatch(name)]
            allowed = {*_NEEDED, MEDIA, *pictures}
            if len(names) != len(set(names)) or not _NEEDED <= set(names) <= allowed or (pictures and MEDIA in names):
                raise ProjectError("this is not a project file of this program; choose one that was saved here.")
            header = Header.parse(_text(archive))
            header = replace(header, media=None, generation=0)
            _unpack(archive, _COMMANDS, folder / header.commands_file, limits.log_bytes)
            _unpack(archive, _MASKS, folder / header.masks_file, limits.log_bytes)
            if MEDIA in names:
                _unpack(archive, MEDIA, folder / MEDIA, limits.media_bytes)
            left = limits.media_bytes
            for name in pictures:
                (folder / MEDIA).mkdir(exist_ok=True)
                _unpack(archive, name, folder / name, left)
                left -= (folder / name).stat().st_size
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        if isinstance(error, ProjectError):
            raise
        raise ProjectError("this project file cannot be read; it is damaged or not one of this program's.") from error
    header.write(folder)
    return header


_NEEDED = {HEADER, _COMMANDS, _MASKS}


def _media_members(media: Path) -> Iterator[tuple[Path, str]]:
    """Files with their names in a project."""
    if media.is_file():
        yield media, MEDIA
    else:
        for place, picture in enumerate(pictures_in(media)):
            yield picture, f"{MEDIA}/{place:05d}{picture.suffix.lower()}"


def _text(archive: zipfile.ZipFile) -> str:
    with archive.open(HEADER) as file:
        return file.read(100_000).decode("utf-8", "replace")


def _unpack(archive: zipfile.ZipFile, name: str, target: Path, most_bytes: int) -> None:
    with archive.open(name) as source, target.open("wb") as file:
        _copy(source, file, name, most_bytes)


def _copy(source: IO[bytes], target: IO[bytes], name: str, most_bytes: int) -> None:
    """Count what comes out; what the archive says about itself proves nothing."""
    left = most_bytes
    while chunk := source.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise ProjectError(f"{name} in this project file unpacks to more than {most_bytes / 1e6:.0f} MB.")
        target.write(chunk)
