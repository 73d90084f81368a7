"""The border between the video's coordinates and the model's."""

from __future__ import annotations

import numpy as np
import torch

from sam2_core.config import POCKET
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.rle import Rle
from sam2_core.tracking.pixels import (
    Resampling,
    fill_holes,
    low_resolution,
    model_mask,
    model_pixels,
    point_tensors,
    set_apart,
    video_logits,
)


def test_box_corners_come_before_clicks() -> None:
    tensors = point_tensors(
        Prompt((Point(0.5, 0.25), Point(1, 0, positive=False)), Box(0, 0.5, 0.25, 1)), POCKET.at_size(256)
    )
    assert tensors.points_bn2.tolist() == [[[0, 128], [64, 256], [128, 64], [256, 0]]]
    assert tensors.labels_bn.tolist() == [[2, 3, 1, 0]]


def test_a_frame_of_the_models_size_is_only_normalised() -> None:
    frame = np.full((32, 32, 3), (124, 116, 104), dtype=np.uint8)
    for resampling in Resampling:
        assert model_pixels(frame, 32, resampling).abs().max() < 0.02


def test_small_holes_are_filled_and_large_ones_are_not() -> None:
    logits = torch.full((2, 20, 20), 5.0)
    logits[:, 2:4, 2:6] = -3.0  # 8 pixels
    logits[:, 10:13, 10:13] = -3.0  # 9 pixels
    logits[0, 4, 6] = -3.0  # touches the first hole by a corner: eight neighbours connect
    filled = fill_holes(logits, 8)
    assert (filled[1, 2:4, 2:6] == torch.tensor(0.1)).all()
    assert (filled[0, 2:4, 2:6] == -3).all()
    assert (filled[:, 10:13, 10:13] == -3).all()
    assert (filled[1] == 5).sum() == 400 - 8 - 9
    assert (logits[:, 2:4, 2:6] == -3).all()


def test_no_hole_is_filled_where_nothing_is() -> None:
    empty = torch.full((1, 8, 8), -1024.0)
    assert (fill_holes(empty, 8) == empty).all()
    assert fill_holes(empty, 0) is empty


def test_the_strongest_object_keeps_a_pixel() -> None:
    logits = torch.tensor([[[3.0, 1.0, -20.0]], [[2.0, 1.0, 4.0]]])
    assert set_apart(logits).tolist() == [[[3.0, 1.0, -20.0]], [[-10.0, -10.0, 4.0]]]


def test_one_object_is_never_cut() -> None:
    logits = torch.randn(1, 5, 5)
    assert (video_logits(logits, 9, 7, apart=True) == video_logits(logits, 9, 7)).all()


def test_a_mask_of_half_a_pixel_is_decided_at_one_half() -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[:, :2] = True
    assert model_mask(Rle.encode(mask), 8)[0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert (low_resolution(torch.ones(1, 8, 8), 2) - 10).abs().max() < 1e-5
