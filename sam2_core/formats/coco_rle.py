"""COCO's run lengths: column by column, and packed into a string.

The packing is that of pycocotools' ``rleToString``: each run, from the fourth on as its difference to the one two
before, in groups of five bits with the lowest first, as characters from ``0`` (48) on, where 32 says that another
group follows. It is written anew here because pycocotools hands out uninitialised memory for runs that do not add up,
which a stranger's file may hold; the tests compare both.
"""

from __future__ import annotations

import re
import reprlib

import numpy as np
import numpy.typing as npt

from sam2_core.errors import PromptError
from sam2_core.rle import BoolMask, Rle

_GROUPS = 7
"""Of five bits, that one run can have: masks have fewer than 2 ** 34 pixels."""
_SHIFTS = 5 * np.arange(_GROUPS)
_PACKED = re.compile(rb"(?:[P-o]{0,6}[0-O])+")


def to_coco(mask: Rle) -> dict[str, object]:
    """A mask as COCO has it: ``{"size": [height, width], "counts": packed}``."""
    columns = Rle.encode(mask.decode().T)
    return {"size": [mask.height, mask.width], "counts": _pack(columns.counts.astype(np.int64))}


def from_coco(size: object, counts: object, height: int, width: int) -> BoolMask:
    """The mask ``[height, width]`` of a COCO segmentation, whose ``counts`` are packed or a list of numbers.

    Raises:
        PromptError: it is of another size, or not made of run lengths that add up to it.
    """
    if size != [height, width]:
        raise PromptError(
            f"masks have the video's size, [{height}, {width}]; one has the size {reprlib.repr(size)[:40]}."
        )
    runs = _unpack(counts) if isinstance(counts, str) else _listed(counts)
    if runs.size == 0 or runs.min() < 0 or runs.max() > height * width or runs.sum() != height * width:
        raise PromptError(f"a mask's run lengths should add up to {height} x {width} pixels, and do not.")
    columns = Rle(width, height, runs.astype("<u4").tobytes()).decode()
    return np.ascontiguousarray(columns.T)


def _pack(runs: npt.NDArray[np.int64]) -> str:
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]
    magnitude = np.where(numbers < 0, ~numbers, numbers)
    # The highest bit of the last group is the sign, so a number needs one bit more than its magnitude.
    groups = 1 + (magnitude[:, None] >> (_SHIFTS[1:] - 1) > 0).sum(axis=1)
    place = np.arange(_GROUPS)
    more = place < groups[:, None] - 1
    codes = (numbers[:, None] >> _SHIFTS & 31) + 32 * more + ord("0")
    return bytes(codes[place < groups[:, None]].astype(np.uint8)).decode("ascii")


def _unpack(text: str) -> npt.NDArray[np.int64]:
    data = text.encode("ascii", "replace")
    if not _PACKED.fullmatch(data):
        raise PromptError("a mask's packed run lengths hold what COCO's never do; export them again.")
    codes = np.frombuffer(data, np.uint8).astype(np.int64) - ord("0")
    ends = np.flatnonzero(codes < 32) + 1
    starts = np.concatenate(([0], ends[:-1]))
    lengths = ends - starts
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((codes & 31) << _SHIFTS[place], starts)
    numbers -= (codes[ends - 1] >> 4 & 1) << 5 * lengths
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _listed(counts: object) -> npt.NDArray[np.int64]:
    if not isinstance(counts, list) or not all(type(count) is int and 0 <= count < 2**32 for count in counts):
        raise PromptError("a mask's 'counts' should be a text or a list of run lengths; polygons cannot be imported.")
    return np.array(counts, dtype=np.int64)
