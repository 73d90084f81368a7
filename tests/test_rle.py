"""Run lengths: every mask comes back, and nothing that is not a mask gets in."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.rle import Rle

sides = st.integers(1, 40)
masks = arrays.arrays(np.bool_, st.tuples(sides, sides), elements=st.booleans(), fill=st.booleans())


@given(masks)
def test_every_mask_comes_back(mask: np.ndarray) -> None:
    rle = Rle.encode(mask)
    assert (rle.height, rle.width) == mask.shape
    decoded = rle.decode()
    assert decoded.dtype == np.bool_
    assert np.array_equal(decoded, mask)
    assert rle.area == mask.sum()


@given(masks)
def test_runs_are_as_few_as_possible_and_begin_with_background(mask: np.ndarray) -> None:
    counts = Rle.encode(mask).counts
    assert counts.sum() == mask.size
    assert (counts[1:] > 0).all()
    assert (counts[0] == 0) == mask.flat[0]
    assert counts.size == np.count_nonzero(mask.flat[1:] != mask.flat[:-1]) + 1 + int(mask.flat[0])


@given(masks)
def test_equal_masks_are_equal_values(mask: np.ndarray) -> None:
    rle = Rle.encode(mask)
    assert rle == Rle.encode(mask.copy())
    assert hash(rle) == hash(Rle.encode(rle.decode()))
    assert (rle == Rle.encode(~mask)) is False


@given(masks)
def test_any_type_and_layout_of_array_is_a_mask(mask: np.ndarray) -> None:
    expected = Rle.encode(mask)
    assert Rle.encode(mask.astype(np.float32) * -0.5) == expected
    assert Rle.encode(mask.astype(np.uint8) * 255) == expected
    assert Rle.encode(np.asfortranarray(mask)) == expected
    assert Rle.encode(mask[::-1][::-1]) == expected


@given(sides, sides, st.binary(max_size=64))
def test_bytes_from_outside_are_a_mask_or_an_error(height: int, width: int, data: bytes) -> None:
    try:
        mask = Rle(height, width, data).decode()
    except ValueError:
        valid = len(data) % 4 == 0 and sum(np.frombuffer(data, "<u4").tolist()) == height * width
        assert not valid
    else:
        assert mask.shape == (height, width)


@given(sides, sides, st.data())
def test_runs_of_no_length_are_allowed_inside(height: int, width: int, data: st.DataObject) -> None:
    """Another program may cut its runs differently; what counts is the mask."""
    total = height * width
    cuts = sorted(data.draw(st.lists(st.integers(0, total), max_size=8)))
    counts = np.diff([0, *cuts, total])
    mask = Rle(height, width, counts.astype("<u4").tobytes()).decode()
    expected = np.concatenate([np.full(count, index % 2 == 1) for index, count in enumerate(counts)])
    assert np.array_equal(mask.ravel(), expected)


@given(sides, sides)
def test_empty_masks(height: int, width: int) -> None:
    rle = Rle.empty(height, width)
    assert rle == Rle.encode(np.zeros((height, width)))
    assert (rle.area, rle.decode().any()) == (0, False)


def test_runs_go_row_by_row() -> None:
    mask = np.array([[0, 1, 1], [1, 0, 0]])
    assert Rle.encode(mask).counts.tolist() == [1, 3, 2]
    assert Rle.encode(1 - mask).counts.tolist() == [0, 1, 3, 2]
    assert Rle.encode(mask).data == bytes([1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0])


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 1)])
def test_a_mask_has_two_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"two dimensions \[height, width\]"):
        Rle.encode(np.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_a_mask_has_pixels(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Rle.encode(np.zeros(shape))


def counts_of(*counts: int) -> bytes:
    return np.array(counts, "<u4").tobytes()


@pytest.mark.parametrize(
    ("height", "width", "data", "message"),
    [
        (2, 3, b"", r"add up to 2 \* 3 pixels; they add up to 0"),
        (2, 3, counts_of(7), "add up to 7"),
        (2, 3, counts_of(5), "add up to 5"),
        (2, 3, counts_of(6) + b"\0", "4 bytes each; got 5 bytes"),
        (-2, -3, counts_of(6), "at least one pixel; got -2 x -3"),
        # Their sum is 6 modulo 2 ** 32, and far too much memory.
        (2, 3, counts_of(2**32 - 1, 7), "add up to 4294967302"),
    ],
)
def test_hostile_run_lengths(height: int, width: int, data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rle(height, width, data)
