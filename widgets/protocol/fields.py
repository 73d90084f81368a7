"""A message from a browser, read field by field; each is checked before anybody sees it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from sam2_core.errors import ProtocolError
from sam2_core.prompts import Point

_LONGEST_TEXT = 200
_Choice = TypeVar("_Choice", bound=Enum)


class Fields:
    """A message whose fields are read one by one, each checked."""

    def __init__(self, message: object) -> None:
        if not isinstance(message, Mapping):
            raise ProtocolError("a message is an object with names and values; reload the page.")
        self._message = message

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number between -1,000,000,000 and 1,000,000,000."""
        value = self._message.get(name, default)
        if type(value) is not int or abs(value) > 1_000_000_000:
            raise ProtocolError(f"a message lacks the whole number {name!r}; reload the page.")
        return value

    def optional(self, name: str) -> int | None:
        """The same, where it may be missing."""
        return None if self._message.get(name) is None else self.whole(name)

    def number(self, name: str) -> float:
        """A finite number."""
        value: Any = self._message.get(name)
        if type(value) not in (int, float) or not abs(value) <= 1e9:  # which not-a-number is not, either
            raise ProtocolError(f"a message lacks the number {name!r}; reload the page.")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._message.get(name)
        if not isinstance(value, bool):
            raise ProtocolError(f"a message does not say whether it is {name!r}; reload the page.")
        return value

    def maybe_flag(self, name: str) -> bool | None:
        """The same, where it may be missing."""
        return None if self._message.get(name) is None else self.flag(name)

    def text(self, name: str, longest: int = _LONGEST_TEXT) -> str:
        """A text of bounded length."""
        value = self._message.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise ProtocolError(f"a message lacks the text {name!r}, of {longest} characters at most; reload the page.")
        return value

    def maybe_text(self, name: str) -> str | None:
        """The same, where it may be missing."""
        return None if self._message.get(name) is None else self.text(name)

    def point(self) -> Point:
        """``x``, ``y`` and ``positive``."""
        return Point(self.number("x"), self.number("y"), self.flag("positive"))

    def choice(self, kind: type[_Choice], name: str) -> _Choice:
        """One of an enumeration's values."""
        try:
            return kind(self.text(name))
        except ValueError as error:
            expected = ", ".join(str(each.value) for each in kind)
            raise ProtocolError(f"{name!r} is one of {expected}; reload the page.") from error

    def ids(self, name: str) -> tuple[int, ...] | None:
        """A list of object ids, where it may be missing."""
        value = self._message.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > 1000 or any(type(each) is not int for each in value):
            raise ProtocolError(f"{name!r} is a list of objects' numbers; reload the page.")
        return tuple(value)

    def here(self) -> tuple[int, int]:
        """Object and frame."""
        return self.whole("obj"), self.whole("frame")
