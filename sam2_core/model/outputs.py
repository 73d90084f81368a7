"""What the verbs of the model take and return: plain tensors with names.

Shape letters are declared in :mod:`sam2_core.model`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from sam2_core.model.object_pointer import blend_pointer

ABSENT_LOGIT = -1024.0
"""Value of every mask pixel of an object that is not visible (official code, ``NO_OBJ_SCORE``)."""
GIVEN_MASK_LOGIT = 10.0
"""Mask logits and object score of what a person vouches for (official code)."""
STABILITY_OFFSET = 0.05


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """One pass of the image encoder, ready for the decoder and for memory.

    Shapes: ``s4_bchw [B, C/8, 4h, 4w]``, ``s8_bchw [B, C/4, 2h, 2w]``: high-resolution skips, already projected;
    ``s16_bchw [B, C, h, w]``: the image feature, without any memory.
    """

    s4_bchw: Tensor
    s8_bchw: Tensor
    s16_bchw: Tensor

    def __getitem__(self, index: Tensor) -> ImageFeatures:
        """The features of the images numbered ``index [B]``, repeated where a number repeats."""
        return ImageFeatures(self.s4_bchw[index], self.s8_bchw[index], self.s16_bchw[index])

    @property
    def nbytes(self) -> int:
        """Memory that the features take."""
        return sum(t.numel() * t.element_size() for t in (getattr(self, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class PromptTensors:
    """A batch of prompts in the model's own coordinates.

    Shapes: ``points_bn2 [B, N, 2]`` as (x, y) in pixels of the model's image, ``labels_bn [B, N]``;
    ``mask_logits_bhw [B, 4h, 4w]`` raw logits or ``None``.
    Labels: 1 foreground, 0 background, 2 and 3 corners of a box (which come first), -1 not a point.
    """

    points_bn2: Tensor
    labels_bn: Tensor
    mask_logits_bhw: Tensor | None = None

    @classmethod
    def nothing(cls, batch: int, device: torch.device, mask_logits_bhw: Tensor | None = None) -> PromptTensors:
        """What a tracked frame is prompted with: one point that is none."""
        points = torch.zeros(batch, 1, 2, device=device)
        return cls(points, -torch.ones(batch, 1, dtype=torch.int64, device=device), mask_logits_bhw)


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """Tokens and map of a prompt. Shapes: ``sparse_bnc [B, N, C]``, ``dense_bchw [B, C, h, w]``."""

    sparse_bnc: Tensor
    dense_bchw: Tensor


@dataclass(frozen=True, slots=True)
class Selection:
    """One mask per object.

    Shapes: ``logits_bhw [B, 4h, 4w]``, ``iou_b [B]``, ``pointer_bc [B, C]``, ``object_score_b [B]`` (a logit).
    """

    logits_bhw: Tensor
    iou_b: Tensor
    pointer_bc: Tensor
    object_score_b: Tensor

    def gated(self) -> Selection:
        """The same with the masks of invisible objects emptied."""
        visible = (self.object_score_b > 0)[:, None, None]
        logits = torch.where(visible, self.logits_bhw, torch.full_like(self.logits_bhw, ABSENT_LOGIT))
        return Selection(logits, self.iou_b, self.pointer_bc, self.object_score_b)


@dataclass(frozen=True, slots=True)
class MaskPrediction:
    """Everything that one run of the mask decoder says: mask 0 is the single answer, 1 to 3 are the candidates.

    Shapes: ``logits_bmhw [B, 4, 4h, 4w]``, ``iou_bm [B, 4]`` in 0..1, ``pointer_bmc [B, 4, C]``, none of them gated by
    visibility; ``object_score_b [B]``; ``absent_pointer_1c [1, C]``: the pointer of an object that is not visible.
    """

    logits_bmhw: Tensor
    iou_bm: Tensor
    pointer_bmc: Tensor
    object_score_b: Tensor
    absent_pointer_1c: Tensor

    def _pick(self, index_b: Tensor, pointer_index_b: Tensor) -> Selection:
        rows = torch.arange(index_b.shape[0], device=index_b.device)
        visible = self.object_score_b > 0
        pointer = blend_pointer(self.pointer_bmc[rows, pointer_index_b], visible, self.absent_pointer_1c)
        return Selection(self.logits_bmhw[rows, index_b], self.iou_bm[rows, index_b], pointer, self.object_score_b)

    def best(self) -> Selection:
        """The candidate with the highest predicted IoU, with its own pointer."""
        index = self.iou_bm[:, 1:].argmax(dim=1) + 1
        return self._pick(index, index)

    def choose(self, candidate: int) -> Selection:
        """Candidate 0, 1 or 2 as a person chose it, who sees the object: it is visible, whatever the model believed."""
        score = torch.where(self.object_score_b > 0, self.object_score_b, GIVEN_MASK_LOGIT)
        index = candidate + 1
        return Selection(self.logits_bmhw[:, index], self.iou_bm[:, index], self.pointer_bmc[:, index], score)

    def single(self) -> Selection:
        """Mask 0, whatever its quality."""
        index = torch.zeros_like(self.iou_bm[:, 0], dtype=torch.int64)
        return self._pick(index, index)

    def stable(self, limit: float) -> Selection:
        """Mask 0 where it is stable, else the best candidate (the released code's *dynamic multimask*).

        Stability is the share of pixels above -0.05 that are also above +0.05. The pointer is mask 0's in both cases.
        """
        first = torch.zeros_like(self.iou_bm[:, 0], dtype=torch.int64)
        index = torch.where(self.stability() >= limit, first, self.iou_bm[:, 1:].argmax(dim=1) + 1)
        return self._pick(index, first)

    def stability(self) -> Tensor:
        """How little mask 0 depends on the threshold, ``[B]`` in 0..1."""
        flat = self.logits_bmhw[:, 0].flatten(1)
        inner = (flat > STABILITY_OFFSET).sum(1).float()
        outer = (flat > -STABILITY_OFFSET).sum(1).float()
        return torch.where(outer > 0, inner / outer.clamp(min=1), torch.ones_like(outer))


@dataclass(frozen=True, slots=True)
class MemoryContext:
    """What a frame attends to: memory maps and object pointers, with how far away they are.

    Shapes: ``maps_bldhw [B, L, D, h, w]``; ``rows_bl [B, L]`` rows of the temporal table (6 for a conditioning frame,
    0 for the immediate predecessor); ``pointers_bpc [B, P, C]``; ``distances_bp [B, P]`` in units of the longest
    distance that the video allows. All objects of a batch have equally many maps and pointers.
    """

    maps_bldhw: Tensor
    rows_bl: Tensor
    pointers_bpc: Tensor
    distances_bp: Tensor
