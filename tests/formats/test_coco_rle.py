"""COCO's run lengths, letter by letter as pycocotools has them."""

import contextlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from pycocotools import mask as pycoco

from sam2_core.errors import PromptError
from sam2_core.formats.coco_rle import from_coco, to_coco
from sam2_core.rle import Rle

masks = nps.arrays(bool, nps.array_shapes(min_dims=2, max_dims=2, max_side=40))
WIDE = np.zeros((300, 5000), bool)
WIDE[3:280, 17:4100:7] = True
WIDE[:, 4500:] = True


@given(masks)
@example(WIDE)
@example(~WIDE)
def test_strings_are_those_of_pycocotools(mask: np.ndarray) -> None:
    theirs = pycoco.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = to_coco(Rle.encode(mask))
    assert ours == {"size": list(mask.shape), "counts": theirs["counts"].decode()}
    assert np.array_equal(from_coco(ours["size"], ours["counts"], *mask.shape), mask)


@given(masks)
def test_lists_of_numbers_are_read_too(mask: np.ndarray) -> None:
    counts = Rle.encode(mask.T).counts.tolist()
    assert np.array_equal(from_coco(list(mask.shape), counts, *mask.shape), mask)


def test_an_empty_mask_is_written_as_in_the_data_set() -> None:
    # From sav_000001_manual.json, whose frames are 480 x 848 pixels.
    assert to_coco(Rle.empty(848, 480)) == {"size": [848, 480], "counts": "P`]<"}


@given(st.one_of(st.text(max_size=20), st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=40)))
def test_any_text_is_a_mask_or_an_error(text: str) -> None:
    with contextlib.suppress(PromptError):
        assert from_coco([6, 5], text, 6, 5).shape == (6, 5)


@pytest.mark.parametrize(
    "counts",
    ["", "2", "O", "oooo", "2\x002", "o" * 2000 + "0", "é", "n1" * 3, [], [31], [15, -1, 16], [30.0], [2**40], [True],
     None, {}, [[30]]],
)  # fmt: skip
def test_runs_that_make_no_mask(counts: object) -> None:
    with pytest.raises(PromptError):
        from_coco([6, 5], counts, 6, 5)


@pytest.mark.parametrize("size", [[5, 6], [6], [6, 5, 1], None, "6x5", [10**9, 10**9]])
def test_another_size(size: object) -> None:
    with pytest.raises(PromptError, match=r"the video's size, \[6, 5\]"):
        from_coco(size, "n0", 6, 5)
