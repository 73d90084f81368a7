"""What a person points at on the command line: ``--click``, ``--box`` and ``--mask``, in pixels of a frame.

Reading has two halves. The form of an argument is checked when the command line is parsed; whether it fits the video is
checked when the video is open.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sam2_core.errors import PromptError, Sam2Error
from sam2_core.formats import read_mask
from sam2_core.media import Video
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import LARGEST_OBJECT_ID
from sam2_core.rle import Rle

_NUMBER = r"[+-]?\d{1,9}(?:\.\d{0,9})?"
_TARGET = r"(\d{1,9}):(\d{1,9}):"
_CLICK = re.compile(rf"{_TARGET}({_NUMBER}),({_NUMBER})(?:,([+-]))?", re.ASCII)
_BOX = re.compile(rf"{_TARGET}({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})", re.ASCII)
_MASK = re.compile(rf"{_TARGET}(.+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """Which object on which frame is meant, and how that was typed."""

    typed: str
    object_id: int
    frame_index: int


@dataclass(frozen=True, slots=True)
class Click:
    """``--click OBJ:FRAME:X,Y[,+|-]``."""

    target: Target
    x: float
    y: float
    positive: bool

    @classmethod
    def parse(cls, text: str) -> Click:
        """Read the argument's form; errors are :class:`argparse.ArgumentTypeError`."""
        found = _match(_CLICK, text, "OBJ:FRAME:X,Y[,+|-], such as 1:0:480,270 or 1:0:480,270,-")
        return cls(_target("--click", found), float(found[3]), float(found[4]), found[5] != "-")

    def point(self, video: Video) -> Point:
        """The click as a fraction of the frame."""
        return Point.at_pixel(self.x, self.y, video.width, video.height, positive=self.positive)


@dataclass(frozen=True, slots=True)
class BoxArgument:
    """``--box OBJ:FRAME:X0,Y0,X1,Y1``."""

    target: Target
    corners: tuple[float, float, float, float]

    @classmethod
    def parse(cls, text: str) -> BoxArgument:
        """Read the argument's form; errors are :class:`argparse.ArgumentTypeError`."""
        found = _match(_BOX, text, "OBJ:FRAME:X0,Y0,X1,Y1, such as 1:0:100,80,220,300")
        return cls(_target("--box", found), (float(found[3]), float(found[4]), float(found[5]), float(found[6])))

    def box(self, video: Video) -> Box:
        """The box as fractions of the frame."""
        return Box.at_pixels(*self.corners, video.width, video.height)


@dataclass(frozen=True, slots=True)
class MaskArgument:
    """``--mask OBJ:FRAME:FILE.png``."""

    target: Target
    path: Path

    @classmethod
    def parse(cls, text: str) -> MaskArgument:
        """Read the argument's form; errors are :class:`argparse.ArgumentTypeError`."""
        found = _match(_MASK, text, "OBJ:FRAME:FILE.png, such as 1:0:mask.png")
        return cls(_target("--mask", found), Path(found[3]).expanduser())

    def mask(self, video: Video) -> Rle:
        """The mask in the file."""
        return read_mask(self.path, self.target.object_id, video.height, video.width)


PromptArgument: TypeAlias = Click | BoxArgument | MaskArgument


def prompts_for(video: Video, arguments: Iterable[PromptArgument]) -> dict[tuple[int, int], Prompt]:
    """All that was said, by object id and frame index, in ascending order.

    Clicks keep the order in which they were typed.

    Raises:
        PromptError: nothing was said, or something does not fit the video; the message names the argument.
    """
    groups: defaultdict[tuple[int, int], list[PromptArgument]] = defaultdict(list)
    for argument in arguments:
        groups[argument.target.object_id, argument.target.frame_index].append(argument)
    if not groups:
        raise PromptError(
            "there is nothing to track; point at something with --click OBJ:FRAME:X,Y (1:0:480,270 is object 1 in "
            "frame 0 at pixel 480,270), --box OBJ:FRAME:X0,Y0,X1,Y1 or --mask OBJ:FRAME:FILE.png."
        )
    return {key: _prompt(groups[key], video) for key in sorted(groups)}


def _prompt(arguments: Iterable[PromptArgument], video: Video) -> Prompt:
    """One prompt from all that was said of one object on one frame."""
    points: list[Point] = []
    box: Box | None = None
    mask: Rle | None = None
    for argument in arguments:
        try:
            _check_frame(argument.target.frame_index, video)
            if isinstance(argument, Click):
                points.append(argument.point(video))
            elif isinstance(argument, BoxArgument):
                _check_first(box)
                box = argument.box(video)
            else:
                _check_first(mask)
                mask = argument.mask(video)
        except Sam2Error as error:
            raise PromptError(f"{argument.target.typed}: {error}") from error
    return Prompt(tuple(points), box, mask)


def _check_frame(frame_index: int, video: Video) -> None:
    if frame_index >= len(video):
        frames = "one frame, 0" if len(video) == 1 else f"frames 0 to {len(video) - 1}"
        raise PromptError(f"{video.name!r} has {frames}; got frame {frame_index}.")


def _check_first(earlier: Box | Rle | None) -> None:
    if earlier is not None:
        kind = "box" if isinstance(earlier, Box) else "mask"
        raise PromptError(f"an object has one {kind} on a frame at most, and this is its second; leave one out.")


def _match(pattern: re.Pattern[str], text: str, form: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected {form}; got {text!r}")
    return found


def _target(option: str, found: re.Match[str]) -> Target:
    object_id = int(found[1])
    if not 1 <= object_id <= LARGEST_OBJECT_ID:
        raise argparse.ArgumentTypeError(f"objects are numbered 1 to {LARGEST_OBJECT_ID}; got {found[0]!r}")
    return Target(f"{option} {found[0]}", object_id, int(found[2]))
