"""How a model of this architecture must start in order to learn from a thousand pictures.

From an ordinary initialisation the decoder ignores its prompts for hundreds of steps: the path from a click to the mask
runs through attention that knows no places yet and drowns in the noise of untrained skips. Three choices open it, and
none changes the architecture or the checkpoint:

1. the high-resolution skips start near zero;
2. attention starts as a kernel of location, a query looks where it is. In the decoder keys are projected as queries
   are, so the product of two position codes peaks where they coincide; in memory attention constant queries and keys,
   turned by the rotary code, do the same;
3. image features start small beside the position codes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam2_core.model import SAM2
from sam2_core.model.memory_attention import RotaryAttention
from sam2_core.model.memory_encoder import ConvNextBlock
from sam2_core.model.two_way import Attention

FEATURE_STD = 0.4
"""Of the stride-16 feature, whose position code has 0.7."""
SKIP_STD = 0.03
"""Of the two high-resolution skips; at 1 they hide every click."""
_DECODER_GAIN = 1.5
_LABEL_STD, _TOKEN_STD, _EMBED_STD = 0.1, 0.3, 0.02
_BRANCH_SCALE = 0.5
_VISIBLE_BIAS = 2.0
_ROTARY_BANDS, _ROTARY_PEAK = 8, 6.0


@torch.no_grad()
def initialise(model: SAM2) -> None:
    """Fill all weights from torch's global generator."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, ConvNextBlock):
            nn.init.constant_(module.gamma, _BRANCH_SCALE)
    _draw_vectors(model)
    _look_where_you_are(model)


def _draw_vectors(model: SAM2) -> None:
    trunk, decoder, prompts = model.image_encoder.trunk, model.sam_mask_decoder, model.sam_prompt_encoder
    for table in (trunk.pos_embed, trunk.pos_embed_window, model.maskmem_tpos_enc):
        nn.init.normal_(table, std=_EMBED_STD)
    for vector in (model.no_mem_embed, model.no_obj_ptr, model.no_obj_embed_spatial, prompts.no_mask_embed.weight):
        if vector is not None:
            nn.init.normal_(vector, std=_EMBED_STD)
    for embedding in (*prompts.point_embeddings, prompts.not_a_point_embed):
        nn.init.normal_(embedding.weight, std=_LABEL_STD)
    for embedding in (decoder.obj_score_token, decoder.iou_token, decoder.mask_tokens):
        nn.init.normal_(embedding.weight, std=_TOKEN_STD)
    nn.init.constant_(model.get_parameter("sam_mask_decoder.pred_obj_score_head.layers.2.bias"), _VISIBLE_BIAS)


def _look_where_you_are(model: SAM2) -> None:
    for name, module in model.named_modules():
        if isinstance(module, Attention) and "self_attn" not in name:
            nn.init.orthogonal_(module.q_proj.weight, gain=_DECODER_GAIN)
            module.k_proj.weight.copy_(module.q_proj.weight)
        if isinstance(module, RotaryAttention) and "self_attn" not in name:
            bias = _rotary_bias(module.q_proj.out_features)
            module.q_proj.bias.copy_(bias)
            module.k_proj.bias.copy_(bias)


def _rotary_bias(dim: int) -> Tensor:
    """A constant whose product with itself, both rotated, peaks at distance zero. Shape ``[dim]``.

    Only the fastest bands of either axis can tell neighbouring cells apart.
    """
    bias = torch.zeros(2, dim // 4, 2)  # columns and rows; frequencies, fastest first; real and imaginary part
    bias[:, :_ROTARY_BANDS, 0] = (_ROTARY_PEAK * dim**0.5 / (2 * _ROTARY_BANDS)) ** 0.5
    return bias.flatten()


@torch.no_grad()
def calibrate(model: SAM2, pixels_b3hw: Tensor) -> None:
    """Give the encoder's outputs their starting sizes, measured on real pictures."""
    stride32, stride16 = (f"image_encoder.neck.convs.{index}.conv" for index in range(2))
    feature = model.encode_image(pixels_b3hw).s16_bchw
    mean, scale = feature.mean(dim=(0, 2, 3)), FEATURE_STD / feature.std(dim=(0, 2, 3))
    for lateral in (stride32, stride16):
        model.get_parameter(f"{lateral}.weight").mul_(scale[:, None, None, None])
        model.get_parameter(f"{lateral}.bias").mul_(scale)
    model.get_parameter(f"{stride16}.bias").sub_(mean * scale)
    features = model.encode_image(pixels_b3hw)
    decoder = model.sam_mask_decoder
    for conv, skip in ((decoder.conv_s0, features.s4_bchw), (decoder.conv_s1, features.s8_bchw)):
        conv.weight.mul_(SKIP_STD / skip.std())
