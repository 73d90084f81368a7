"""The image half of the model against the released code's numbers, stage by stage and prompt by prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.model import SAM2, ImageFeatures, MaskPrediction, PromptTensors
from sam2_core.model.positions import sine_map, time_code
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.tracking.pixels import Resampling, model_pixels, point_tensors, video_logits
from tests.parity.golden import assert_close, golden, golden_model, sub
from tests.parity.golden_rules import image_u8, mask_input_256

TOLERANCE = 1e-4
HEIGHT, WIDTH = 600, 800


def prompt(*clicks: tuple[float, float, bool], box: tuple[float, float, float, float] | None = None) -> Prompt:
    points = tuple(Point(x / WIDTH, y / HEIGHT, positive) for x, y, positive in clicks)
    corners = Box(box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT) if box else None
    return Prompt(points, corners)


HALF_PIXEL, FIRST, MORE = (250.5, 205, True), (250, 205, True), ((640, 430, False), (60.25, 540.75, True))
BOX = (500, 320, 690, 490)
CASES: dict[str, tuple[Prompt | None, bool, float | None]] = {
    # name: clicks and box, with the mask input?, stability limit of the single mask (None: three candidates)
    "point1_multi": (prompt(HALF_PIXEL), False, None),
    "points3_single": (prompt(FIRST, *MORE), False, 0.98),
    "points3_single_thr0.95": (prompt(FIRST, *MORE), False, 0.95),
    "box_single": (prompt(box=BOX), False, 0.98),
    "box_point_multi": (prompt((600, 400, False), box=BOX), False, None),
    "maskinput_point": (prompt(FIRST), True, 0.98),
    "maskinput_only": (None, True, None),
}

VARIANTS = [
    pytest.param(("sam2.1-hiera-tiny", "image_sam2.1_hiera_tiny.npz"), id="2.1-tiny"),
    pytest.param(("sam2-hiera-tiny", "image_sam2.1_hiera_tiny.npz"), id="2.0-tiny", marks=pytest.mark.slow),
    pytest.param(
        ("sam2.1-hiera-base-plus", "image_sam2.1_hiera_base_plus.npz"), id="2.1-base-plus", marks=pytest.mark.slow
    ),
]


@dataclass(frozen=True)
class Encoded:
    """One model's view of the test image, with every stage kept."""

    model: SAM2
    expected: dict[str, Any]
    pixels: torch.Tensor
    trunk: list[torch.Tensor]
    pyramid: tuple[torch.Tensor, ...]
    features: ImageFeatures
    embedding: torch.Tensor

    def predict(self, tensors: PromptTensors) -> MaskPrediction:
        with torch.inference_mode():
            return self.model.decode(self.features, self.embedding, self.model.encode_prompt(tensors))


@pytest.fixture(scope="module", params=VARIANTS)
def encoded(request: pytest.FixtureRequest) -> Encoded:
    name, fixture = request.param
    model = golden_model(name)
    pixels = model_pixels(image_u8(HEIGHT, WIDTH), 1024, Resampling.PHOTOGRAPH)[None]
    with torch.inference_mode():
        trunk = model.image_encoder.trunk(pixels)
        pyramid = model.image_encoder.neck(trunk)
        features = model.encode_image(pixels)
        return Encoded(model, golden(fixture), pixels, trunk, pyramid, features, model.condition(features, None))


def test_encoder_stages(encoded: Encoded) -> None:
    stages = {
        "input": (encoded.pixels, 31, 1),
        **{f"trunk_stage{i}": (m, s, 5) for i, (m, s) in enumerate(zip(encoded.trunk, (11, 11, 7, 7), strict=True))},
        **{f"fpn{i}": (m, 11, 17) for i, m in enumerate(encoded.pyramid)},
        "feat0_s0": (encoded.features.s4_bchw, 11, 3),
        "feat1_s1": (encoded.features.s8_bchw, 7, 5),
        "image_embed": (encoded.embedding, 5, 5),
    }
    for name, (tensor, stride, channels) in stages.items():
        assert_close(sub(tensor[0], stride, channels), encoded.expected[name], TOLERANCE, name)
        full = tensor[0]
        found = [full.mean(), full.std(unbiased=False), full.min(), full.max()]
        assert_close(np.array(found), encoded.expected[f"{name}__stats"], TOLERANCE, f"{name} statistics")


