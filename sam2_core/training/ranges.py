"""What numbers of a recipe have to be, as types of its fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Within:
    """Both ends included, unless a number has to be ``below`` the upper one. Not a number is within nothing."""

    low: float
    high: float
    below: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low <= value < self.high if self.below else self.low <= value <= self.high

    def __str__(self) -> str:
        return f"at least {self.low:g} and below {self.high:g}" if self.below else f"{self.low:g} to {self.high:g}"


_MANY = 1_000_000_000

Unit = Annotated[float, Within(0, 1)]
"""A chance, or a share of something."""
BelowOne = Annotated[float, Within(0, 1, below=True)]
"""A share that never is the whole: betas, dropout."""
Zoom = Annotated[float, Within(0.01, 1)]
Strength = Annotated[float, Within(0, 1_000_000)]
Angle = Annotated[float, Within(0, 180)]
Number = Annotated[int, Within(0, _MANY)]
Count = Annotated[int, Within(1, _MANY)]
Batch = Annotated[int, Within(1, 65_536)]
Objects = Annotated[int, Within(1, 255)]
Workers = Annotated[int, Within(-1, 256)]
