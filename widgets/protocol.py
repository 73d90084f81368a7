"""What a browser may say: arbitrary JSON comes in, and either one of these or a ProtocolError comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sam2_core.errors import ProtocolError
from sam2_core.prompts import Box, Point


@dataclass(frozen=True, slots=True)
class FramePrompt:
    """A click on, or a box around, something on the frame that was shown."""

    frame_index: int
    shape: Point | Box


def parse_prompt(message: object) -> FramePrompt:
    """``{frame, x, y, positive}`` or ``{frame, x0, y0, x1, y1}``, coordinates as fractions of the frame.

    Raises:
        ProtocolError: it is neither.
        PromptError: the coordinates are not in the frame.
    """
    if not isinstance(message, Mapping):
        raise ProtocolError("a message is an object with names and values; reload the page.")
    frame_index = parse_index(message, "frame")
    if "x0" in message:
        return FramePrompt(frame_index, Box(*(_number(message, name) for name in ("x0", "y0", "x1", "y1"))))
    positive = message.get("positive")
    if not isinstance(positive, bool):
        raise ProtocolError("a click says whether it is positive, true or false.")
    return FramePrompt(frame_index, Point(_number(message, "x"), _number(message, "y"), positive))


def parse_index(message: object, name: str) -> int:
    """A whole number, as such or as text, as HTML attributes give it.

    Raises:
        ProtocolError: it is none, or not between -1,000,000 and 1,000,000.
    """
    value = message.get(name) if isinstance(message, Mapping) else None
    if isinstance(value, str) and len(value) <= 8 and value.removeprefix("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1_000_000:
        raise ProtocolError(f"a message lacks the whole number {name!r}; reload the page.")
    return value


def _number(message: Mapping[str, object], name: str) -> float:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ProtocolError(f"a message lacks the number {name!r}; reload the page.")
    try:
        return float(value)
    except OverflowError as error:
        raise ProtocolError(f"the number {name!r} is out of all bounds; reload the page.") from error
