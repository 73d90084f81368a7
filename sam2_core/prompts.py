"""What a person can say about one object on one frame.

Coordinates are fractions of the frame: ``(0, 0)`` is the top-left corner of the top-left pixel and ``(1, 1)`` the
bottom-right corner of the bottom-right one. They become pixels only inside the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sam2_core.errors import PromptError
from sam2_core.rle import Rle

CANDIDATES = 3
"""Masks that the decoder proposes for an ambiguous prompt (SAM, section 3)."""


def _check_fraction(value: float, what: str) -> None:
    if not math.isfinite(value) or not 0.0 <= value <= 1.0:
        raise PromptError(f"{what} must lie inside the frame, between 0 and 1; got {value}.")


@dataclass(frozen=True, slots=True)
class Point:
    """A click at ``(x, y)``; ``positive`` means *this belongs to the object*, otherwise *this does not*."""

    x: float
    y: float
    positive: bool = True

    def __post_init__(self) -> None:
        _check_fraction(self.x, "a point's x")
        _check_fraction(self.y, "a point's y")

    @classmethod
    def at_pixel(cls, x: float, y: float, width: int, height: int, *, positive: bool = True) -> Point:
        """A click at a pixel of a frame of ``width`` x ``height``.

        Raises:
            PromptError: it is outside the frame.
        """
        if not (0 <= x < width and 0 <= y < height):
            raise PromptError(
                f"the frame is {width} x {height} pixels, so X goes from 0 to {width - 1} "
                f"and Y from 0 to {height - 1}; got {x:g},{y:g}."
            )
        return cls(x / width, y / height, positive)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around the object, from its top-left to its bottom-right corner."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        for name in ("x0", "y0", "x1", "y1"):
            _check_fraction(getattr(self, name), f"a box's {name}")
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise PromptError(
                f"a box goes from its top-left to its bottom-right corner and has an area; "
                f"got ({self.x0:g}, {self.y0:g}) to ({self.x1:g}, {self.y1:g})."
            )

    @classmethod
    def at_pixels(cls, x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> Box:
        """A rectangle in pixels of a frame of ``width`` x ``height``; its corners lie between pixels.

        Raises:
            PromptError: it is not inside the frame, or has no area.
        """
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise PromptError(
                f"a box goes from its top-left corner X0,Y0 to its bottom-right corner X1,Y1 inside the frame of "
                f"{width} x {height} pixels; got {x0:g},{y0:g} to {x1:g},{y1:g}."
            )
        return cls(x0 / width, y0 / height, x1 / width, y1 / height)


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that was said about one object on one frame.

    A mask alone is taken over as it is. A mask together with points or a box is a starting point that they refine: the
    answer is the model's.

    Attributes:
        points: clicks, in the order in which they were made.
        box: at most one rectangle.
        mask: a painted or imported mask of any size; it is stretched over the frame.
        candidate: which of the three candidate masks was chosen; ``None`` leaves the choice to the model.
    """

    points: tuple[Point, ...] = ()
    box: Box | None = None
    mask: Rle | None = None
    candidate: int | None = None

    def __post_init__(self) -> None:
        if not self.points and self.box is None and self.mask is None:
            raise PromptError("a prompt needs at least one point, a box or a mask; got none of them.")
        if self.candidate is not None and not 0 <= self.candidate < CANDIDATES:
            raise PromptError(f"there are {CANDIDATES} candidates, numbered from 0; got {self.candidate}.")

    @property
    def mask_alone(self) -> Rle | None:
        """The mask, where it is all that was said."""
        return self.mask if self.label_count == 0 else None

    @property
    def label_count(self) -> int:
        """Points as the model counts them: a box is two (the paper's released code, multimask rule)."""
        return len(self.points) + (2 if self.box else 0)

    def with_point(self, point: Point) -> Prompt:
        """The same prompt with one more click; a choice among earlier candidates no longer applies."""
        return replace(self, points=(*self.points, point), candidate=None)

    def extends(self, earlier: Prompt) -> bool:
        """Whether this only adds clicks to what was said earlier."""
        count = len(earlier.points)
        return self.box == earlier.box and len(self.points) > count and self.points[:count] == earlier.points

    def differs_in_choice_only(self, earlier: Prompt) -> bool:
        """Whether the same was said, up to the choice among candidates."""
        return (self.points, self.box, self.mask) == (earlier.points, earlier.box, earlier.mask)
