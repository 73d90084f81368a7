"""The simulated person clicks where the released code does, and stops when there is nothing to correct."""

import numpy as np

from sam2_core.evaluation.clicks import bounds, click_errors, enclosing_box, error_centre_click
from sam2_core.media import video_from_array
from sam2_core.tracking import Tracker
from tests.evaluation.scenes import HEIGHT, WIDTH, picture, square
from tests.fakes import fake_model
from tests.parity.golden import golden as read_golden
from tests.parity.golden_rules import click_masks


def tracker():
    return Tracker(fake_model(), video_from_array(picture(0)))


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


def test_clicks_accumulate_on_the_largest_error():
    used, truth = tracker(), square()
    answers = list(click_errors(used, 1, 0, truth, 3))
    points = used.tracks[1].interactions[0].prompt.points
    assert len(answers) == len(points) == 3
    for number, point in enumerate(points):
        before = answers[number - 1] if number else np.zeros_like(truth)
        x, y, positive = error_centre_click(truth, before)
        assert (point.x * WIDTH - 0.5, point.y * HEIGHT - 0.5, point.positive) == (x, y, positive)


def test_nobody_clicks_on_a_perfect_mask():
    used = tracker()
    (answer,) = click_errors(used, 1, 0, square(), 1)
    assert list(click_errors(used, 1, 0, answer, 3)) == []


def test_nobody_clicks_where_nobody_cares():
    used = tracker()
    (answer,) = click_errors(used, 1, 0, square(), 1)
    truth = answer.copy()
    truth[:, : WIDTH // 2] = False
    assert list(click_errors(used, 1, 0, truth & answer, 3, ignored=truth ^ answer)) == []


def test_the_box_of_a_mask_encloses_it():
    mask = square(0, top=10, left=6, side=16)
    box = enclosing_box(mask)
    assert (box.x0, box.y0, box.x1, box.y1) == (6 / WIDTH, 10 / HEIGHT, 22 / WIDTH, 26 / HEIGHT)
    assert bounds(mask) == (slice(10, 26), slice(6, 22))
