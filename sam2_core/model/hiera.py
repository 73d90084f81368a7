"""Hiera, the image encoder's trunk: a vision transformer in four stages that attends within windows.

The paper's section 4 and appendix D.1; Ryali et al., 2023. Maps are channel-last inside the trunk. Three things to
know: a stage's first block still uses the previous stage's window; it halves the map by max-pooling its queries; and
windows that reach over the border are filled with zeros that take part in attention.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.config import ModelConfig
from sam2_core.model.layers import MLP, attend

_EPS = 1e-6


def _halve(x_bhwc: Tensor) -> Tensor:
    return F.max_pool2d(x_bhwc.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def _cut_windows(x_bhwc: Tensor, window: int) -> Tensor:
    """``[B, H, W, C] -> [B * windows, window, window, C]``, padded with zeros at the bottom and on the right."""
    height, width = x_bhwc.shape[1:3]
    x = F.pad(x_bhwc, (0, 0, 0, -width % window, 0, -height % window))
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))  # b, rows, window, columns, window, c
    return x.transpose(2, 3).flatten(0, 2)


def _join_windows(x: Tensor, height: int, width: int) -> Tensor:
    """``[B * windows, window, window, C] -> [B, height, width, C]``: the inverse, without the padding."""
    window = x.shape[1]
    rows, columns = -(-height // window), -(-width // window)
    x = x.unflatten(0, (-1, rows, columns)).transpose(2, 3)  # b, rows, window, columns, window, c
    return x.flatten(3, 4).flatten(1, 2)[:, :height, :width]


class Attention(nn.Module):
    """Multi-head attention over the cells of a window; a pooling block answers with one cell in four."""

    def __init__(self, dim_in: int, dim_out: int, heads: int, *, pool: bool) -> None:
        super().__init__()
        self.heads = heads
        self.pool = pool
        self.qkv = nn.Linear(dim_in, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)

    def forward(self, x_bhwc: Tensor) -> Tensor:
        """Shapes: windows ``[B, H, W, C_in] -> [B, H, W, C_out]``, or half of H and W where the block pools."""
        q, k, v = self.qkv(x_bhwc).chunk(3, dim=-1)
        if self.pool:
            q = _halve(q)
        height, width = q.shape[1:3]
        q, k, v = (t.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        out: Tensor = self.proj(attend(q, k, v).transpose(1, 2).flatten(2))
        return out.unflatten(1, (height, width))


class DropPath(nn.Module):
    """Stochastic depth: in training, the whole branch of a sample is left out with this probability."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: any with the batch first, unchanged."""
        if not self.training or self.probability == 0:
            return x
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.probability
        return x * kept / (1 - self.probability)


class Block(nn.Module):
    """One transformer block. ``window`` 0 attends over the whole map; ``pool`` halves it."""

    def __init__(self, dim_in: int, dim_out: int, heads: int, window: int, *, pool: bool, drop_path: float) -> None:
        super().__init__()
        self.window = window
        self.pool = pool
        self.norm1 = nn.LayerNorm(dim_in, eps=_EPS)
        self.attn = Attention(dim_in, dim_out, heads, pool=pool)
        self.norm2 = nn.LayerNorm(dim_out, eps=_EPS)
        self.mlp = MLP((dim_out, 4 * dim_out, dim_out), F.gelu)
        self.drop_path = DropPath(drop_path)
        if dim_in != dim_out:
            self.proj = nn.Linear(dim_in, dim_out)

    def forward(self, x_bhwc: Tensor) -> Tensor:
        """Shapes: ``[B, H, W, C_in] -> [B, H, W, C_out]``, or half of H and W where the block pools."""
        normed = self.norm1(x_bhwc)
        shortcut = _halve(self.proj(normed)) if self.pool else x_bhwc
        if self.window:
            attended = self.attn(_cut_windows(normed, self.window))
            attended = _join_windows(attended, *shortcut.shape[1:3])
        else:
            attended = self.attn(normed)
        x = shortcut + self.drop_path(attended)
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """Overlapping patches of 7 pixels at stride 4."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=7, stride=4, padding=3)

    def forward(self, pixels_b3hw: Tensor) -> Tensor:
        """Shapes: ``[B, 3, H, W] -> [B, H / 4, W / 4, C]``, channels last."""
        out: Tensor = self.proj(pixels_b3hw)
        return out.permute(0, 2, 3, 1)


class Hiera(nn.Module):
    """The trunk. Pooling and channel doubling happen in the first block of stages 2 to 4."""

    def __init__(self, config: ModelConfig, drop_path: float = 0.0) -> None:
        super().__init__()
        dim, heads = config.embed_dim, config.num_heads
        self.patch_embed = PatchEmbed(dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, dim, config.background_size, config.background_size))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, dim, config.windows[0], config.windows[0]))
        self.blocks = nn.ModuleList()
        self.stage_ends: list[int] = []
        depth = sum(config.stages)
        for stage, count in enumerate(config.stages):
            for position in range(count):
                index = len(self.blocks)
                first = stage > 0 and position == 0
                window = config.windows[stage - 1] if first else config.windows[stage]
                self.blocks.append(
                    Block(
                        dim_in=dim // 2 if first else dim,
                        dim_out=dim,
                        heads=heads,
                        window=0 if index in config.global_blocks else window,
                        pool=first,
                        drop_path=drop_path * index / max(depth - 1, 1),
                    )
                )
            self.stage_ends.append(len(self.blocks) - 1)
            dim, heads = 2 * dim, 2 * heads

    def position(self, height: int, width: int) -> Tensor:
        """A coarse table stretched over the map plus a window's table repeated over it, ``[1, H, W, C]``."""
        # Bicubic interpolation is always done in float32: in bfloat16 it would be done cell by cell.
        table = F.interpolate(self.pos_embed.float(), size=(height, width), mode="bicubic").to(self.pos_embed.dtype)
        window = self.pos_embed_window
        tiled = window.tile(1, 1, height // window.shape[2], width // window.shape[3])
        return (table + tiled).permute(0, 2, 3, 1)

    def forward(self, pixels_b3hw: Tensor) -> list[Tensor]:
        """Shapes: ``[B, 3, S, S]`` -> four maps ``[B, C_i, S / s, S / s]`` with s = 4, 8, 16, 32."""
        x = self.patch_embed(pixels_b3hw)
        x = x + self.position(*x.shape[1:3])
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                maps.append(x.permute(0, 3, 1, 2))
        return maps
