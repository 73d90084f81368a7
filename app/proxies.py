"""Clips as browsers like to play them: H.264, upright, at a constant rate, so that a time is a frame."""

from __future__ import annotations

import threading
from pathlib import Path

from sam2_core.media import write_proxy
from sam2_core.session import Session


class Proxies:
    """Makes a clip's proxy when it is first asked for, in the session's own folder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}

    def of(self, session: Session) -> Path:
        """The file; waits while it is being made.

        Raises:
            VideoError: the clip cannot be read, or the disk is full.
        """
        path = session.folder / "proxy.mp4"
        with self._lock:
            mine = self._making.setdefault(session.token, threading.Lock())
        with mine:
            if not path.exists():
                write_proxy(session.video, path)
        with self._lock:
            self._making.pop(session.token, None)
        return path
