"""The numbers that tell one model from another: eight official presets and our own ``pocket``.

The paper calls the parts Hiera (image encoder), memory attention, prompt encoder, mask decoder, memory encoder and
memory bank (section 4 and appendix D). Only what really differs between models is a field here; everything else is a
constant of the architecture and stands where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Version = Literal["2.0", "2.1"]

STRIDE = 16
"""Image pixels per cell of the feature map that memory and decoder work on."""
MEMORY_FRAMES = 7
"""Frames whose memories are attended at most, the conditioning frame included (the paper's N + 1)."""
POINTER_FRAMES = 16
"""Frames whose object pointers are attended at most."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model.

    Attributes:
        name: as on the command line; official names are also the Hub's (``facebook/<name>``).
        version: 2.1 adds an occlusion embedding and a temporal code for object pointers.
        parameters: numbers in the checkpoint.
        embed_dim: Hiera's channels at stride 4; they double with every stage.
        num_heads: Hiera's heads at stride 4; they double with every stage.
        stages: blocks per stage.
        global_blocks: blocks that attend over the whole map.
        windows: window size of each stage, in cells.
        background_size: side of the global position table.
        image_size: pixels per side that the model sees; a multiple of 32.
        model_dim: channels of the stride-16 feature, C.
        memory_dim: channels of a memory map, D; object pointers split into C / D tokens.
        decoder_mlp_dim: hidden width of the two-way transformer.
        memory_layers: memory attention layers.
        memory_mlp_dim: hidden width of memory attention.
        stability_limit: an unambiguous prompt gets the best candidate where the single mask is less stable than this.
            Instability sits along the border, so a model with coarser masks needs a lower limit.
    """

    name: str
    version: Version
    parameters: int
    embed_dim: int
    num_heads: int
    stages: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int]
    background_size: int
    image_size: int = 1024
    model_dim: int = 256
    memory_dim: int = 64
    decoder_mlp_dim: int = 2048
    memory_layers: int = 4
    memory_mlp_dim: int = 2048
    stability_limit: float = 0.98

    def __post_init__(self) -> None:
        if self.image_size < 32 or self.image_size % 32:
            raise ValueError(f"the image size must be a positive multiple of 32; got {self.image_size}")

    @property
    def grid(self) -> int:
        """Cells per side of the stride-16 map."""
        return self.image_size // STRIDE

    @property
    def mask_size(self) -> int:
        """Pixels per side of the decoder's masks, and of mask prompts (stride 4)."""
        return self.image_size // 4

    def at_size(self, image_size: int) -> ModelConfig:
        """The same model looking at images of another size; its weights fit every size."""
        return replace(self, image_size=image_size)


# Official rows: version, parameters, embed_dim, num_heads, stages, global_blocks, windows, background_size.
_TINY = (96, 1, (1, 2, 7, 2), (5, 7, 9), (8, 4, 14, 7), 7)
_SMALL = (96, 1, (1, 2, 11, 2), (7, 10, 13), (8, 4, 14, 7), 7)
_BASE_PLUS = (112, 2, (2, 3, 16, 3), (12, 16, 20), (8, 4, 14, 7), 14)
_LARGE = (144, 2, (2, 6, 36, 4), (23, 33, 43), (8, 4, 16, 8), 7)

_OFFICIAL = (
    ModelConfig("sam2-hiera-tiny", "2.0", 38_945_986, *_TINY),
    ModelConfig("sam2-hiera-small", "2.0", 46_043_842, *_SMALL),
    ModelConfig("sam2-hiera-base-plus", "2.0", 80_833_666, *_BASE_PLUS),
    ModelConfig("sam2-hiera-large", "2.0", 224_430_130, *_LARGE),
    ModelConfig("sam2.1-hiera-tiny", "2.1", 38_962_498, *_TINY),
    ModelConfig("sam2.1-hiera-small", "2.1", 46_060_354, *_SMALL),
    ModelConfig("sam2.1-hiera-base-plus", "2.1", 80_850_178, *_BASE_PLUS),
    ModelConfig("sam2.1-hiera-large", "2.1", 224_446_642, *_LARGE),
)
OFFICIAL: dict[str, ModelConfig] = {config.name: config for config in _OFFICIAL}
"""The checkpoints that Meta published, by name."""

POCKET = ModelConfig(
    name="pocket",
    version="2.1",
    parameters=4_323_714,
    embed_dim=32,
    num_heads=1,
    stages=(1, 2, 4, 2),
    global_blocks=(4, 5, 6, 7, 8),
    windows=(8, 8, 8, 8),
    background_size=16,
    image_size=320,
    model_dim=128,
    decoder_mlp_dim=512,
    memory_layers=2,
    memory_mlp_dim=512,
    stability_limit=0.936,  # 1 - 0.02 * 256 / 80
)
"""Our own small model: the same architecture with small numbers, trained by this project and shipped with it."""

PRESETS: dict[str, ModelConfig] = {POCKET.name: POCKET, **OFFICIAL}
