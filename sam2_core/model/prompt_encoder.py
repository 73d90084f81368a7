"""Prompt encoder: clicks and boxes become tokens, a mask becomes a map (SAM, section 3; the paper's appendix D.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.config import ModelConfig
from sam2_core.model.layers import LayerNorm2d
from sam2_core.model.outputs import EncodedPrompt, PromptTensors
from sam2_core.model.positions import RandomFourier

_NOT_A_POINT = -1


class PromptEncoder(nn.Module):
    """Learned embeddings for the four kinds of points, and three convolutions for a mask."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.model_dim
        self.image_size = config.image_size
        self.grid = config.grid
        self.pe_layer = RandomFourier(dim)
        # negative, positive, top-left, bottom-right
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    def forward(self, prompt: PromptTensors) -> EncodedPrompt:
        """Without any point there is no token; otherwise one *not a point* is appended, in the place of a box."""
        batch = prompt.points_bn2.shape[0]
        sparse = self._tokens(prompt.points_bn2, prompt.labels_bn)
        if prompt.mask_logits_bhw is None:
            dense = self.no_mask_embed.weight[:, :, None, None].expand(batch, -1, self.grid, self.grid)
        else:
            dense = self.mask_downscaling(prompt.mask_logits_bhw[:, None])
        return EncodedPrompt(sparse, dense)

    def _tokens(self, points_bn2: Tensor, labels_bn: Tensor) -> Tensor:
        if points_bn2.shape[1] == 0:
            return points_bn2.new_zeros(points_bn2.shape[0], 0, self.no_mask_embed.embedding_dim)
        points = F.pad(points_bn2, (0, 0, 0, 1))
        labels = F.pad(labels_bn, (0, 1), value=_NOT_A_POINT)[:, :, None]
        # Half a pixel is added in the model's pixels, not in the video's.
        position = self.pe_layer((points + 0.5) / self.image_size)
        kinds = torch.cat(list(self.point_embeddings.parameters()))
        known = position + kinds[labels[:, :, 0].clamp(min=0)]
        return torch.where(labels == _NOT_A_POINT, self.not_a_point_embed.weight, known)
