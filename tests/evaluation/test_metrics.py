"""J, F and the evaluation's click against numbers of the released evaluators."""

import numpy as np
import pytest

from sam2_core.evaluation.clicks import error_centre_click
from sam2_core.evaluation.metrics import SequenceScore, boundary, boundary_f, frame_scores, jaccard, sequence_score
from tests.parity.golden import golden as read_golden
from tests.parity.golden_rules import boundary_mask, click_masks, jf_sequence


@pytest.fixture(scope="module")
def golden():
    return read_golden("jf.npz")


@pytest.mark.parametrize("object_id", [1, 2])
def test_every_frame_scores_as_in_the_released_evaluator(golden, object_id):
    truth, predicted = jf_sequence()
    scores = frame_scores([t == object_id for t in truth], [p == object_id for p in predicted])
    np.testing.assert_allclose([s.j for s in scores], golden[f"multi/obj{object_id}/J"], atol=1e-12)
    np.testing.assert_allclose([s.f for s in scores], golden[f"multi/obj{object_id}/F"], atol=1e-12)


@pytest.mark.parametrize("object_id", [1, 2])
def test_means_over_a_sequence(golden, object_id):
    truth, predicted = jf_sequence()
    score = sequence_score([t == object_id for t in truth], [p == object_id for p in predicted], ends=True)
    assert 100 * score.j == pytest.approx(golden["multi/mean_J_percent"][object_id - 1])
    assert 100 * score.f == pytest.approx(golden["multi/mean_F_percent"][object_id - 1])
    assert score.j_and_f == pytest.approx((score.j + score.f) / 2)


def test_first_and_last_frame_do_not_count():
    full, empty = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    assert sequence_score([full, full, full], [empty, full, empty]) == SequenceScore(1.0, 1.0)


def test_a_sequence_without_the_object_has_no_score():
    empty = np.zeros((4, 4), bool)
    with pytest.raises(ValueError, match="none of the scored frames"):
        sequence_score([empty] * 3, [empty] * 3)


def test_boundary_compares_with_right_and_lower_neighbours(golden):
    np.testing.assert_array_equal(boundary(boundary_mask()), golden["bmap/boundary"])


def test_empty_masks():
    empty, square = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    square[20:40, 20:40] = True
    assert jaccard(empty, empty) == 1.0
    assert boundary_f(empty, empty) == 1.0
    assert boundary_f(square, empty) == 0.0
    assert boundary_f(empty, square) == 0.0


def test_clicks_go_to_the_centre_of_the_larger_error():
    golden = read_golden("misc.npz")
    for truth, predicted, point, label in zip(
        *click_masks(), golden["center_points"], golden["center_labels"], strict=True
    ):
        x, y, positive = error_centre_click(truth[0], predicted[0])
        assert ([x, y], positive) == (point[0].tolist(), bool(label[0]))


def test_the_first_click_is_the_deepest_point():
    golden = read_golden("misc.npz")
    for truth, point in zip(click_masks()[0], golden["first_points"], strict=True):
        x, y, positive = error_centre_click(truth[0], np.zeros_like(truth[0]))
        assert ([x, y], positive) == (point[0].tolist(), True)
