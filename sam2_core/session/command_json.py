"""The JSON in which commands lie on disk: written and read here and nowhere else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any, cast

from sam2_core.errors import ProjectError
from sam2_core.prompts import Box, Point
from sam2_core.rle import Rle
from sam2_core.session.commands import (
    AddObject,
    AddPoint,
    Choose,
    ClearFrame,
    Command,
    EditObject,
    ImportMasks,
    LockFrame,
    PromptKind,
    Redo,
    RemoveObject,
    RemovePrompt,
    SetBox,
    SetMask,
    Track,
    Undo,
    UseModel,
)
from sam2_core.tracking.policies import Direction

LONGEST_LINE = 96_000_000
"""Characters of one command."""

_NAMES: dict[str, type[Command]] = {
    "add_point": AddPoint,
    "set_box": SetBox,
    "set_mask": SetMask,
    "choose": Choose,
    "remove_prompt": RemovePrompt,
    "clear_frame": ClearFrame,
    "lock_frame": LockFrame,
    "add_object": AddObject,
    "edit_object": EditObject,
    "remove_object": RemoveObject,
    "import_masks": ImportMasks,
    "track": Track,
    "use_model": UseModel,
    "undo": Undo,
    "redo": Redo,
}
_NAME_OF = {kind: name for name, kind in _NAMES.items()}


def to_json(command: Command) -> str:
    """One line, without its end."""
    said = {field.name: _plain(getattr(command, field.name)) for field in fields(command)}
    return json.dumps({"do": _NAME_OF[type(command)], **said}, ensure_ascii=True, allow_nan=False)


def from_json(line: str) -> Command:
    """The command of a line that may have come from anywhere.

    Raises:
        ProjectError: it is none.
    """
    try:
        if len(line) > LONGEST_LINE:
            raise ValueError("it is too long")
        said = json.loads(line)
        kind = _NAMES[said.pop("do")]
        known = {field.name: str(field.type) for field in fields(kind)}
        needed = {field.name for field in fields(kind) if field.default is MISSING}
        if not needed <= said.keys() <= known.keys():
            raise ValueError(f"it has {', '.join(said) or 'nothing'} where {', '.join(known) or 'nothing'} belongs")
        return kind(**{name: _READERS[known[name]](value) for name, value in said.items()})
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ProjectError(
            f"a command in this session cannot be read ({_short(error)}); the file is damaged."
        ) from error


def _short(error: Exception) -> str:
    return str(error)[:200].rstrip(".")


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case Point():
            return [value.x, value.y, value.positive]
        case Box():
            return [value.x0, value.y0, value.x1, value.y1]
        case Rle():
            return [value.height, value.width, base64.b64encode(value.data).decode("ascii")]
        case SetMask():
            return [value.object_id, value.frame_index, _plain(value.mask)]
        case tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def _exactly(kind: type, value: object) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _whole(value: object) -> int:
    return cast(int, _exactly(int, value))


def _number(value: object) -> float:
    return float(_exactly(int if isinstance(value, int) else float, value))


def _point(value: object) -> Point:
    x, y, positive = _exactly(list, value)
    return Point(_number(x), _number(y), _exactly(bool, positive))


def _box(value: object) -> Box:
    x0, y0, x1, y1 = _exactly(list, value)
    return Box(_number(x0), _number(y0), _number(x1), _number(y1))


def _rle(value: object) -> Rle:
    height, width, data = _exactly(list, value)
    return Rle(_whole(height), _whole(width), base64.b64decode(_exactly(str, data), validate=True))


def _objects(value: object) -> tuple[int, ...]:
    return tuple(_whole(each) for each in _exactly(list, value))


def _given(value: object) -> SetMask:
    object_id, frame_index, mask = _exactly(list, value)
    return SetMask(_whole(object_id), _whole(frame_index), _rle(mask))


def _optional(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


_READERS: dict[str, Callable[[object], Any]] = {
    "int": _whole,
    "int | None": _optional(_whole),
    "bool": lambda value: _exactly(bool, value),
    "bool | None": _optional(lambda value: _exactly(bool, value)),
    "str": lambda value: _exactly(str, value),
    "str | None": _optional(lambda value: _exactly(str, value)),
    "tuple[int, ...] | None": _optional(_objects),
    "tuple[SetMask, ...]": lambda value: tuple(_given(each) for each in _exactly(list, value)),
    "Point": _point,
    "Box": _box,
    "Rle": _rle,
    "Direction": Direction,
    "PromptKind": PromptKind,
}
"""How the value of a field is read, by the type that the field is declared with."""
