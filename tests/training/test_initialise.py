"""A new model looks where it is, and its features start at the promised sizes."""

import pytest
import torch

from sam2_core.config import POCKET
from sam2_core.model import SAM2
from sam2_core.model.positions import rotate, rotation_table
from sam2_core.training.initialise import FEATURE_STD, SKIP_STD, calibrate, initialise


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = SAM2(POCKET)
    initialise(model)
    return model


def test_pocket_has_as_many_numbers_as_its_configuration_says(model):
    assert sum(value.numel() for value in model.state_dict().values()) == POCKET.parameters


@torch.no_grad()
def test_a_click_attends_to_the_cell_under_it(model):
    attention = model.sam_mask_decoder.transformer.layers[0].cross_attn_token_to_image
    cells = model.sam_prompt_encoder.pe_layer.grid(16).flatten(2)[0].T
    scores = attention.q_proj(cells) @ attention.k_proj(cells).T
    assert (scores.argmax(dim=1) == torch.arange(256)).all()


@torch.no_grad()
def test_memory_attention_starts_at_the_same_place(model):
    attention = model.memory_attention.layers[0].cross_attn_image
    table = rotation_table(128, 16, 16, torch.device("cpu"))
    q, k = (rotate(p.bias.expand(1, 256, -1), table)[0] for p in (attention.q_proj, attention.k_proj))
    scores = (q @ k.T / 128**0.5).softmax(dim=1)
    assert (scores.argmax(dim=1) == torch.arange(256)).all()
    assert scores.diagonal().mean() > 20 / 256


@torch.no_grad()
def test_features_start_small_and_skips_nearly_absent():
    model = SAM2(POCKET)
    initialise(model)
    pixels = torch.randn(2, 3, 256, 256)
    calibrate(model, pixels)
    features = model.encode_image(pixels)
    assert float(features.s16_bchw.std()) == pytest.approx(FEATURE_STD, rel=0.02)
    assert float(features.s4_bchw.std()) == pytest.approx(SKIP_STD, rel=0.02)
    assert float(features.s8_bchw.std()) == pytest.approx(SKIP_STD, rel=0.02)
