"""Work for idle moments: frames around the playhead are encoded before anyone asks for them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sam2_core.session.session import Session

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.25


class IdleEncoder:
    """A thread that encodes one frame at a time for the session used last, and only while nobody wants the device.

    Args:
        used_last: which session that is.
    """

    def __init__(self, used_last: Callable[[], Session | None]) -> None:
        self._used_last = used_last
        self._stopping = threading.Event()
        threading.Thread(target=self._run, name="idle encoder", daemon=True).start()

    def stop(self) -> None:
        """End after the frame in work."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                session = self._used_last()
                worked = session is not None and session.encode_ahead()
            except Exception:  # nobody asked for this frame, so nobody need hear of it now
                _log.debug("a frame could not be encoded ahead", exc_info=True)
                worked = False
            if not worked:
                self._stopping.wait(_LOOK_SECONDS)
