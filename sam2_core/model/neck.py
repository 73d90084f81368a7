"""Feature pyramid neck, and the image encoder as trunk plus neck (the paper's appendix D.1).

Only stride 16 gets anything from above (stride 32, upsampled); strides 8 and 4 bypass memory attention and go to the
mask decoder as skips.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.config import ModelConfig
from sam2_core.model.hiera import Hiera


class Lateral(nn.Module):
    """A 1x1 convolution to the model's width."""

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim_in, dim_out, kernel_size=1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Shapes: ``[B, C_in, H, W] -> [B, C_out, H, W]``."""
        return self.conv(x_bchw)


class Neck(nn.Module):
    """Four laterals, coarsest first as in the checkpoint, and one top-down step."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(config.embed_dim * 2**i, config.model_dim) for i in (3, 2, 1, 0))

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes: trunk maps at strides 4, 8, 16, 32 -> ``[B, C, ., .]`` at strides 4, 8, 16."""
        s4, s8, s16, s32 = maps
        lateral32, lateral16, lateral8, lateral4 = self.convs
        top_down = F.interpolate(lateral32(s32).float(), scale_factor=2.0, mode="nearest")
        s16 = lateral16(s16)
        return lateral4(s4), lateral8(s8), s16 + top_down.to(s16.dtype)


class ImageEncoder(nn.Module):
    """Trunk and neck: the part that runs once per frame, however many objects there are."""

    def __init__(self, config: ModelConfig, drop_path: float = 0.0) -> None:
        super().__init__()
        self.trunk = Hiera(config, drop_path)
        self.neck = Neck(config)

    def forward(self, pixels_b3hw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes: ``[B, 3, S, S]`` -> ``[B, C, ., .]`` at strides 4, 8, 16."""
        return self.neck(self.trunk(pixels_b3hw))
