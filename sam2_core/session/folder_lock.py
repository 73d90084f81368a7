"""One process at a time for a folder of sessions: two would write the same logs."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from sam2_core.errors import SessionLimit

_NAME = ".lock"


class FolderLock:
    """Held until it is released, or until the process is gone, however it ended: the operating system holds it.

    Args:
        folder: which is there.

    Raises:
        SessionLimit: someone else holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / _NAME, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise SessionLimit(
                f"another program works in {str(folder)!r} already; end it, or choose another folder for your sessions."
            ) from error

    def release(self) -> None:
        """Let others in."""
        self._lock.release()
