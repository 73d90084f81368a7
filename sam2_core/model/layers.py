"""Small parts that several rooms of the model share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SCORES_AT_ONCE = 2**22
"""Attention scores that are held at a time on a CPU: 16 MB in float32, about what its caches like."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``softmax(q k^T / sqrt(d)) v``, exact.

    On a CPU queries are taken a few at a time: the scores stay in the cache, values may be narrower than keys (which
    PyTorch's own kernel answers with its slow path), and the backward pass is twice as fast as that kernel's.

    Shapes: ``q [..., N, d]``, ``k [..., M, d]``, ``v [..., M, e]`` -> ``[..., N, e]``; a leading size of 1 is repeated.
    """
    batch = max(q.shape[:-2], k.shape[:-2], key=torch.Size.numel)
    if q.is_cuda:
        q, k, v = (t.expand(*batch, -1, -1) for t in (q, k, v))
        if q.ndim == 3:  # the fused kernels want heads; without them every score would be held
            return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return F.scaled_dot_product_attention(q, k, v)
    q = q * q.shape[-1] ** -0.5
    keys = k.transpose(-2, -1)
    rows = max(16, _SCORES_AT_ONCE // (batch.numel() * k.shape[-2]))
    if rows >= q.shape[-2]:
        return (q @ keys).softmax(dim=-1) @ v
    return torch.cat([(chunk @ keys).softmax(dim=-1) @ v for chunk in q.split(rows, dim=-2)], dim=-2)


class LayerNorm2d(nn.Module):
    """Normalisation over the channels of every pixel of ``[B, C, H, W]``, eps 1e-6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Shapes: ``[B, C, H, W]``, unchanged."""
        x = F.layer_norm(x_bchw.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6)
        return x.permute(0, 3, 1, 2)


class MLP(nn.Module):
    """Linear layers with an activation between them."""

    def __init__(
        self, widths: tuple[int, ...], activation: Callable[[Tensor], Tensor] = F.relu, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation = activation
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: ``[..., widths[0]] -> [..., widths[-1]]``."""
        for layer in self.layers[:-1]:
            x = self.dropout(self.activation(layer(x)))
        return self.layers[-1](x)
