"""Where things are: four codes with four different layouts.

- :func:`sine_map`: a fixed map; y before x; sine and cosine interleaved. For image features and memories.
- :func:`time_code`: for the distance of object pointers; all sines, then all cosines.
- :func:`rotation_table`: rotary code of memory attention; adjacent pairs; columns before rows.
- :class:`RandomFourier`: for clicks and the decoder's map; all sines, then all cosines of a random projection.

Tables are computed once for each size and device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, wraps

import torch
from torch import Tensor, nn

_TEMPERATURE = 10000.0
_Table = Callable[[int, int, int, torch.device], Tensor]


def _table(make: _Table) -> _Table:
    """Cache a table. It is made outside of inference mode, so that training may use what tracking has cached."""

    @lru_cache(maxsize=32)
    @wraps(make)
    def cached(channels: int, height: int, width: int, device: torch.device) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            return make(channels, height, width, device)

    return cached


def _wavelengths(features: int, device: torch.device) -> Tensor:
    index = torch.arange(features, dtype=torch.float32, device=device)
    exponent = 2 * torch.div(index, 2, rounding_mode="floor") / features
    return torch.pow(torch.tensor(_TEMPERATURE, device=device), exponent)


def _interleaved_sine(value_n: Tensor, features: int) -> Tensor:
    angle = value_n[:, None] / _wavelengths(features, value_n.device)
    return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)


@_table
def sine_map(channels: int, height: int, width: int, device: torch.device) -> Tensor:
    """Sine position map ``[height * width, channels]``: half of the channels for y, then half for x."""
    rows = torch.arange(1, height + 1, dtype=torch.float32, device=device) / (height + 1e-6) * 2 * math.pi
    cols = torch.arange(1, width + 1, dtype=torch.float32, device=device) / (width + 1e-6) * 2 * math.pi
    y = _interleaved_sine(rows, channels // 2)[:, None].expand(height, width, channels // 2)
    x = _interleaved_sine(cols, channels // 2)[None].expand(height, width, channels // 2)
    return torch.cat((y, x), dim=2).flatten(0, 1)


def time_code(distance: Tensor, features: int) -> Tensor:
    """Sine code of temporal distances. Shapes: ``[...] -> [..., features]``."""
    angle = distance[..., None] / _wavelengths(features // 2, distance.device)
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


@_table
def rotation_table(channels: int, height: int, width: int, device: torch.device) -> Tensor:
    """Unit complex numbers ``[height * width, channels / 2]``: half of them turn with the column, half with the row."""
    # In this order of rounding: an angle is up to 63 times as wrong as its frequency, and attention amplifies it.
    frequency = 1.0 / _TEMPERATURE ** (torch.arange(0, channels, 4, dtype=torch.float32, device=device) / channels)
    cells = torch.arange(height * width, dtype=torch.float32, device=device)
    cols, rows = cells % width, torch.div(cells, width, rounding_mode="floor")
    angle = torch.cat((torch.outer(cols, frequency), torch.outer(rows, frequency)), dim=1)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotary position code on adjacent channel pairs, computed in float32.

    Shapes: ``x [B, T, C]`` where T is a multiple of the table's rows, ``table [h * w, C / 2]``.
    """
    maps = x.shape[1] // table.shape[0]
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2))).unflatten(1, (maps, table.shape[0]))
    return torch.view_as_real(pairs * table).flatten(-2).flatten(1, 2).to(x.dtype)


class RandomFourier(nn.Module):
    """Code of a position by a fixed random projection (SAM, appendix A). Its matrix is part of the checkpoint."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, channels // 2))

    def forward(self, xy: Tensor) -> Tensor:
        """Shapes: fractions of the image ``[..., 2]`` as (x, y) -> ``[..., C]``."""
        along_x, along_y = self.positional_encoding_gaussian_matrix
        # Products instead of a matrix product, which autocast would round to bfloat16: angles are several turns.
        x, y = (2 * xy - 1).split(1, dim=-1)
        projected = 2 * math.pi * (x * along_x + y * along_y)
        return torch.cat((projected.sin(), projected.cos()), dim=-1)

    def grid(self, size: int) -> Tensor:
        """Code of every cell's centre, ``[1, C, size, size]``."""
        matrix = self.positional_encoding_gaussian_matrix
        centre = (torch.arange(size, dtype=matrix.dtype, device=matrix.device) + 0.5) / size
        y, x = torch.meshgrid(centre, centre, indexing="ij")
        code: Tensor = self(torch.stack((x, y), dim=-1))
        return code.permute(2, 0, 1)[None]
