"""What code hands over in a notebook: what cannot be meant is refused in a sentence, before anything is done."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Set
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sam2_core.errors import PromptError, Sam2Error
from sam2_core.rle import Rle

LEAST_HEIGHT, _MOST_HEIGHT = 560, 10_000
"""Of a widget, in CSS pixels; the least is mask_canvas.css's."""
_LONGEST_WAIT = 1e9  # seconds
_Choice = TypeVar("_Choice", bound=Enum)


def whole(number: int) -> int:
    """A whole number of Python's, of what may be one of numpy's.

    Raises:
        PromptError: it is not whole.
    """
    try:
        if not isinstance(number, (bool, np.bool_)):
            return operator.index(number)
    except TypeError:
        pass
    raise PromptError(f"numbers of objects, frames and candidates are whole; got {number!r:.60}.")


def wholes(numbers: Iterable[int], what: str) -> list[int]:
    """Whole numbers of ``what``, such as frames, from a list, a range or an array.

    Raises:
        PromptError: they are none.
    """
    try:
        given = None if isinstance(numbers, (str, Mapping)) else list(numbers)
    except TypeError:
        given = None
    if given is None:
        raise PromptError(f"{what} are given as a list, such as [1], or as a range; got {numbers!r:.60}.")
    return [whole(each) for each in given]


def flag(value: bool) -> bool:
    """A truth value of Python's, of what may be one of numpy's.

    Raises:
        PromptError: it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise PromptError(f"expected True or False; got {value!r:.60}.")
    return bool(value)


def one_of(kind: type[_Choice], value: str) -> _Choice:
    """One of an enumeration's values, by what a person typed.

    Raises:
        PromptError: it is none of them.
    """
    try:
        return kind(value)
    except ValueError as error:
        expected = ", ".join(repr(each.value) for each in kind)
        raise PromptError(f"expected one of {expected}; got {value!r:.60}.") from error


def seconds(value: float | None) -> float:
    """How long to wait, where ``None`` is for ever.

    Raises:
        PromptError: it is no time.
    """
    if value is None:
        return float("inf")
    if not _is_number(value) or not value >= 0:  # which not-a-number is not, either
        raise PromptError(f"a timeout is a number of seconds, or None to wait without one; got {value!r:.60}.")
    return float(min(value, _LONGEST_WAIT))


def css_height(value: int) -> int:
    """Of a widget, in CSS pixels.

    Raises:
        PromptError: the canvas cannot be so high.
    """
    if not isinstance(value, (int, np.integer)) or not LEAST_HEIGHT <= value <= _MOST_HEIGHT:
        raise PromptError(
            f"height is a whole number of CSS pixels from {LEAST_HEIGHT} to {_MOST_HEIGHT}; got {value!r:.60}."
        )
    return int(value)


def path_of(value: str | os.PathLike[str], what: str, error: type[Sam2Error] = PromptError) -> Path:
    """A path, with the user's own folder in place of ``~``.

    Args:
        value: what was given.
        what: it is to be the path of, such as "a project".
        error: raised where it is none.
    """
    try:
        text = os.fspath(value)
        if isinstance(text, str) and text and "\0" not in text:
            return Path(text).expanduser()
    except (TypeError, RuntimeError):  # no path, and no such user
        pass
    raise error(f"{what} is given as its path, a text or a pathlib.Path; got {value!r:.100}.")


def path_to_write(value: str | os.PathLike[str], what: str, name: str) -> Path:
    """A file that may be written: ``value``, or ``name`` in it where it is a folder.

    Raises:
        PromptError: it is no path, or its folder does not exist.
    """
    path = path_of(value, what)
    if path.is_dir():
        return path / name
    if not path.parent.is_dir():
        raise PromptError(f"there is no folder {str(path.parent)!r} to write {path.name!r} to; make it first.")
    return path


def pixels(numbers: Iterable[float], form: str, count: int, width: int, height: int) -> tuple[float, ...]:
    """Positions in a frame of ``width`` x ``height``, as they were given.

    Args:
        numbers: what was given.
        form: what was expected, for people to read.
        count: how many numbers that is.
        width: of the frame, in pixels.
        height: of the frame, in pixels.

    Raises:
        PromptError: it is something else, or looks like fractions of the frame.
    """
    try:
        given = () if isinstance(numbers, (str, Set, Mapping)) else tuple(map(_number, numbers))
    except (TypeError, ValueError):
        given = ()
    if len(given) != count:
        raise PromptError(f"{form}, in pixels of the frame of {width} x {height}; got {numbers!r:.60}.")
    fractions = any(number % 1 for number in given) and all(0 <= number <= 1 for number in given)
    if fractions and min(width, height) > 1:
        raise PromptError(
            f"positions are pixels of the frame, which is {width} x {height}; {given} look like fractions of it: "
            "multiply them by its size."
        )
    return given


def mask_of(value: npt.ArrayLike, height: int, width: int) -> Rle:
    """A mask ``[H, W]`` of the frame's own size: of booleans, of zeros and ones, or of 0 and 255 as in pictures.

    Raises:
        PromptError: it is something else.
    """
    try:
        given = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # of ragged lists, and of tensors that are elsewhere
        raise PromptError(f"a mask is an array [H, W]; got {_kind(value)}: make it one of numpy's.") from None
    if given.shape != (height, width):
        turned = "; it seems to be [W, H]: give its transpose, mask.T" if given.shape == (width, height) else ""
        raise PromptError(
            f"a mask has the frame's size, [H, W] = [{height}, {width}]; got one of shape {list(given.shape)}{turned}."
        )
    if given.dtype.kind not in "buif" or not _has_two_values(given):
        raise PromptError(
            "a mask is made of True and False, of 0 and 1, or of 0 and 255; got other values "
            f"({given.dtype}): compare first, as in mask > 0.5 or labels == 3."
        )
    return Rle.encode(given)


def _has_two_values(mask: npt.NDArray[Any]) -> bool:
    inside = mask[mask != 0]  # not-a-number is among them
    return any(bool((inside == top).all()) for top in (1, 255))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _number(value: Any) -> float:
    if isinstance(value, (str, bytes, bool, np.bool_)):
        raise TypeError
    return float(value)


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"
