"""The messages between canvas and host, as ``docs/protocol.md`` describes them; the only JSON above the session.

What a browser sends is arbitrary: :func:`parse` gives a request or raises. What the host sends is made of numbers,
bytes and names, which the canvas shows as text and never as HTML. Bytes, such as run lengths, travel as a host can:
in base64 within a text (:func:`to_json`), or beside the message as buffers (:func:`with_buffers`).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import numpy as np

from sam2_core.errors import ProtocolError
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import ObjectMask
from sam2_core.rle import Rle
from sam2_core.session import JobStatus, Progress
from sam2_core.session.commands import (
    AddPoint,
    Choose,
    ClearFrame,
    Command,
    EditObject,
    LockFrame,
    PromptKind,
    Redo,
    RemoveObject,
    RemovePrompt,
    SetBox,
    SetMask,
    Track,
    Undo,
)
from sam2_core.session.document import ObjectState
from sam2_core.tracking.policies import Direction
from widgets.fields import Fields

VERSION = 1
_LONGEST_MASK = 8_000_000
"""Characters of a mask in base64."""
_MOST_FRAMES = 64
"""Frames that one ``masks`` message may ask for."""

Message: TypeAlias = dict[str, Any]


# From the canvas ------------------------------------------------------------------------------------------------------


class Ask(Enum):
    """Requests that need no more words."""

    HELLO = "hello"
    SYNC = "sync"
    ADD_OBJECT = "add_object"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Hover:
    """What would a click give?"""

    object_id: int
    frame_index: int
    point: Point


@dataclass(frozen=True, slots=True)
class ShowMasks:
    """The masks of frames ``first`` to ``last``, please."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ShowCandidates:
    """The masks that a single click may have meant, please."""

    object_id: int
    frame_index: int


@dataclass(frozen=True, slots=True)
class ShowFrame:
    """The picture, please."""

    frame_index: int


Look: TypeAlias = Hover | ShowMasks | ShowCandidates | ShowFrame
"""Requests that change nothing."""
Request: TypeAlias = Ask | Look | Command


def parse(message: object, width: int, height: int) -> Request:
    """What a message asks for.

    Args:
        message: from a browser.
        width: of the clip, which painted masks must have.
        height: of the clip.

    Raises:
        ProtocolError: it is no message of this protocol.
        PromptError: it is one, but its numbers make no sense.
    """
    said = Fields(message)
    if said.whole("v") != VERSION:
        raise ProtocolError("this page is older than the program behind it; reload the page.")
    op = said.text("op")
    if op in _ASKS:
        return _ASKS[op]
    if op == "mask":
        return SetMask(*said.here(), _mask(said.text("rle", _LONGEST_MASK), width, height))
    if op not in _PARSERS:
        raise ProtocolError(f"there is no message {op[:40]!r}; reload the page.")
    return _PARSERS[op](said)


def reply_number(message: object) -> int | None:
    """The number that an answer to this message carries, if it has one."""
    rid = message.get("rid") if isinstance(message, Mapping) else None
    return rid if type(rid) is int else None


def known_revision(message: object) -> int | None:
    """Of the session, as the canvas that sent this message knows it; ``None`` where it knows nothing yet."""
    revision = message.get("rev") if isinstance(message, Mapping) else None
    return revision if type(revision) is int else None


def parse_pick(message: object) -> int:
    """Which of some buttons was pressed: ``{"pick": "3"}``, a text, as HTML attributes give it.

    Raises:
        ProtocolError: it does not say.
    """
    text = message.get("pick") if isinstance(message, Mapping) else None
    if not isinstance(text, str) or len(text) > 6 or not text.isdecimal():
        raise ProtocolError("a message does not say which button was pressed; reload the page.")
    return int(text)


def _edit(said: Fields) -> EditObject:
    colour = said.maybe_text("color")
    return EditObject(
        said.whole("obj"),
        said.maybe_text("name"),
        colour.lower() if colour else None,
        said.maybe_flag("hidden"),
        said.maybe_flag("locked"),
    )


def _masks(said: Fields) -> ShowMasks:
    first = said.whole("first")
    return ShowMasks(first, min(said.whole("last"), first + _MOST_FRAMES - 1))


_ASKS = {ask.value: ask for ask in Ask}
_PARSERS: dict[str, Callable[[Fields], Request]] = {
    "click": lambda said: AddPoint(*said.here(), said.point()),
    "box": lambda said: SetBox(*said.here(), Box(*(said.number(name) for name in ("x0", "y0", "x1", "y1")))),
    "choose": lambda said: Choose(*said.here(), said.whole("candidate") - 1),
    "remove_prompt": lambda said: RemovePrompt(*said.here(), said.choice(PromptKind, "kind"), said.whole("index", 0)),
    "clear": lambda said: ClearFrame(*said.here()),
    "lock_frame": lambda said: LockFrame(*said.here(), said.flag("locked")),
    "edit_object": _edit,
    "remove_object": lambda said: RemoveObject(said.whole("obj")),
    "track": lambda said: Track(
        said.choice(Direction, "direction"), said.optional("first"), said.optional("last"), said.ids("objects")
    ),
    "undo": lambda _: Undo(),
    "redo": lambda _: Redo(),
    "hover": lambda said: Hover(*said.here(), said.point()),
    "masks": _masks,
    "candidates": lambda said: ShowCandidates(*said.here()),
    "frame": lambda said: ShowFrame(said.whole("frame")),
}


