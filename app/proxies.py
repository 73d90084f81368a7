"""Clips as browsers like to play them: H.264, upright, at a constant rate, so that a time is a frame."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from app.background import Background
from sam2_core.errors import VideoError
from sam2_core.media import open_video, write_proxy
from sam2_core.session import Session


class Proxies:
    """Makes a clip's proxy when it is first asked for, in the session's own folder; one at a time, they are hard work.

    All calls come from one event loop.
    """

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._making: dict[str, asyncio.Future[None]] = {}

    async def of(self, session: Session) -> Path:
        """The file; whoever asks while it is being made waits for it, and keeps no thread busy meanwhile.

        Raises:
            VideoError: the clip cannot be read.
            Sam2Error: the file cannot be written.
        """
        path, token = session.folder / "proxy.mp4", session.token
        if not path.exists():
            if token not in self._making:
                making = asyncio.ensure_future(Background(lambda _: self._make(session.media, path)).finished())
                making.add_done_callback(lambda _: self._making.pop(token, None))
                self._making[token] = making
            await asyncio.shield(self._making[token])  # one who goes away ends it for nobody else
        return path

    def _make(self, media: Path | None, path: Path) -> None:
        if media is None:
            raise VideoError("the clip is not on the disk any more; open it again.")
        with self._one_at_a_time, open_video(media) as video:  # its own, for two readers would disturb each other
            write_proxy(video, path)
