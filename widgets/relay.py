"""Between one session and all canvases that show it: what any of them, or code, does is told to all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from sam2_core.errors import Sam2Error
from sam2_core.session import Job, Session
from sam2_core.session.commands import Command
from widgets.conversation import Conversation
from widgets.protocol import Look, Message, Request, error_message, known_revision, numbered, reply_number, with_buffers

_log = logging.getLogger(__name__)
_QUIET_SECONDS = 0.5
"""After so long without news, things count as settled."""
_PACE_SECONDS = 0.04
"""Between two deliveries of news: more often than a screen needs is not worth a message."""


class Relay:
    """Answers canvases, and tells them what happened without their asking, from a thread of its own.

    Handlers of messages may come in any thread: JupyterLab gives a widget a thread beside the one of the cells, other
    front ends do not. So nothing here waits for tracking, and what changes the session is done one at a time.

    Args:
        session: what the canvases show.
        send: takes a message and its buffers to all canvases; from any thread.
        changed: called after news were told.
        settled: called some time after the last of them, when nothing else goes on.
    """

    def __init__(
        self,
        session: Session,
        send: Callable[[Message, list[bytes]], None],
        changed: Callable[[], None],
        settled: Callable[[], None],
    ) -> None:
        self._session = session
        self._conversation = Conversation(session)
        self._send_one = send
        self._changed = changed
        self._settled = settled
        self._lock = threading.RLock()
        self._seen = session.revision  # up to here the frames that changed were told,
        self._told = session.revision  # and up to here the state
        self._ended: Job | None = session.job  # tracking whose end was told
        self._unsettled = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="canvas news", daemon=True)
        self._thread.start()

    def hear(self, message: object) -> None:
        """Answer a canvas; what is wrong with its message is told in a message."""
        rid = reply_number(message)
        try:
            request = self._conversation.understand(message)
            if isinstance(request, Look):  # which waits for nobody
                self._send(self._conversation.perform(request), rid)
            else:
                self._perform(request, rid, known_revision(message))
        except Sam2Error as error:
            self._send([error_message(error)], rid)

    def say(self, command: Command) -> None:
        """Do what code asks for, and tell all canvases; raises as :meth:`Session.do` does."""
        self._perform(command, None, self._told)

    def catch_up(self) -> None:
        """Tell what is new, now."""
        with self._lock:
            self._tell_news()
        self._changed()

    def settle(self) -> None:
        """Let things count as settled now, where they have not been since, and where no tracking goes on."""
        if self._unsettled and not self._session.tracking:
            self._unsettled = False
            self._settled()

    def unsettle(self) -> None:
        """Something is new that the session knows nothing of."""
        self._unsettled = True

    def close(self) -> None:
        """Tell nothing any more."""
        self._closing.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _perform(self, request: Request, rid: int | None, known: int | None) -> None:
        with self._lock:
            self._tell_news()
            self._send(self._conversation.perform(request, known), rid)
        self._unsettled = True
        self._changed()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._look()
            except Exception:  # an observer's mistake must not end the news
                _log.exception("news could not be told")
            self._closing.wait(_PACE_SECONDS)

    def _look(self) -> None:
        seen = self._seen
        if self._session.news.wait(seen, _QUIET_SECONDS) != seen:
            self._unsettled = True
            self.catch_up()
        else:
            self.settle()

    def _tell_news(self) -> None:
        session, conversation, seen = self._session, self._conversation, self._seen
        self._seen, job = session.revision, session.job  # in this order: what comes in between is told again
        if self._seen == seen:
            return
        if job is not None and job is not self._ended:
            progress = job.progress
            if progress.status.over:
                self._ended = job
            elif progress.frame_index is not None:  # a canvas that goes along need not ask, and wait, for the picture
                self._send([conversation.frame(progress.frame_index)])
            self._send(conversation.tracked(progress, seen))
        elif self._seen > self._told:
            self._send([*conversation.masks(session.news.frames_since(seen)), conversation.state(self._told)])

    def _send(self, messages: Iterable[Message], rid: int | None = None) -> None:
        for message in numbered([*messages], rid):
            self._send_one(*with_buffers(message))
            if message["op"] == "state":
                self._told = message["rev"]
