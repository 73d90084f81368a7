"""Many files as one: zips out, and zips or folders in from anyone. Nothing is ever unpacked to disk."""

from __future__ import annotations

import contextlib
import functools
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from PIL import Image

from sam2_core.errors import PromptError
from sam2_core.media import replacing

Members: TypeAlias = Mapping[PurePosixPath, Callable[[], bytes]]
"""Name of a file in an archive or folder -> its content, when called."""

_LARGEST_ARCHIVE = 256 * 1024 * 1024  # bytes
_LARGEST_LIST = 32 * 1024 * 1024  # bytes: some hundred for each file
_MOST_MEMBERS = 200_000
_LARGEST_MEMBER = 32 * 1024 * 1024  # bytes, unpacked


@contextlib.contextmanager
def writing_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip that appears when the block ends well. What goes into it should be compressed already."""
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        yield archive


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


@contextlib.contextmanager
def open_members(path: Path) -> Iterator[Members]:
    """The files in a zip or a folder, which are read while the block lasts.

    Raises:
        PromptError: there are too many or too large ones, names that lead out of the archive, or damage.
    """
    if path.is_dir():
        yield _folder(path)
        return
    if path.stat().st_size > _LARGEST_ARCHIVE:
        raise PromptError(f"{path.name!r} has more than {_LARGEST_ARCHIVE >> 20} MiB; split it by frames.")
    with contextlib.ExitStack() as opened:
        with _damage(path.name):
            archive = opened.enter_context(zipfile.ZipFile(opened.enter_context(ModestFile(path, _LARGEST_LIST))))
            members = _zip(path.name, archive)
        yield members


@contextlib.contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except PromptError:
        raise
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise PromptError(f"{name!r} cannot be read ({reason}); pack it again, without a password.") from error


class ModestFile(io.FileIO):
    """A file that is read in small parts, because zipfile reads a zip's whole list of contents before one can count.

    Args:
        path: of a zip.
        largest_list: bytes that its list of contents may have.
    """

    def __init__(self, path: Path, largest_list: int) -> None:
        super().__init__(path)
        self._largest_list = largest_list

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file does, but no more than a plausible list at a time.

        Raises:
            PromptError: more is asked for.
        """
        if size is not None and size > self._largest_list:
            raise PromptError("the zip's list of contents is far too long; split it by frames.")
        return super().read(size) or b""


def _folder(path: Path) -> Members:
    members: dict[PurePosixPath, Callable[[], bytes]] = {}
    for each in sorted(path.rglob("*")):
        place = PurePosixPath(each.relative_to(path).as_posix())
        if each.is_file() and _wanted(place):
            _check_size(place, each.stat().st_size)
            members[place] = functools.partial(_read, path.name, each.read_bytes)
    return members


def _zip(name: str, archive: zipfile.ZipFile) -> Members:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _MOST_MEMBERS:
        raise PromptError(f"{name!r} holds more than {_MOST_MEMBERS:,} files; split it by frames.")
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for entry in entries:
        place = PurePosixPath(entry.filename)
        if place.is_absolute() or ".." in place.parts or "\\" in entry.filename:
            raise PromptError(f"{name!r} holds a file whose name leads out of it; pack it again.")
        if place in members:
            raise PromptError(f"{name!r} holds {str(place)[:80]!r} twice; keep one of them.")
        _check_size(place, entry.file_size)
        members[place] = entry
    # zipfile unpacks no more bytes than an entry claims to have.
    return {
        place: functools.partial(_read, name, functools.partial(archive.read, entry))
        for place, entry in members.items()
        if _wanted(place)
    }


def _read(name: str, read: Callable[[], bytes]) -> bytes:
    with _damage(name):
        return read()


def _check_size(place: PurePosixPath, size: int) -> None:
    if size > _LARGEST_MEMBER:
        raise PromptError(
            f"{str(place)[:80]!r} has {size >> 20} MiB; one file of masks may have {_LARGEST_MEMBER >> 20} MiB at most."
        )


def _wanted(place: PurePosixPath) -> bool:
    """Whether a file is somebody's, and not the operating system's."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in place.parts)