def test_position_codes(encoded: Encoded) -> None:
    sine = sine_map(256, 64, 64, torch.device("cpu")).T.unflatten(1, (64, 64))
    assert_close(sub(sine, 11, 17), encoded.expected["sine_pos_level2"], 1e-5, "sine map")
    dense = encoded.model.sam_prompt_encoder.pe_layer.grid(64)[0]
    assert_close(sub(dense, 11, 17), encoded.expected["dense_pe"], 1e-5, "decoder's map")


@pytest.mark.parametrize("case", CASES)
def test_prompts(encoded: Encoded, case: str) -> None:
    said, with_mask, limit = CASES[case]
    # The case with another stability limit says the same prompt, so its tokens are stored once.
    expected = {
        key.split("/", 1)[1]: value
        for prefix in (case.split("_thr")[0], case)
        for key, value in encoded.expected.items()
        if key.startswith(f"{prefix}/")
    }
    mask = torch.from_numpy(mask_input_256()) if with_mask else None
    if said is None:
        tensors = PromptTensors(torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.int64), mask)
    else:
        tensors = point_tensors(said, encoded.model.config, mask)

    with torch.inference_mode():
        tokens = encoded.model.encode_prompt(tensors)
    assert_close(tokens.sparse_bnc[0, :, ::4], expected["sparse"], TOLERANCE, "prompt tokens")
    assert_close(sub(tokens.dense_bchw[0], 17, 17), expected["dense"], TOLERANCE, "prompt map")

    prediction = encoded.predict(tensors)
    assert_close(sub(prediction.logits_bmhw[0], 13), expected["all4_masks"], TOLERANCE, "all four masks")
    assert_close(prediction.iou_bm[0], expected["all4_iou"], TOLERANCE, "all four IoUs")
    assert_close(prediction.object_score_b, expected["obj_score"], TOLERANCE, "object score")
    assert_close(prediction.stability(), expected["stability_token0"], TOLERANCE, "stability")

    if limit is None:
        low, iou = prediction.logits_bmhw[0, 1:], prediction.iou_bm[0, 1:]
    else:
        chosen = prediction.stable(limit)
        low, iou = chosen.logits_bhw, chosen.iou_b
    assert_close(iou, expected["iou"], TOLERANCE, "predicted IoU")
    assert_close(sub(low.clamp(-32, 32), 7), expected["low_res"], TOLERANCE, "low-resolution masks")
    assert_close(sub(video_logits(low, HEIGHT, WIDTH), 23), expected["masks_logits"], TOLERANCE, "masks")


def test_best_candidate(encoded: Encoded) -> None:
    prediction = encoded.predict(point_tensors(prompt(HALF_PIXEL), encoded.model.config))
    best = int(encoded.expected["_best_of_point1_multi"][0])
    torch.testing.assert_close(prediction.best().logits_bhw[0], prediction.logits_bmhw[0, best + 1])
    torch.testing.assert_close(prediction.choose(best).pointer_bc, prediction.best().pointer_bc)


def test_two_boxes_share_one_image(encoded: Encoded) -> None:
    boxes = [point_tensors(prompt(box=box), encoded.model.config) for box in (BOX, (120, 90, 360, 320))]
    both = PromptTensors(torch.cat([b.points_bn2 for b in boxes]), torch.cat([b.labels_bn for b in boxes]))
    chosen = encoded.predict(both).stable(0.98)
    assert_close(chosen.iou_b[:, None], encoded.expected["boxes2_single/iou"], TOLERANCE, "predicted IoU")
    low = sub(chosen.logits_bhw.clamp(-32, 32), 13)[:, None]
    assert_close(low, encoded.expected["boxes2_single/low_res"], TOLERANCE, "masks")


@pytest.mark.parametrize(("which", "size"), [("down", (1300, 1900)), ("up", (300, 500))])
def test_preprocessing(which: str, size: tuple[int, int]) -> None:
    expected = golden("preprocess.npz")
    image = image_u8(*size, 3)
    photograph = model_pixels(image, 1024, Resampling.PHOTOGRAPH)
    assert_close(sub(photograph, 41), expected[f"{which}_image_predictor"], 1e-5, "photograph")
    frame = model_pixels(image, 1024, Resampling.VIDEO_FRAME)
    assert_close(sub(frame, 41), expected[f"{which}_video_frame"], 1e-6, "video frame")


def test_pointer_time_code() -> None:
    expected = golden("misc.npz")
    code = time_code(torch.from_numpy(expected["sine_1d_256_pos"]), 256)
    assert_close(code, expected["sine_1d_256"], 1e-6, "time code")
