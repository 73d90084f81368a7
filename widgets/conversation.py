"""One canvas and one session in conversation: a message comes in, messages go back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sam2_core.config import POCKET
from sam2_core.errors import Sam2Error
from sam2_core.media import encode_jpeg
from sam2_core.session import Job, Progress, Session
from sam2_core.session.commands import AddObject, Track
from sam2_core.session.document import ObjectState
from widgets.protocol import (
    Ask,
    Hover,
    Message,
    Request,
    ShowCandidates,
    ShowFrame,
    ShowMasks,
    candidates_message,
    done_message,
    error_message,
    frame_message,
    hover_message,
    known_revision,
    numbered,
    object_fields,
    parse,
    progress_message,
    prompt_fields,
    reply_number,
    result_message,
    score_fields,
    stretches,
)

_LOOK_SECONDS = 0.5
"""How long a stream waits for news before it looks whether anyone still listens."""
_JOB_VERBS = {Ask.PAUSE: Job.pause, Ask.RESUME: Job.resume, Ask.CANCEL: Job.cancel}
_POCKET_NOTE = "pocket, not SAM 2.1: a small model of our own, quick, with rough borders."


class Conversation:
    """Answers the messages of a canvas; keeps nothing, so that any number of them can talk about one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def answer(self, message: object) -> Iterator[list[Message]]:
        """Messages for the canvas, some at a time; while tracking goes on, until its end.

        What is wrong with a message is told in a message: nothing is raised but what nobody expects.
        """
        rid, session = reply_number(message), self._session
        seen, tracking = session.revision, session.tracking
        try:
            request = self.understand(message)
            yield numbered(self.perform(request, known_revision(message)), rid)
            joins = request in (Ask.HELLO, Ask.SYNC) and (tracking or session.tracking)
            if joins or isinstance(request, Track):
                yield from self._follow(seen)
        except Sam2Error as error:
            yield numbered([error_message(error)], rid)

    def understand(self, message: object) -> Request:
        """What a message asks for; raises as :func:`widgets.protocol.parse` does."""
        return parse(message, self._session.video.width, self._session.video.height)

    def perform(self, request: Request, known: int | None = None) -> list[Message]:
        """Do what is asked for, without waiting for the end of tracking, and say what came of it.

        Args:
            request: what is asked for.
            known: the revision that is known to whoever asks.

        Raises:
            Sam2Error: it cannot be done; nothing has changed.
        """
        session = self._session
        match request:
            case Hover(object_id, frame_index, point):
                return [hover_message(frame_index, session.preview(object_id, frame_index, point))]
            case ShowMasks(first, last):
                session.playhead = first
                return self.masks(range(max(first, 0), min(last, len(session.video) - 1) + 1))
            case ShowCandidates(object_id, frame_index):
                prompt = session.document.prompts(frame_index).get(object_id)
                masks = session.candidates(object_id, frame_index)
                return [candidates_message(object_id, frame_index, masks, prompt.candidate if prompt else None)]
            case ShowFrame(frame_index):
                return [self.frame(frame_index)]
            case Ask():
                self._ask(request)
                return [self.state(known)]
            case _:
                session.do(request)
                frame = getattr(request, "frame_index", None)
                return [*self.masks(() if frame is None else (frame,)), self.state(known)]

    def tracked(self, progress: Progress, seen: int) -> list[Message]:
        """What tracking brought since a revision, and how far it is or how it ended."""
        messages = self.masks(self._session.news.frames_since(seen))
        if progress.status.over:
            return [*messages, done_message(progress), self.state()]
        return [*messages, progress_message(progress)] if progress.frame_index is not None else messages

    def masks(self, frames: Iterable[int]) -> list[Message]:
        """The masks of some frames."""
        document = self._session.document
        return [result_message(frame, document.result(frame).objects) for frame in frames]

    def frame(self, frame_index: int) -> Message:
        """The picture of a frame, for a canvas that has no addresses to fetch it from."""
        return frame_message(frame_index, encode_jpeg(self._session.video[frame_index]))

    def state(self, known: int | None = None) -> Message:
        """All that a canvas must know, masks excepted, which it asks for when it needs them.

        Args:
            known: the revision that the canvas knows: of scores, it is told those that changed since, and not all.
        """
        session = self._session
        revision = session.revision  # first: what is told may be newer than its number, and never older
        since = None if known is None or known > revision else known  # of a server that was started anew, it knows none
        document = session.document
        objects = tuple(document.objects.values())
        video, job = session.video, session.job
        return {
            "op": "state",
            "rev": revision,
            "token": session.token,
            "clip": {
                "name": video.name,
                "width": video.width,
                "height": video.height,
                "frames": len(video),
                "rate": video.fps,
                "still": video.is_image,
                "notice": video.notice,
            },
            "model": {
                "name": session.model_name,
                "note": _POCKET_NOTE if session.model_name == POCKET.name else "",
            },
            "objects": [object_fields(state) for state in objects],
            "prompts": [
                prompt_fields(state.object_id, frame, prompt)
                for state in objects
                for frame, prompt in sorted(state.prompts.items())
            ],
            "scores": self._scores(objects, since),
            "scores_since": since,
            "locked_frames": [[state.object_id, frame] for state in objects for frame in sorted(state.locked_frames)],
            "outdated": [[s.object_id, *ends] for s in objects for ends in stretches(s.outdated)],
            "job": progress_message(job.progress) if job is not None and not job.over else None,
            "can_undo": session.can_undo,
            "can_redo": session.can_redo,
        }

    def _follow(self, seen: int) -> Iterator[list[Message]]:
        """News of tracking since a revision, as they come, and its end, though that may have been before this began."""
        session, job = self._session, self._session.job
        while job is not None:
            now, progress = session.news.wait(seen, _LOOK_SECONDS), job.progress
            yield numbered(self.tracked(progress, seen))
            if progress.status.over:
                return
            seen = now

    def _scores(self, objects: Sequence[ObjectState], since: int | None) -> list[Message]:
        """On all frames with a mask, or on those from the first to the last whose masks changed since a revision."""
        if since is None:
            spans = ((state, (min(state.masklet), max(state.masklet))) for state in objects if state.masklet)
        else:
            changed = self._session.news.frames_since(since)
            spans = ((state, (changed[0], changed[-1])) for state in objects if changed)
        return [score_fields(state.object_id, state.masklet, range(first, last + 1)) for state, (first, last) in spans]

    def _ask(self, request: Ask) -> None:
        session, job = self._session, self._session.job
        if request is Ask.ADD_OBJECT:
            session.do(AddObject(session.document.next_object_id))
        elif job is not None and request in _JOB_VERBS:
            _JOB_VERBS[request](job)


NO_SESSION: Message = {
    "v": 1,
    "op": "state",
    "token": "",
    "clip": None,
    "objects": [],
    "prompts": [],
    "scores": [],
    "scores_since": None,
    "locked_frames": [],
    "outdated": [],
    "job": None,
    "can_undo": False,
    "can_redo": False,
}
"""The state of a canvas that shows nothing yet."""
