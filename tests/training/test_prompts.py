"""Simulated clicks and boxes land where a person's would."""

import numpy as np
import pytest
import torch

from sam2_core.training.prompts import correction_clicks, first_clicks, jittered_boxes, with_click
from sam2_core.training.recipe import Prompting

CENTRED = Prompting(centre=0.45, deep=0.25, from_truth=0.0)


@pytest.fixture
def rngs():
    return [np.random.default_rng(seed) for seed in range(50)]


def _square(x, y, side, size=64):
    mask = torch.zeros(1, size, size)
    mask[:, y : y + side, x : x + side] = 1
    return mask


def test_a_first_click_lies_on_the_object_and_often_at_its_middle(rngs):
    target = _square(20, 30, 17)
    clicks = torch.cat([first_clicks(rngs[:1], target, CENTRED).points_bn2[0] for _ in range(200)])
    cells = clicks // 4
    assert ((cells[:, 0] >= 20) & (cells[:, 0] < 37) & (cells[:, 1] >= 30) & (cells[:, 1] < 47)).all()
    at_middle = (cells == torch.tensor([28, 38])).all(dim=1).float().mean()
    assert 0.35 < at_middle < 0.6


def test_an_object_smaller_than_a_cell_can_be_clicked(rngs):
    target = torch.zeros(1, 64, 64)
    target[0, 12, 40] = 0.2
    assert (first_clicks(rngs[:1], target, CENTRED).points_bn2[0, 0] // 4).tolist() == [40, 12]


def test_a_first_click_on_what_is_absent_is_negative(rngs):
    targets = torch.cat([_square(20, 30, 17), torch.zeros(1, 64, 64)])
    clicks = first_clicks(rngs[:2], targets, CENTRED)
    assert clicks.labels_bn.tolist() == [[1], [0]]
    assert ((clicks.points_bn2 >= 0) & (clicks.points_bn2 < 256)).all()


def test_corrections_are_positive_on_what_is_missed_and_negative_on_what_is_too_much(rngs):
    target, nothing = _square(10, 10, 20), torch.full((1, 64, 64), -5.0)
    missed = correction_clicks(rngs[:1], nothing, target, CENTRED)
    assert missed.labels_bn.tolist() == [[1]]
    x, y = (missed.points_bn2[0, 0] // 4).int().tolist()
    assert target[0, y, x] == 1
    invented = correction_clicks(rngs[:1], -nothing, target, CENTRED)
    assert invented.labels_bn.tolist() == [[0]]
    x, y = (invented.points_bn2[0, 0] // 4).int().tolist()
    assert target[0, y, x] == 0


def test_at_times_the_prediction_is_taken_for_empty(rngs):
    target, everything = _square(10, 10, 20), torch.full((1, 64, 64), 5.0)
    click = correction_clicks(rngs[:1], everything, target, Prompting(from_truth=1.0))
    assert click.labels_bn.tolist() == [[1]]


def test_what_is_drawn_for_an_object_does_not_depend_on_its_company():
    targets = torch.cat([_square(x, 10, 20) for x in (5, 15, 25)])
    together = first_clicks([np.random.default_rng(seed) for seed in range(3)], targets, CENTRED)
    alone = first_clicks([np.random.default_rng(2)], targets[2:], CENTRED)
    assert torch.equal(together.points_bn2[2:], alone.points_bn2)


def test_a_perfect_mask_gets_a_click_on_the_background(rngs):
    target = _square(10, 10, 20)
    click = correction_clicks(rngs[:1], target * 10 - 5, target, CENTRED)
    x, y = (click.points_bn2[0, 0] // 4).int().tolist()
    assert click.labels_bn.tolist() == [[0]]
    assert target[0, y, x] == 0


def test_boxes_are_off_by_a_tenth_of_a_side_at_most(rngs):
    masks = _square(100, 60, 80, 256).repeat(50, 1, 1)
    boxes = jittered_boxes(rngs, masks)
    error = boxes.points_bn2.flatten(1) - torch.tensor([100.0, 60, 179, 139])
    assert boxes.labels_bn[0].tolist() == [2, 3]
    assert 2 < error.abs().max() <= 20 * 256 / 1024


def test_clicks_add_up(rngs):
    target, logits = _square(10, 10, 20), torch.zeros(1, 64, 64)
    first = first_clicks(rngs[:1], target, CENTRED)
    both = with_click(first, correction_clicks(rngs[:1], logits - 5, target, CENTRED), logits)
    assert both.labels_bn.tolist() == [[1, 1]]
    assert torch.equal(both.points_bn2[:, :1], first.points_bn2)
    assert both.mask_logits_bhw is logits
    assert with_click(None, first, logits).labels_bn.tolist() == [[1]]
