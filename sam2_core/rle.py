"""Masks as run lengths: the only form in which a mask is kept.

Runs go row by row (row-major), alternate between background and foreground, and start with background (possibly of
length zero). They are stored as little-endian ``uint32``, which is also how they travel to a browser.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolMask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rle:
    """One binary mask of ``height`` x ``width`` pixels as run lengths.

    Attributes:
        height: rows, in pixels.
        width: columns, in pixels.
        data: the run lengths as little-endian ``uint32`` bytes; they add up to ``height * width``.
    """

    height: int
    width: int
    data: bytes

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a mask needs at least one pixel; got {self.height} x {self.width}")
        if len(self.data) % 4:
            raise ValueError(f"run lengths are 4 bytes each; got {len(self.data)} bytes")
        if self.counts.size > self.height * self.width + 1:
            raise ValueError(f"{self.height} * {self.width} pixels have fewer runs than {self.counts.size}")
        total = int(self.counts.sum(dtype=np.int64))
        if total != self.height * self.width:
            raise ValueError(f"run lengths must add up to {self.height} * {self.width} pixels; they add up to {total}")

    @classmethod
    def encode(cls, mask: npt.NDArray[np.generic]) -> Rle:
        """Run lengths of a mask.

        Shapes: ``mask`` is ``[H, W]``, any type; what is not zero is foreground.
        """
        if mask.ndim != 2:
            raise ValueError(f"a mask has two dimensions [height, width]; got shape {mask.shape}")
        flat = np.ascontiguousarray(mask).reshape(-1).astype(bool, copy=False)
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        edges = np.concatenate(([0], changes, [flat.size]))
        counts = np.diff(edges)
        if flat.size and flat[0]:
            counts = np.concatenate(([0], counts))
        return cls(mask.shape[0], mask.shape[1], counts.astype("<u4").tobytes())

    @classmethod
    def empty(cls, height: int, width: int) -> Rle:
        """The mask without any foreground."""
        return cls(height, width, np.array([height * width], dtype="<u4").tobytes())

    @property
    def counts(self) -> npt.NDArray[np.uint32]:
        """The run lengths, background first."""
        return np.frombuffer(self.data, dtype="<u4")

    @property
    def area(self) -> int:
        """Foreground pixels."""
        return int(self.counts[1::2].sum(dtype=np.int64))

    def decode(self) -> BoolMask:
        """The mask as ``[H, W]`` booleans."""
        counts = self.counts
        values = np.arange(counts.size) % 2 == 1
        return np.repeat(values, counts).reshape(self.height, self.width)
