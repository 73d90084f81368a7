"""Losses against the released training code's, and the property that makes the first one useful."""

import pytest
import torch

from sam2_core.training.losses import (
    LossWeights,
    answer_loss,
    balanced_cross_entropy,
    focal_loss,
    mask_iou,
    paper_terms,
    tracking_loss,
)
from tests.parity.golden import golden as read_golden
from tests.parity.golden_rules import loss_inputs


def test_terms_add_up_to_the_released_codes():
    golden = read_golden("losses.npz")
    truth, frames = loss_inputs()
    terms = [
        paper_terms(torch.from_numpy(m), torch.from_numpy(i), torch.from_numpy(s)[:, 0], torch.from_numpy(t).float())
        for t, steps in zip(truth, frames, strict=True)
        for m, i, s in steps
    ]
    for name, key in (("focal", "mask"), ("dice", "dice"), ("iou", "iou"), ("presence", "class")):
        total = sum(float(getattr(term, name)) for term in terms)
        assert total == pytest.approx(float(golden[f"loss_{key}"][0]), abs=1e-6), name
    total = sum(float(term.total(LossWeights())) for term in terms)
    assert total == pytest.approx(float(golden["core_loss"][0]), abs=1e-5)


def test_balanced_entropy_prefers_a_rough_mask_to_none_and_focal_does_not_care():
    target = torch.zeros(64, 64)
    target[30:38, 30:38] = 1
    empty = torch.full((64, 64), -4.0)
    rough = empty.clone()
    rough[22:46, 22:46] = 4
    assert balanced_cross_entropy(rough, target) < 0.25 * balanced_cross_entropy(empty, target)
    assert focal_loss(rough, target) > focal_loss(empty, target)


def test_iou_of_empty_masks_is_zero_as_in_the_released_code():
    empty = torch.full((2, 8, 8), -1.0)
    assert mask_iou(empty, torch.zeros(2, 8, 8)).tolist() == [0.0, 0.0]


def _prediction():
    target = torch.zeros(1, 16, 16)
    target[:, 4:12, 4:12] = 1
    right = (target * 2 - 1) * 8
    return target, right


def test_for_a_click_only_the_best_candidate_has_to_fit():
    target, right = _prediction()
    one_right = torch.stack((right, right, -right, -right), dim=1)
    all_right = torch.stack((right,) * 4, dim=1)
    weights = LossWeights(iou=0.0, presence=0.0)
    score, iou = torch.ones(1), torch.ones(1, 4)
    assert answer_loss(one_right, iou, score, target, weights) == answer_loss(all_right, iou, score, target, weights)
    assert (
        tracking_loss(one_right, iou, score, target, weights)
        > tracking_loss(all_right, iou, score, target, weights) + 1
    )


def test_an_absent_object_only_teaches_that_it_is_absent():
    logits, target = torch.randn(1, 4, 16, 16), torch.zeros(1, 16, 16)
    weights = LossWeights()
    found = tracking_loss(logits, torch.rand(1, 4), torch.tensor([2.0]), target, weights)
    assert float(found) == pytest.approx(float(torch.nn.functional.softplus(torch.tensor(2.0))))
