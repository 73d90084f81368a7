"""Object pointers: one vector that says what was segmented on a frame, cut into memory-sized tokens (section 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam2_core.model.positions import time_code


class TimelessPointers(nn.Module):
    """SAM 2.0: pointers carry no temporal code."""

    def __init__(self, memory_dim: int) -> None:
        super().__init__()
        self.memory_dim = memory_dim

    def forward(self, code_bpc: Tensor) -> Tensor:
        """Shapes: ``[B, P, C] -> [B, P, D]`` of zeros."""
        return code_bpc.new_zeros(*code_bpc.shape[:-1], self.memory_dim)


def pointer_tokens(pointers_bpc: Tensor, memory_dim: int) -> Tensor:
    """Every pointer as C / D consecutive tokens. Shapes: ``[B, P, C] -> [B, P * C / D, D]``."""
    return pointers_bpc.unflatten(-1, (-1, memory_dim)).flatten(1, 2)


def pointer_code(distances_bp: Tensor, project: nn.Module, dim: int, tokens_each: int) -> Tensor:
    """Temporal code of the tokens of every pointer. Shapes: ``[B, P] -> [B, P * tokens_each, D]``."""
    code: Tensor = project(time_code(distances_bp, dim))
    return code.repeat_interleave(tokens_each, dim=1)


def blend_pointer(pointer: Tensor, present: Tensor, no_object: Tensor) -> Tensor:
    """The pointer where the object is present, the learned *no object* elsewhere.

    Shapes: ``pointer [..., C]``, ``present [...]`` booleans, ``no_object [1, C]``.
    """
    return torch.where(present[..., None], pointer, no_object)
