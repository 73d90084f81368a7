"""Mask decoder: four masks, their predicted IoUs, and whether the object is there (the paper's section 4, figure 9)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.config import ModelConfig
from sam2_core.model.layers import MLP, LayerNorm2d
from sam2_core.model.outputs import EncodedPrompt, ImageFeatures
from sam2_core.model.two_way import TwoWayTransformer

MASKS = 4
"""One single answer and three candidates."""


class MaskDecoder(nn.Module):
    """Reads prompt tokens against an image feature and draws masks at stride 4."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.model_dim
        self.transformer = TwoWayTransformer(dim, config.decoder_mlp_dim)
        self.obj_score_token = nn.Embedding(1, dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(MASKS, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        # Applied once per image, by SAM2.encode_image, although they belong to the decoder's weights.
        self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
        self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP((dim, dim, dim, dim // 8)) for _ in range(MASKS))
        self.iou_prediction_head = MLP((dim, dim, dim, MASKS))
        self.pred_obj_score_head = MLP((dim, dim, dim, 1))

    def forward(
        self, features: ImageFeatures, image_bchw: Tensor, image_code_1chw: Tensor, prompt: EncodedPrompt
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Shapes: masks ``[B, 4, 4h, 4w]``, IoUs ``[B, 4]``, mask tokens ``[B, 4, C]``, object score ``[B]``."""
        batch = prompt.sparse_bnc.shape[0]
        own = torch.cat((self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight))
        tokens = torch.cat((own.expand(batch, -1, -1), prompt.sparse_bnc), dim=1)
        source = image_bchw + prompt.dense_bchw
        height, width = source.shape[2:]
        code = image_code_1chw.flatten(2).transpose(1, 2)
        tokens, image = self.transformer(tokens, source.flatten(2).transpose(1, 2), code)

        mask_tokens = tokens[:, 2 : 2 + MASKS]
        pixels = self._upscale(image.transpose(1, 2).unflatten(2, (height, width)), features)
        weights = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)
        masks = (weights @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])
        iou = self.iou_prediction_head(tokens[:, 1]).sigmoid()
        return masks, iou, mask_tokens, self.pred_obj_score_head(tokens[:, 0])[:, 0]

    def _upscale(self, image_bchw: Tensor, features: ImageFeatures) -> Tensor:
        """To stride 4. The skips come in before the normalisation and before the last activation."""
        up8, norm, _, up4, _ = self.output_upscaling
        x = F.gelu(norm(up8(image_bchw) + features.s8_bchw))
        return F.gelu(up4(x) + features.s4_bchw)
