"""J, F and the AUC against numbers of the released evaluators, and against counting by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sam2_core.evaluation.metrics import boundary, boundary_f, curve, frame_scores, jaccard, roc_auc
from sam2_core.rle import Rle
from tests.parity.golden import golden as read_golden
from tests.parity.golden_rules import boundary_mask, jf_sequence


@pytest.fixture(scope="module")
def golden():
    return read_golden("jf.npz")


def masklet(masks):
    return {frame: Rle.encode(np.asarray(mask)) for frame, mask in enumerate(masks)}


@pytest.mark.parametrize("object_id", [1, 2])
def test_every_frame_scores_as_in_the_released_evaluator(golden, object_id):
    truth, predicted = jf_sequence()
    pairs = [(t == object_id, p == object_id) for t, p in zip(truth, predicted, strict=True)]
    j, f = zip(*frame_scores(pairs), strict=True)
    np.testing.assert_allclose(j, golden[f"multi/obj{object_id}/J"], atol=1e-12)
    np.testing.assert_allclose(f, golden[f"multi/obj{object_id}/F"], atol=1e-12)


@pytest.mark.parametrize("object_id", [1, 2])
def test_means_over_a_sequence(golden, object_id):
    truth, predicted = (masklet([m == object_id for m in masks]) for masks in jf_sequence())
    score = curve(truth, predicted, ends=True)
    assert 100 * score.mean_j == pytest.approx(golden["multi/mean_J_percent"][object_id - 1])
    assert 100 * score.mean_f == pytest.approx(golden["multi/mean_F_percent"][object_id - 1])
    assert score.j_and_f == pytest.approx((score.mean_j + score.mean_f) / 2)


def test_first_and_last_annotated_frame_do_not_count():
    full, empty = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    truth = {frame: Rle.encode(full) for frame in (0, 4, 8)}
    predicted = {0: Rle.encode(empty), 4: Rle.encode(full), 5: Rle.encode(empty)}
    score = curve(truth, predicted)
    assert (score.frames, score.j, score.f) == ((4,), (1.0,), (1.0,))


def test_a_missing_mask_is_empty():
    full = np.ones((4, 4), bool)
    assert curve(masklet([full] * 4), {1: Rle.encode(full)}).j == (1.0, 0.0)


def test_frames_before_truth_or_prediction_show_the_object_do_not_count():
    full, empty = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    truth, predicted = masklet([empty, empty, empty, full, full]), masklet([empty, empty, full, full, full])
    score = curve(truth, predicted)
    assert (score.frames, score.j) == ((2, 3), (0.0, 1.0))


def test_an_object_that_truth_never_shows_has_no_score():
    full, empty = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    assert curve(masklet([full, empty, empty, full]), masklet([full] * 4)) is None


def test_boundary_compares_with_right_and_lower_neighbours(golden):
    np.testing.assert_array_equal(boundary(boundary_mask()), golden["bmap/boundary"])


def test_empty_masks():
    empty, square = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    square[20:40, 20:40] = True
    assert jaccard(empty, empty) == 1.0
    assert boundary_f(empty, empty) == 1.0
    assert boundary_f(square, empty) == 0.0
    assert boundary_f(empty, square) == 0.0


@given(st.integers(0, 2**32 - 1), st.integers(8, 400), st.integers(8, 400))
def test_boundaries_are_compared_as_by_exact_distances(seed, height, width):
    rng = np.random.default_rng(seed)
    truth, predicted = (rng.random((height, width)) < rng.choice([0.002, 0.1, 0.9]) for _ in range(2))
    radius = math.ceil(0.008 * math.hypot(height, width))
    edges = boundary(truth), boundary(predicted)
    if not (edges[0].any() and edges[1].any()):
        return
    near = [ndimage.distance_transform_edt(~edge) <= radius for edge in edges]
    recall, precision = near[1][edges[0]].mean(), near[0][edges[1]].mean()
    expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert boundary_f(truth, predicted) == pytest.approx(expected, abs=1e-12)


def test_auc_counts_pairs_in_the_right_order():
    # Positives 3 and 1, negatives 2, 1 and 0: of six pairs 3 wins three, 1 wins one and ties one.
    scores, positive = [3.0, 1.0, 2.0, 1.0, 0.0], [True, True, False, False, False]
    assert roc_auc(scores, positive) == pytest.approx(4.5 / 6)
    assert roc_auc([1.0, 2.0], [True, True]) is None
    assert roc_auc([], []) is None