def _mask(text: str, width: int, height: int) -> Rle:
    try:
        return Rle(height, width, base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise ProtocolError(f"a painted mask does not fit the frame of {width} x {height} pixels.") from error


# From the host --------------------------------------------------------------------------------------------------------


def to_json(value: object) -> str:
    """Messages, or something around them, as a text; bytes are in base64."""
    return json.dumps(value, default=_in_base64, separators=(",", ":"), allow_nan=False)


def with_buffers(message: Message) -> tuple[Message, list[bytes]]:
    """A message and its bytes: for a field ``rle`` there is ``rle_buffer``, its place among the buffers."""
    buffers: list[bytes] = []

    def lifted(value: Any) -> Any:
        if isinstance(value, dict):
            return dict(placed(name, each) for name, each in value.items())
        return [lifted(each) for each in value] if isinstance(value, list) else value

    def placed(name: str, value: Any) -> tuple[str, Any]:
        if not isinstance(value, bytes):
            return name, lifted(value)
        buffers.append(value)
        return f"{name}_buffer", len(buffers) - 1

    return lifted(message), buffers


def numbered(messages: Sequence[Message], rid: int | None = None) -> list[Message]:
    """Messages as they travel: in the protocol's version, and with the number of the question that they answer."""
    return [{"v": VERSION, **({} if rid is None else {"rid": rid}), **each} for each in messages]


def result_message(frame_index: int, masks: Sequence[ObjectMask]) -> Message:
    """All objects' masks on a frame."""
    return {
        "op": "results",
        "frame": frame_index,
        "masks": [
            {
                "obj": m.object_id,
                "rle": m.mask.data,
                "iou": _short(m.predicted_iou),
                "score": _short(m.object_score),
            }
            for m in masks
        ],
    }


def candidates_message(object_id: int, frame_index: int, masks: Sequence[ObjectMask], chosen: int | None) -> Message:
    """The masks that a click may have meant; ``chosen`` counts from 0."""
    return {
        "op": "candidates",
        "frame": frame_index,
        "obj": object_id,
        "chosen": 0 if chosen is None else chosen + 1,
        "masks": [{"rle": mask.mask.data, "iou": _short(mask.predicted_iou)} for mask in masks],
    }


def hover_message(frame_index: int, mask: ObjectMask) -> Message:
    """What a click would give."""
    return {
        "op": "hover",
        "frame": frame_index,
        "obj": mask.object_id,
        "rle": mask.mask.data,
        "iou": _short(mask.predicted_iou),
    }


def frame_message(frame_index: int, jpeg: bytes) -> Message:
    """A frame's picture."""
    return {"op": "frame", "frame": frame_index, "jpeg": jpeg}


def progress_message(progress: Progress) -> Message:
    """How far tracking is."""
    return {
        "op": "progress",
        "done": progress.done,
        "total": progress.total,
        "frame": progress.frame_index,
        "seconds": round(progress.seconds, 2),
        "eta": None if progress.eta is None else round(progress.eta, 2),
        "paused": progress.status is JobStatus.PAUSED,
    }


def done_message(progress: Progress) -> Message:
    """How tracking ended."""
    return {
        "op": "done",
        "status": progress.status.value,
        **({"message": progress.message} if progress.message else {}),
    }


def error_message(error: Exception) -> Message:
    """One sentence for the user."""
    text = str(error)
    first, space, rest = text.partition(" ")
    return {
        "op": "error",
        "code": type(error).__name__,
        "message": (first.capitalize() if first.isalpha() else first) + space + rest,
    }


def object_fields(state: ObjectState) -> Message:
    """An object as the canvas lists it."""
    return {
        "obj": state.object_id,
        "name": state.name,
        "color": state.colour,
        "hidden": state.hidden,
        "locked": state.locked,
    }


def prompt_fields(object_id: int, frame_index: int, prompt: Prompt) -> Message:
    """All that was said about an object on a frame."""
    box = prompt.box
    return {
        "obj": object_id,
        "frame": frame_index,
        "points": [[point.x, point.y, point.positive] for point in prompt.points],
        "box": [box.x0, box.y0, box.x1, box.y1] if box else None,
        "mask": prompt.mask is not None,
        "candidate": 0 if prompt.candidate is None else prompt.candidate + 1,
    }


def stretches(frames: Collection[int]) -> list[tuple[int, int]]:
    """The first and the last of each of the gapless stretches that frames make."""
    firsts = (frame for frame in sorted(frames) if frame - 1 not in frames)
    lasts = (frame for frame in sorted(frames) if frame + 1 not in frames)
    return list(zip(firsts, lasts, strict=True))


def score_fields(object_id: int, masklet: Mapping[int, ObjectMask], frames: range) -> Message:
    """An object's scores on some frames, and the part of the frame that its masks cover."""
    masked = [frame for frame in frames if frame in masklet]
    values = np.full((3, len(frames)), np.nan, dtype="<f4")
    places = np.array(masked, dtype=np.int64) - frames.start
    masks = [masklet[frame] for frame in masked]
    values[0, places] = [mask.predicted_iou for mask in masks]
    values[1, places] = [mask.object_score for mask in masks]
    values[2, places] = [mask.mask.area / (mask.mask.height * mask.mask.width) for mask in masks]
    iou, score, area = (_in_base64(row.tobytes()) for row in values)
    return {"obj": object_id, "first": frames.start, "iou": iou, "score": score, "area": area}


def _in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _short(value: float) -> float:
    return round(float(value), 4)
