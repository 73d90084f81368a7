"""SAM 2 as five verbs (the paper's section 4 and figure 3). Nothing is remembered here: state goes in and comes out.

- ``encode_image``: pixels -> features, once per frame.
- ``encode_prompt``: clicks, box corners, previous mask -> tokens and a map.
- ``condition``: features -> features that have looked at the memory bank.
- ``decode``: features and prompt -> four masks, predicted IoUs, object pointers, object score.
- ``remember``: features and a mask -> a memory map.

and ``adopt_mask``, for a mask that a person gave and that needs no decoding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.config import MEMORY_FRAMES, ModelConfig
from sam2_core.model.layers import MLP
from sam2_core.model.mask_decoder import MaskDecoder
from sam2_core.model.memory_attention import MemoryAttention
from sam2_core.model.memory_encoder import MemoryEncoder
from sam2_core.model.neck import ImageEncoder
from sam2_core.model.object_pointer import TimelessPointers, blend_pointer, pointer_code, pointer_tokens
from sam2_core.model.outputs import (
    GIVEN_MASK_LOGIT,
    EncodedPrompt,
    ImageFeatures,
    MaskPrediction,
    MemoryContext,
    PromptTensors,
    Selection,
)
from sam2_core.model.positions import sine_map
from sam2_core.model.prompt_encoder import PromptEncoder


class SAM2(nn.Module):
    """Segment Anything Model 2. Parameter names and shapes are the official checkpoints'.

    Args:
        config: which model.
        dropout: in memory attention, in training only.
        drop_path: stochastic depth of the trunk's last block, in training only.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.config = config
        dim, memory_dim = config.model_dim, config.memory_dim
        self.image_encoder = ImageEncoder(config, drop_path)
        self.memory_attention = MemoryAttention(config, dropout)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(config)
        self.sam_mask_decoder = MaskDecoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.maskmem_tpos_enc = nn.Parameter(torch.zeros(MEMORY_FRAMES, 1, 1, memory_dim))
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, dim))
        self.no_mem_pos_enc = nn.Parameter(torch.zeros(1, 1, dim))  # in every checkpoint, used by none
        self.obj_ptr_proj = MLP((dim, dim, dim, dim))
        self.no_obj_ptr = nn.Parameter(torch.zeros(1, dim))
        self.obj_ptr_tpos_proj: nn.Module
        self.no_obj_embed_spatial: nn.Parameter | None
        if config.version == "2.0":
            self.obj_ptr_tpos_proj = TimelessPointers(memory_dim)
            self.register_parameter("no_obj_embed_spatial", None)
        else:
            self.obj_ptr_tpos_proj = nn.Linear(dim, memory_dim)
            self.no_obj_embed_spatial = nn.Parameter(torch.zeros(1, memory_dim))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.no_mem_embed.device

    @property
    def compute_dtype(self) -> torch.dtype:
        """Number type of the heavy parts; see :meth:`to_precision`."""
        return self.image_encoder.trunk.pos_embed.dtype

    def to_precision(self, dtype: torch.dtype) -> SAM2:
        """Run the heavy parts in ``dtype``; prompts, masks and scores are always computed in float32.

        Click positions and mask borders need the precision; image encoder, memory attention and memory encoder, which
        take nearly all of the time, do not.
        """
        heavy = (self.image_encoder, self.memory_attention, self.memory_encoder)
        for part in (*heavy, self.sam_mask_decoder.conv_s0, self.sam_mask_decoder.conv_s1):
            part.to(dtype)
        return self

    def encode_image(self, pixels_b3hw: Tensor) -> ImageFeatures:
        """Shapes: normalised RGB ``[B, 3, S, S]`` -> features at strides 4, 8 and 16."""
        s4, s8, s16 = self.image_encoder(pixels_b3hw.to(self.compute_dtype))
        decoder = self.sam_mask_decoder
        return ImageFeatures(decoder.conv_s0(s4).float(), decoder.conv_s1(s8).float(), s16)

    def encode_prompt(self, prompt: PromptTensors) -> EncodedPrompt:
        """Tokens and map of a batch of prompts."""
        return self.sam_prompt_encoder(prompt)

    def condition(self, features: ImageFeatures, context: MemoryContext | None) -> Tensor:
        """The image feature after its look at the memory bank; ``None`` for a frame without any memory.

        Shapes: features of 1 or B images, context of B objects -> ``[1 or B, C, h, w]`` float32.
        """
        if context is None:
            return features.s16_bchw.float() + self.no_mem_embed.view(1, -1, 1, 1)
        memory, code, pointers = self._memory_tokens(context)
        dtype = features.s16_bchw.dtype
        return self.memory_attention(features.s16_bchw, memory.to(dtype), code.to(dtype), pointers).float()

    def _memory_tokens(self, context: MemoryContext) -> tuple[Tensor, Tensor, int]:
        """Maps, then pointers, as tokens ``[B, T, D]`` with their position code, and how many belong to pointers."""
        dim, height, width = context.maps_bldhw.shape[2:]
        maps = context.maps_bldhw.flatten(3).transpose(2, 3)  # B, L, h * w, D
        place = sine_map(dim, height, width, maps.device)
        map_code = self.maskmem_tpos_enc[context.rows_bl, 0] + place  # B, L, 1, D + h * w, D
        pointers = pointer_tokens(context.pointers_bpc, dim)
        each = self.config.model_dim // dim
        code = pointer_code(context.distances_bp, self.obj_ptr_tpos_proj, self.config.model_dim, each)
        memory = torch.cat((maps.flatten(1, 2).to(pointers.dtype), pointers), dim=1)
        return memory, torch.cat((map_code.flatten(1, 2), code), dim=1), pointers.shape[1]

    def decode(self, features: ImageFeatures, conditioned_bchw: Tensor, prompt: EncodedPrompt) -> MaskPrediction:
        """Masks for B prompts. Shapes: features and conditioned feature of 1 or B images."""
        code = self.sam_prompt_encoder.pe_layer.grid(conditioned_bchw.shape[-1])
        masks, iou, tokens, score = self.sam_mask_decoder(features, conditioned_bchw.float(), code, prompt)
        return MaskPrediction(masks, iou, self.obj_ptr_proj(tokens), score, self.no_obj_ptr)

    def adopt_mask(self, features: ImageFeatures, mask_bhw: Tensor) -> Selection:
        """A given mask as the answer; the decoder runs only to make a pointer from it.

        Shapes: ``mask_bhw [B, S, S]`` with 0 and 1.
        """
        encoded = self.encode_prompt(
            PromptTensors.nothing(mask_bhw.shape[0], mask_bhw.device, self.mask_downsample(mask_bhw[:, None])[:, 0])
        )
        pointer = self.decode(features, features.s16_bchw.float(), encoded).single().pointer_bc
        present = mask_bhw.flatten(1).any(dim=1)
        low_size = (self.config.mask_size, self.config.mask_size)
        low = F.interpolate(mask_bhw[:, None], size=low_size, mode="bilinear", antialias=True)[:, 0]
        return Selection(
            logits_bhw=low * 2 * GIVEN_MASK_LOGIT - GIVEN_MASK_LOGIT,
            iou_b=torch.ones_like(pointer[:, 0]),
            pointer_bc=blend_pointer(pointer, present, self.no_obj_ptr),
            object_score_b=torch.where(present, GIVEN_MASK_LOGIT, -GIVEN_MASK_LOGIT),
        )

    def remember(self, features: ImageFeatures, mask_bhw: Tensor, object_score_b: Tensor) -> Tensor:
        """A frame's memory map, one for each object.

        Shapes: ``mask_bhw [B, S, S]`` in 0..1 (probabilities, or 0 and 1), ``object_score_b [B]`` -> ``[B, D, h, w]``.
        """
        maps: Tensor = self.memory_encoder(features.s16_bchw, mask_bhw.to(features.s16_bchw.dtype))
        if self.no_obj_embed_spatial is not None:
            absent = (object_score_b <= 0)[:, None, None, None]
            occluded = maps + self.no_obj_embed_spatial[:, :, None, None].to(maps.dtype)
            maps = torch.where(absent, occluded, maps)
        return maps
