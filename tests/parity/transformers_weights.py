"""Hugging Face's Sam2VideoModel with the configuration and the weights of one of our models.

The tensors are the same but for two: the four point embeddings are one table there, and the random Fourier matrix is
stored twice.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from sam2_core.model import SAM2

transformers = pytest.importorskip("transformers", reason="transformers is not installed: see requirements-dev.txt")

_FOURIER = "shared_image_embedding.positional_embedding"
_POINTS = "prompt_encoder.point_embeddings."

# Applied in this order. Three-layer heads come before two-layer MLPs: `layers.1` is the middle of the one and the end
# of the other.
_HEAD = r"((?:output_hypernetworks_mlps\.\d|iou_prediction_head|pred_obj_score_head|obj_ptr_proj)\.)"
_RENAMES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (_HEAD + r"layers\.0\.", r"\1proj_in."),
        (_HEAD + r"layers\.1\.", r"\1layers.0."),
        (_HEAD + r"layers\.2\.", r"\1proj_out."),
        (r"\bmlp\.layers\.0\.", "mlp.proj_in."),
        (r"\bmlp\.layers\.1\.", "mlp.proj_out."),
        (r"\bout_proj\.", "o_proj."),
        (r"\bnorm(\d?)\.", r"layer_norm\1."),
        (r"\bnorm_final_attn\.", "layer_norm_final_attn."),
        (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
        (r"\bpatch_embed\.proj\.", "patch_embed.projection."),
        (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
        (r"^sam_prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix", _FOURIER),
        (r"^sam_prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
        (r"^sam_prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
        (r"^sam_prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
        (r"^sam_prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
        (r"^sam_prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
        (r"^sam_prompt_encoder\.", "prompt_encoder."),
        (r"^sam_mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
        (r"^sam_mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
        (r"^sam_mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
        (r"^sam_mask_decoder\.", "mask_decoder."),
        (r"^memory_encoder\.o_proj\.", "memory_encoder.projection."),
        (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
        (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
        (r"\bdwconv\.", "depthwise_conv."),
        (r"\bpwconv(\d)\.", r"pointwise_conv\1."),
        (r"\bgamma$", "scale"),
        (r"\bmask_downsampler\.encoder\.12\.", "mask_downsampler.final_conv."),
        (r"^no_mem_embed$", "no_memory_embedding"),
        (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
        (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
        (r"^no_obj_ptr$", "no_object_pointer"),
        (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
        (r"^obj_ptr_proj\.", "object_pointer_proj."),
        (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
    )
)
_MASK_BRANCH = re.compile(r"\bmask_downsampler\.encoder\.(\d+)\.")


def their_name(name: str) -> str:
    """The name there of one of our tensors."""
    for pattern, replacement in _RENAMES:
        name = pattern.sub(replacement, name)
    return _MASK_BRANCH.sub(_mask_branch_layer, name)


def _mask_branch_layer(match: re.Match[str]) -> str:
    """Ours is a sequence of convolution, norm and activation, four times; there the three are one layer."""
    layer, part = divmod(int(match[1]), 3)
    return f"mask_downsampler.layers.{layer}.{('conv', 'layer_norm')[part]}."


def their_state(model: SAM2) -> dict[str, torch.Tensor]:
    """All of our tensors under the names there."""
    state = {their_name(name): tensor for name, tensor in model.state_dict().items()}
    points = [state.pop(f"{_POINTS}{label}.weight") for label in range(4)]
    state["prompt_encoder.point_embed.weight"] = torch.cat(points)
    state["prompt_encoder.shared_embedding.positional_embedding"] = state[_FOURIER]
    return state


def their_config(model: SAM2) -> Any:
    """The same architecture at the same image size; their defaults are those of sam2.1-hiera-tiny."""
    ours = model.config
    grid = ours.grid
    config = transformers.Sam2VideoConfig(image_size=ours.image_size, memory_attention_rope_feat_sizes=[grid, grid])
    config.prompt_encoder_config.image_size = ours.image_size
    config.vision_config.backbone_feature_sizes = [[grid * scale, grid * scale] for scale in (4, 2, 1)]
    return config
