"""One canvas and one session in conversation: a message comes in, messages go back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sam2_core.config import POCKET
from sam2_core.errors import ProtocolError, Sam2Error
from sam2_core.session import Job, Session
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
    hover_message,
    known_revision,
    object_fields,
    parse,
    progress_message,
    prompt_fields,
    reply_number,
    result_message,
    score_fields,
)

_LOOK_SECONDS = 0.5
"""How long a stream waits for news before it looks whether anyone still listens."""
_JOB_VERBS = {Ask.PAUSE: Job.pause, Ask.RESUME: Job.resume, Ask.CANCEL: Job.cancel}
_POCKET_NOTE = "pocket, a small model of our own and not SAM 2.1: quick, with rough borders."


class Conversation:
    """Answers the messages of a canvas; keeps nothing, so that any number of them can talk about one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def answer(self, message: object) -> Iterator[list[Message]]:
        """Messages for the canvas, some at a time; while tracking goes on, until its end.

        What is wrong with a message is told in a message: nothing is raised but what nobody expects.
        """
        rid, known, session = reply_number(message), known_revision(message), self._session
        seen, tracking = session.revision, session.tracking
        try:
            request = parse(message, session.video.width, session.video.height)
            for batch in self._answers(request, known):
                yield [{"v": 1, **({} if rid is None else {"rid": rid}), **each} for each in batch]
            joins = request in (Ask.HELLO, Ask.SYNC) and (tracking or session.tracking)
            if joins or isinstance(request, Track):
                yield from self._follow(seen)
        except Sam2Error as error:
            yield [{"v": 1, "rid": rid, **error_message(error)}]

    def _follow(self, seen: int) -> Iterator[list[Message]]:
        """News of tracking since a revision, as they come, and its end, though that may have been before this began."""
        session, job = self._session, self._session.job
        while job is not None:
            now = session.news.wait(seen, _LOOK_SECONDS)
            progress, frames = job.progress, session.news.frames_since(seen)
            seen = now
            document = session.document
            batch = [result_message(frame, document.result(frame).objects) for frame in frames]
            if progress.status.over:
                yield [{"v": 1, **each} for each in (*batch, done_message(progress), self.state())]
                return
            if progress.frame_index is not None:
                batch.append(progress_message(progress))
            yield [{"v": 1, **each} for each in batch]

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
            "job": progress_message(job.progress) if job is not None and not job.over else None,
            "can_undo": session.can_undo,
            "can_redo": session.can_redo,
        }

    def _scores(self, objects: Sequence[ObjectState], since: int | None) -> list[Message]:
        """On all frames with a mask, or on those from the first to the last whose masks changed since a revision."""
        if since is None:
            spans = ((state, (min(state.masklet), max(state.masklet))) for state in objects if state.masklet)
        else:
            changed = self._session.news.frames_since(since)
            spans = ((state, (changed[0], changed[-1])) for state in objects if changed)
        return [score_fields(state.object_id, state.masklet, range(first, last + 1)) for state, (first, last) in spans]

    def _answers(self, request: Request, known: int | None) -> Iterator[list[Message]]:
        session = self._session
        match request:
            case Hover(object_id, frame_index, point):
                yield [hover_message(frame_index, session.preview(object_id, frame_index, point))]
            case ShowMasks(first, last):
                session.playhead = first
                yield [
                    result_message(frame, session.document.result(frame).objects)
                    for frame in range(max(first, 0), min(last, len(session.video) - 1) + 1)
                ]
            case ShowCandidates(object_id, frame_index):
                prompt = session.document.prompts(frame_index).get(object_id)
                masks = session.candidates(object_id, frame_index)
                yield [candidates_message(object_id, frame_index, masks, prompt.candidate if prompt else None)]
            case ShowFrame():
                raise ProtocolError("this page has addresses for its frames; reload the page.")
            case Ask():
                self._do(request)
                yield [self.state(known)]
            case _:
                session.do(request)
                frame = getattr(request, "frame_index", None)
                shown = [] if frame is None else [result_message(frame, session.document.result(frame).objects)]
                yield [*shown, self.state(known)]

    def _do(self, request: Ask) -> None:
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
    "job": None,
    "can_undo": False,
    "can_redo": False,
}
"""The state of a canvas that shows nothing yet."""
