"""Reads the golden fixtures: numbers that the released code computed on rule-made weights and inputs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sam2_core.config import OFFICIAL
from sam2_core.model import SAM2
from tests.parity.golden_rules import fill_

FOLDER = Path(__file__).parent.parent / "fixtures" / "golden"


@lru_cache(maxsize=1)
def golden_model(name: str, image_size: int = 1024, obj_bias: float = 3.0) -> SAM2:
    """The named model with the fixtures' weights."""
    model = SAM2(OFFICIAL[name].at_size(image_size)).eval()
    fill_(model, obj_bias)
    return model


def golden(name: str) -> dict[str, Any]:
    with np.load(FOLDER / name) as file:
        return dict(file)


def sub(tensor: torch.Tensor, stride: int, channels: int = 1) -> np.ndarray:
    """The fixtures' subsampling: every n-th pixel of the last two axes, every m-th channel before them."""
    if channels > 1:
        tensor = tensor[..., ::channels, :, :]
    return tensor[..., ::stride, ::stride].detach().float().cpu().numpy()


def assert_close(actual: Any, expected: Any, tolerance: float | np.ndarray, what: str) -> None:
    actual = np.asarray(actual.detach().cpu() if isinstance(actual, torch.Tensor) else actual, dtype=np.float64)
    expected = np.asarray(expected, dtype=np.float64)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    error = np.abs(actual - expected)
    assert (error <= tolerance).all(), f"{what}: off by {error.max():.3g} where {np.max(tolerance):g} is allowed"
