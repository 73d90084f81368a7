"""JSON out item by item, and JSON in from anyone."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

from sam2_core.errors import PromptError
from sam2_core.media import replacing

T = TypeVar("T")

_LARGEST_FILE = 64 * 1024 * 1024  # bytes; as Python objects it can become some twenty times that


def write_json(path: Path, fields: Mapping[str, object]) -> None:
    """Write an object; fields that are iterators become arrays, whose items are never in memory together."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        before = "{"
        for name, value in fields.items():
            file.write(f"{before}\n{json.dumps(name)}: ")
            if isinstance(value, Iterator):
                _write_array(file, value)
            else:
                file.write(json.dumps(value, allow_nan=False))
            before = ","
        file.write("\n}\n")


def _write_array(file: IO[str], items: Iterator[object]) -> None:
    before = "["
    for item in items:
        file.write(f"{before}\n{json.dumps(item, allow_nan=False)}")
        before = ","
    file.write("]" if before == "," else "[]")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        PromptError: it is too large, or not a JSON object.
    """
    if path.stat().st_size > _LARGEST_FILE:
        raise PromptError(f"{path.name!r} has more than {_LARGEST_FILE >> 20} MiB of masks; split it by frames.")
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise PromptError(
            f"{path.name!r} holds no masks that can be read: a zip, or JSON in COCO's or SA-V's form, is expected."
        ) from error
    return record(document, f"what {path.name!r} holds")


def record(value: object, what: str) -> dict[str, Any]:
    """A JSON object, where one is expected.

    Raises:
        PromptError: it is none.
    """
    if not isinstance(value, dict):
        raise PromptError(f"{what} should be a JSON object; it is {_described(value)}.")
    return value


def field(fields: dict[str, Any], name: str, kind: type[T]) -> T:
    """A field of a JSON object.

    Raises:
        PromptError: there is no such field, or it is of another kind.
    """
    value = fields.get(name)
    if not isinstance(value, kind):
        raise PromptError(f"the masks' {name!r} should be {_NOUNS[kind]}; it is {_described(value)}.")
    return value


def whole_number(value: object, what: str) -> int:
    """A whole number, which some programs write as ``4.0``.

    Raises:
        PromptError: it is none.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**53:
        raise PromptError(f"the masks' {what!r} should be a whole number; it is {_described(value)}.")
    return value


_NOUNS: Mapping[type, str] = {list: "a list", dict: "an object", str: "a text"}


def _described(value: object) -> str:
    return "missing" if value is None else reprlib.repr(value)[:40]
