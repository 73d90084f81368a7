"""Memory encoder: a frame's feature and the mask found in it become a small memory map (the paper's section 4)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.config import ModelConfig
from sam2_core.model.layers import LayerNorm2d

_MASK_CHANNELS = (1, 4, 16, 64, 256)
_MASK_SCALE, _MASK_BIAS = 20.0, -10.0


class MaskDownsampler(nn.Module):
    """Four strided convolutions, from image pixels to stride 16."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for a, b in pairwise(_MASK_CHANNELS):
            parts += [nn.Conv2d(a, b, kernel_size=3, stride=2, padding=1), LayerNorm2d(b), nn.GELU()]
        self.encoder = nn.Sequential(*parts, nn.Conv2d(_MASK_CHANNELS[-1], dim, kernel_size=1))

    def forward(self, mask_b1hw: Tensor) -> Tensor:
        """Shapes: ``[B, 1, S, S] -> [B, C, h, w]``."""
        return self.encoder(mask_b1hw)


class ConvNextBlock(nn.Module):
    """Depth-wise 7x7, then per pixel; the branch is scaled by ``gamma``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(1e-6 * torch.ones(dim))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Shapes: ``[B, C, h, w]``, unchanged."""
        x = self.norm(self.dwconv(x_bchw)).permute(0, 2, 3, 1)
        x = self.gamma * self.pwconv2(F.gelu(self.pwconv1(x)))
        return x_bchw + x.permute(0, 3, 1, 2)


class Fuser(nn.Module):
    """Two ConvNeXt blocks over the sum of feature and mask."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConvNextBlock(dim) for _ in range(2))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Shapes: ``[B, C, h, w]``, unchanged."""
        for layer in self.layers:
            x_bchw = layer(x_bchw)
        return x_bchw


class MemoryEncoder(nn.Module):
    """The image feature is projected once, then shared by all objects of the frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.model_dim
        self.mask_downsampler = MaskDownsampler(dim)
        self.pix_feat_proj = nn.Conv2d(dim, dim, kernel_size=1)
        self.fuser = Fuser(dim)
        self.out_proj = nn.Conv2d(dim, config.memory_dim, kernel_size=1)

    def forward(self, image_bchw: Tensor, mask_bhw: Tensor) -> Tensor:
        """Shapes: feature ``[1 or B, C, h, w]``, mask ``[B, S, S]`` in 0..1 -> ``[B, D, h, w]``."""
        mask = self.mask_downsampler(mask_bhw[:, None] * _MASK_SCALE + _MASK_BIAS)
        return self.out_proj(self.fuser(self.pix_feat_proj(image_bchw) + mask))
