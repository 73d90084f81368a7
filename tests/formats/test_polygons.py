"""Masks as polygons and back."""

import numpy as np
from hypothesis import given, settings
from hypothesis.extra import numpy as nps

from sam2_core.formats.polygons import fill, outline


@settings(max_examples=200)
@given(nps.arrays(bool, nps.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_an_outline_fills_to_its_mask(mask: np.ndarray) -> None:
    vertices = outline(mask)
    assert np.array_equal(fill(vertices, *mask.shape), mask)
    assert bool(len(vertices)) == bool(mask.any())


def test_a_rectangle_has_four_corners() -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    assert sorted(outline(mask).tolist()) == [[2, 1], [2, 4], [7, 1], [7, 4]]


def test_a_hole_stays_open_and_parts_stay_apart() -> None:
    mask = np.zeros((9, 14), bool)
    mask[1:8, 1:8] = True
    mask[3:5, 3:6] = False
    mask[2:4, 10:13] = True
    vertices = outline(mask)
    # Three rings of four corners; each bridge returns to where it began, on both of its sides.
    assert len(vertices) == 3 * 4 + 2 * 2
    assert np.array_equal(fill(vertices, 9, 14), mask)


def test_edges_may_slant() -> None:
    triangle = fill(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), 5, 5)
    assert triangle.astype(int).tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0] * 5, [0] * 5]
