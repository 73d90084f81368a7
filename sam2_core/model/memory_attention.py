"""Memory attention: the frame's feature looks at the memory bank (the paper's section 4 and appendix D.1).

The values of the cross attention are projected from 64-channel memories. Rows of a softmax sum to one, so
``softmax(QK) (M W + b) = (softmax(QK) M) W + b``: aggregating first and projecting afterwards gives the same numbers up
to rounding and saves almost a third of all arithmetic here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.config import ModelConfig
from sam2_core.model.layers import attend
from sam2_core.model.positions import rotate, rotation_table, sine_map

_INPUT_POSITION_SCALE = 0.1


class RotaryAttention(nn.Module):
    """Single-head attention with a rotary position code on queries and keys."""

    def __init__(self, dim: int, memory_dim: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(memory_dim, dim)
        self.v_proj = nn.Linear(memory_dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, table: Tensor, unplaced: int = 0) -> Tensor:
        """Shapes: ``x [B, N, C]``, ``keys, values [B, T, D]``; the last ``unplaced`` keys have no position."""
        q = rotate(self.q_proj(x), table)
        k = self.k_proj(keys)
        placed = k.shape[1] - unplaced
        k = torch.cat((rotate(k[:, :placed], table), k[:, placed:]), dim=1)
        return self.out_proj(self.v_proj(attend(q, k, values)))


class MemoryAttentionLayer(nn.Module):
    """Pre-norm: self-attention, cross-attention to memory, MLP."""

    def __init__(self, config: ModelConfig, dropout: float) -> None:
        super().__init__()
        dim = config.model_dim
        self.self_attn = RotaryAttention(dim, dim)
        self.cross_attn_image = RotaryAttention(dim, config.memory_dim)
        self.linear1 = nn.Linear(dim, config.memory_mlp_dim)
        self.linear2 = nn.Linear(config.memory_mlp_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, table: Tensor, pointer_tokens: int) -> Tensor:
        """Shapes: ``x [1 or B, N, C]``, ``keys, values [B, T, D]`` -> ``[B, N, C]``."""
        normed = self.norm1(x)
        x = x + self.dropout(self.self_attn(normed, normed, normed, table))
        x = x + self.dropout(self.cross_attn_image(self.norm2(x), keys, values, table, pointer_tokens))
        hidden = self.dropout(F.relu(self.linear1(self.norm3(x))))
        return x + self.dropout(self.linear2(hidden))


class MemoryAttention(nn.Module):
    """A stack of layers. Up to the first cross-attention all objects share one feature, so it is computed once."""

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config, dropout) for _ in range(config.memory_layers))
        self.norm = nn.LayerNorm(config.model_dim)

    def forward(self, image_bchw: Tensor, memory: Tensor, memory_code: Tensor, pointer_tokens: int) -> Tensor:
        """Shapes: feature ``[1 or B, C, h, w]``; memory and its position code ``[B, T, D]`` -> ``[B, C, h, w]``."""
        dim, height, width = image_bchw.shape[1:]
        x = image_bchw.flatten(2).transpose(1, 2)
        x = x + _INPUT_POSITION_SCALE * sine_map(dim, height, width, x.device).to(x.dtype)
        table = rotation_table(dim, height, width, x.device)
        keys = memory + memory_code
        for layer in self.layers:
            x = layer(x, keys, memory, table, pointer_tokens)
        out: Tensor = self.norm(x)
        return out.transpose(1, 2).unflatten(2, (height, width))
