"""Everything that a person can do in a session, as values; the log of them is the truth about it.

A command checks its own numbers when it is made. Whether it fits the session, the session knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from sam2_core.errors import PromptError
from sam2_core.media import MediaLimits
from sam2_core.prompts import CANDIDATES, Box, Point
from sam2_core.results import LARGEST_OBJECT_ID
from sam2_core.rle import Rle
from sam2_core.tracking.policies import Direction

LONGEST_NAME = 80
LARGEST_FRAME = 10_000_000
LARGEST_IMPORT = 64 * 2**20
"""Bytes of run lengths."""
_MASK_BYTES = 64  # that a mask takes beyond its run lengths
_COLOUR = re.compile(r"#[0-9a-f]{6}")


class PromptKind(Enum):
    """What of a prompt is removed."""

    POINT = "point"
    BOX = "box"
    MASK = "mask"

    def __repr__(self) -> str:
        return str(self)


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise PromptError(message)


def _check_whole(number: object, what: str) -> None:
    # Beyond what type hints promise: what a notebook says by accident would be written, and never be read again.
    _check(type(number) is int, f"{what} is a whole number; got {number!r}.")


def _check_flag(value: object, what: str) -> None:
    _check(type(value) is bool, f"{what} is True or False; got {value!r}.")


def _check_object(object_id: int) -> None:
    _check_whole(object_id, "an object's number")
    _check(1 <= object_id <= LARGEST_OBJECT_ID, f"objects are numbered 1 to {LARGEST_OBJECT_ID}; got {object_id}.")


def check_name(name: str) -> None:
    """Whether an object may be called so.

    Raises:
        PromptError: it may not.
    """
    good = isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME and name.isprintable() and not name.isspace()
    _check(good, f"a name has 1 to {LONGEST_NAME} characters, all printable and in one line; got {name!r:.100}.")


def _check_frame(frame_index: int) -> None:
    _check_whole(frame_index, "a frame's index")
    _check(0 <= frame_index <= LARGEST_FRAME, f"frames are numbered from 0; got {frame_index}.")


@dataclass(frozen=True, slots=True)
class _OnFrame:
    """Something about one object on one frame."""

    object_id: int
    frame_index: int

    def __post_init__(self) -> None:
        _check_object(self.object_id)
        _check_frame(self.frame_index)


@dataclass(frozen=True, slots=True)
class AddPoint(_OnFrame):
    """One more click."""

    point: Point


@dataclass(frozen=True, slots=True)
class SetBox(_OnFrame):
    """The rectangle around the object, instead of an earlier one; clicks stay."""

    box: Box


@dataclass(frozen=True, slots=True)
class SetMask(_OnFrame):
    """The whole mask of the object, painted or imported, instead of all that was said on this frame; of any size."""

    mask: Rle

    def __post_init__(self) -> None:
        _OnFrame.__post_init__(self)
        pixels, most = self.mask.height * self.mask.width, MediaLimits().pixels
        _check(pixels <= most, f"a mask has {most:,} pixels at most; got {self.mask.width} x {self.mask.height}.")


@dataclass(frozen=True, slots=True)
class Choose(_OnFrame):
    """Which of the candidates was meant, counted from 0; only a single click is ambiguous."""

    candidate: int

    def __post_init__(self) -> None:
        _OnFrame.__post_init__(self)
        _check_whole(self.candidate, "a candidate's number")
        _check(0 <= self.candidate < CANDIDATES, f"candidates are numbered 0 to 2; got {self.candidate}.")


@dataclass(frozen=True, slots=True)
class RemovePrompt(_OnFrame):
    """Take back one click (``index``, in the order of clicking), the box or the mask."""

    kind: PromptKind
    index: int = 0

    def __post_init__(self) -> None:
        _OnFrame.__post_init__(self)
        _check_whole(self.index, "a click's index")


@dataclass(frozen=True, slots=True)
class ClearFrame(_OnFrame):
    """Take back all that was said about an object on a frame."""


@dataclass(frozen=True, slots=True)
class LockFrame(_OnFrame):
    """A locked frame's mask is never changed, neither by tracking nor by prompts."""

    locked: bool

    def __post_init__(self) -> None:
        _OnFrame.__post_init__(self)
        _check_flag(self.locked, "locked")


@dataclass(frozen=True, slots=True)
class AddObject:
    """A new object about which nothing is said yet; its id was never used before."""

    object_id: int

    def __post_init__(self) -> None:
        _check_object(self.object_id)


