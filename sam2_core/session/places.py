"""The folders of all sessions on the disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from sam2_core.errors import SessionLimit
from sam2_core.session.folder_lock import FolderLock
from sam2_core.session.header import HEADER

_FOLDER = re.compile(r"[0-9a-f]{32}")


class Places:
    """One folder for each session, found by its token.

    A folder's name is a digest of the token: what a visitor sends never becomes a path, and who can list the folders
    cannot enter a session. Whatever else lies in the root is somebody's and is never deleted.

    Args:
        root: made if it is not there, for this user of the machine and this process alone.

    Raises:
        SessionLimit: another process has it.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = root
        self._lock = FolderLock(root)

    def make(self, token: str) -> Path:
        """A new folder, for this user of the machine alone."""
        folder = self._folder(token)
        folder.mkdir(mode=0o700)
        return folder

    def find(self, token: str) -> Path | None:
        """The folder of a session that is there."""
        folder = self._folder(token)
        return folder if (folder / HEADER).is_file() else None

    def delete(self, token: str) -> None:
        """Delete a session's folder; nothing happens where there is none."""
        shutil.rmtree(self._folder(token), ignore_errors=True)

    def delete_all(self) -> None:
        """Delete the root with all that is in it."""
        self.release()
        shutil.rmtree(self._root, ignore_errors=True)

    def release(self) -> None:
        """Let another process have the root; nothing may be done here after that."""
        self._lock.release()

    def delete_older(self, seconds: float, keep: Iterable[str]) -> None:
        """Delete sessions that nothing was written to for so long, except those with the tokens ``keep``."""
        for age, folder in self._resting(keep):
            if age > seconds:
                shutil.rmtree(folder, ignore_errors=True)

    def make_room(self, nbytes: int, most_bytes: int, keep: Iterable[str]) -> None:
        """Delete sessions that have rested longest until so much more fits.

        Raises:
            SessionLimit: it does not fit beside those that are in use.
        """
        resting = self._resting(keep)
        while (size_of(self._root) + nbytes) > most_bytes:
            if not resting:
                raise SessionLimit("there is no room for more clips at the moment; try again in a few minutes.")
            shutil.rmtree(resting.pop(0)[1], ignore_errors=True)

    def _resting(self, keep: Iterable[str]) -> list[tuple[float, Path]]:
        """Age in seconds and folder of all others, the oldest first."""
        kept = {self._folder(token) for token in tuple(keep)}
        others = [each for each in self._root.iterdir() if _FOLDER.fullmatch(each.name) and each not in kept]
        return sorted(((time.time() - _written(folder), folder) for folder in others), reverse=True)

    def _folder(self, token: str) -> Path:
        return self._root / hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:32]


def _written(folder: Path) -> float:
    try:
        return max((entry.stat().st_mtime for entry in os.scandir(folder)), default=folder.stat().st_mtime)
    except FileNotFoundError:  # somebody else has just deleted it
        return time.time()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder, which others may be deleting."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(folder) / name).stat().st_size
    return total


def delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; nothing happens where there is none."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
