"""Losses against the released training code's, and the property that makes the first one useful."""

import pytest
import torch

from sam2_core.model import MaskPrediction
from sam2_core.training.losses import (
    Fit,
    LossWeights,
    balanced_cross_entropy,
    focal_loss,
    loss_terms,
    mask_iou,
)
from tests.parity.golden import golden as read_golden
from tests.parity.golden_rules import loss_inputs

PAPER = LossWeights()


def predicted(logits, iou=None, score=None):
    """Four masks of one object each, of which some may be given as the only ones."""
    batch = logits.shape[0]
    iou = torch.ones(batch, 4) if iou is None else iou
    score = torch.ones(batch) if score is None else score
    return MaskPrediction(logits, iou, torch.zeros(batch, 4, 8), score, torch.zeros(1, 8))


def released(masks, ious, scores):
    """What the released code answered, three candidates or a single mask, as one of four."""
    masks, ious = torch.from_numpy(masks), torch.from_numpy(ious)
    blank_masks, blank_ious = torch.zeros(len(masks), 4, *masks.shape[2:]), torch.zeros(len(masks), 4)
    place = slice(1, 4) if masks.shape[1] == 3 else slice(0, 1)
    blank_masks[:, place], blank_ious[:, place] = masks, ious
    points = 1 if masks.shape[1] == 3 else 2
    return predicted(blank_masks, blank_ious, torch.from_numpy(scores)[:, 0]), points


def test_terms_add_up_to_the_released_codes():
    golden = read_golden("losses.npz")
    truth, frames = loss_inputs()
    terms = [
        loss_terms(*released(*step), torch.from_numpy(target).float(), PAPER)
        for target, steps in zip(truth, frames, strict=True)
        for step in steps
    ]
    objects = truth.shape[1]
    for name, key in (("focal", "mask"), ("dice", "dice"), ("iou", "iou"), ("presence", "class")):
        total = sum(float(getattr(term, name).sum()) for term in terms) / objects
        assert total == pytest.approx(float(golden[f"loss_{key}"][0]), abs=1e-6), name
    total = sum(float(term.total(PAPER).sum()) for term in terms) / objects
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


def fitted(points, fit):
    """Which of the four masks have a gradient when only the second candidate fits."""
    target = torch.zeros(1, 16, 16)
    target[:, 4:12, 4:12] = 1
    right = (target * 2 - 1) * 2
    logits = torch.stack((-right, -right, right, -right), dim=1).requires_grad_()
    loss_terms(predicted(logits), points, target, PAPER, fit).total(PAPER).sum().backward()
    return [bool(mask.any()) for mask in logits.grad[0]]


@pytest.mark.parametrize(
    ("points", "fit", "expected"),
    [
        (0, Fit.ASKED, [False, False, True, False]),
        (1, Fit.ASKED, [False, False, True, False]),
        (2, Fit.ASKED, [True, False, False, False]),
        (0, Fit.ALL, [True, True, True, True]),
        (1, Fit.ALL, [True, False, True, False]),
        (2, Fit.ALL, [True, False, True, False]),
    ],
)
def test_which_masks_have_to_fit(points, fit, expected):
    assert fitted(points, fit) == expected


def test_an_absent_object_only_teaches_that_it_is_absent():
    prediction = predicted(torch.randn(1, 4, 16, 16), torch.rand(1, 4), torch.tensor([2.0]))
    found = loss_terms(prediction, 0, torch.zeros(1, 16, 16), PAPER).total(PAPER)
    assert float(found) == pytest.approx(float(torch.nn.functional.softplus(torch.tensor(2.0))))