@dataclass(frozen=True, slots=True)
class EditObject:
    """Change an object's properties; ``None`` leaves one as it is.

    Attributes:
        object_id: which.
        name: what people call it, up to 80 characters.
        colour: as ``#rrggbb``.
        hidden: it is not drawn.
        locked: neither prompts nor tracking change it.
    """

    object_id: int
    name: str | None = None
    colour: str | None = None
    hidden: bool | None = None
    locked: bool | None = None

    def __post_init__(self) -> None:
        _check_object(self.object_id)
        if self.name is not None:
            check_name(self.name)
        if self.colour is not None:
            good = isinstance(self.colour, str) and _COLOUR.fullmatch(self.colour) is not None
            _check(good, f"a colour is written like #1f77b4, in lower case; got {self.colour!r:.40}.")
        for what, value in (("hidden", self.hidden), ("locked", self.locked)):
            if value is not None:
                _check_flag(value, what)


@dataclass(frozen=True, slots=True)
class RemoveObject:
    """Forget an object and its masks."""

    object_id: int

    def __post_init__(self) -> None:
        _check_object(self.object_id)


@dataclass(frozen=True, slots=True)
class ImportMasks:
    """New objects with masks that were made elsewhere, of the clip's own size.

    They are there as if they had been tracked from the first frame of each gapless stretch, where the mask counts as
    given by a person: tracking goes on around them, and corrections spread into them.

    Attributes:
        masks: at most one for each object and frame.
    """

    masks: tuple[SetMask, ...]

    def __post_init__(self) -> None:
        nbytes = sum(len(each.mask.data) + _MASK_BYTES for each in self.masks)
        _check(nbytes <= LARGEST_IMPORT, f"one import has {LARGEST_IMPORT >> 20} MB of masks at most; take fewer.")
        places = {(each.object_id, each.frame_index) for each in self.masks}
        _check(len(places) == len(self.masks), "an object has one mask on a frame; some here have two.")

    @classmethod
    def of(cls, masklets: Mapping[int, Mapping[int, Rle]], first_id: int) -> ImportMasks:
        """Masks by object and frame, where objects get the numbers from ``first_id`` on."""
        numbered = enumerate(masklets.values(), start=first_id)
        return cls(tuple(SetMask(key, frame, mask) for key, masks in numbered for frame, mask in masks.items()))


@dataclass(frozen=True, slots=True)
class Track:
    """Track outward from all that is new since these frames were last tracked.

    Attributes:
        direction: where to.
        first: no frame before this one; ``None`` for the clip's first.
        last: no frame after this one; ``None`` for the clip's last.
        objects: only these; ``None`` for all.
        frames: stop after so many frame-steps; ``None`` for no limit.
    """

    direction: Direction = Direction.BOTH
    first: int | None = None
    last: int | None = None
    objects: tuple[int, ...] | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        first, last = 0 if self.first is None else self.first, LARGEST_FRAME if self.last is None else self.last
        _check_frame(first)
        _check_frame(last)
        _check(first <= last, f"a range goes from its first to its last frame; got {first} to {last}.")
        for object_id in self.objects or ():
            _check_object(object_id)
        if self.frames is not None:
            _check_whole(self.frames, "how many frames to track")
        _check(self.frames is None or self.frames >= 1, f"tracking takes at least one frame; got {self.frames}.")


@dataclass(frozen=True, slots=True)
class UseModel:
    """From here on this model answers; nothing before it can be undone. A session begins with one.

    Attributes:
        name: of the model.
        last_object_id: the highest that was given before, whether or not its object is still there.
    """

    name: str
    last_object_id: int = 0

    def __post_init__(self) -> None:
        _check(1 <= len(self.name) <= LONGEST_NAME and self.name.isprintable(), "a model has a short, printable name.")
        _check(0 <= self.last_object_id <= LARGEST_OBJECT_ID, f"objects are numbered 1 to {LARGEST_OBJECT_ID}.")


@dataclass(frozen=True, slots=True)
class Undo:
    """Take the last step back."""


@dataclass(frozen=True, slots=True)
class Redo:
    """Do again what was taken back last."""


PromptCommand: TypeAlias = AddPoint | SetBox | SetMask | Choose | RemovePrompt | ClearFrame
"""Commands that the model answers with a mask."""
Edit: TypeAlias = PromptCommand | LockFrame | AddObject | EditObject | RemoveObject | ImportMasks
"""Commands that are done at once."""
Command: TypeAlias = Edit | Track | UseModel | Undo | Redo
