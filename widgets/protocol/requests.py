"""What a canvas says, read: :func:`parse` gives a request or raises, for what a browser sends is arbitrary."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from sam2_core.errors import ProtocolError
from sam2_core.prompts import Box, Point
from sam2_core.rle import Rle
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
from sam2_core.tracking.policies import Direction
from widgets.protocol.fields import Fields

VERSION = 1
_LONGEST_MASK = 8_000_000
"""Characters of a mask in base64."""
_MOST_FRAMES = 64
"""Frames that one ``masks`` message may ask for."""


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
