"""SAM 2 itself: modules whose parameters carry the official checkpoints' names.

Shape letters, everywhere in this package: B objects (or images), M masks of one prediction, N points or tokens,
C model width (256), D memory width (64), S the image's side in pixels, H W image, h w its stride-16 grid,
L memory maps, P object pointers, T memory tokens.
"""

from sam2_core.model.outputs import (
    GIVEN_MASK_LOGIT,
    EncodedPrompt,
    ImageFeatures,
    MaskPrediction,
    MemoryContext,
    PromptTensors,
    Selection,
)
from sam2_core.model.sam2 import SAM2

__all__ = [
    "GIVEN_MASK_LOGIT",
    "SAM2",
    "EncodedPrompt",
    "ImageFeatures",
    "MaskPrediction",
    "MemoryContext",
    "PromptTensors",
    "Selection",
]
