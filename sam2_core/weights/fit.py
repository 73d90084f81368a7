"""Which model a checkpoint belongs to, told by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sam2_core.config import OFFICIAL, PRESETS, ModelConfig
from sam2_core.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]
"""A state dict without its numbers: tensor name -> shape."""

_ONLY_IN_2_1 = {"no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias"}
_STEM = "image_encoder.trunk.patch_embed.proj.weight"
_BLOCK = "image_encoder.trunk.blocks."
_SHOWN = 3
"""Names of each kind that a message lists; a wrong file has hundreds."""


def infer_config(shapes: Shapes, origin: str = "the checkpoint") -> ModelConfig:
    """The preset that these tensors belong to, by version, Hiera's width and its number of blocks.

    No two presets agree in all three. Whether every tensor fits as well is for :func:`require_fit` to say.

    Args:
        shapes: names and shapes of the checkpoint's tensors.
        origin: what the checkpoint is called in messages.

    Raises:
        CheckpointError: they belong to no preset.
    """
    version = "2.0" if _ONLY_IN_2_1.isdisjoint(shapes) else "2.1"
    width = shapes.get(_STEM, ())[:1]
    depth = len({name[len(_BLOCK) :].split(".")[0] for name in shapes if name.startswith(_BLOCK)})
    for preset in PRESETS.values():
        if (version, width, depth) == (preset.version, (preset.embed_dim,), sum(preset.stages)):
            return preset
    if any(name.startswith("vision_encoder.") for name in shapes):
        raise CheckpointError(
            f"{origin} has the parameter names of the transformers library; "
            "expected SAM 2's own: use the .pt file of the same Hub repository, such as sam2.1_hiera_tiny.pt"
        )
    raise CheckpointError(
        f"{origin} is no SAM 2 checkpoint of a known size: expected the tensors of one of {', '.join(PRESETS)}; "
        f"got {len(shapes)} tensors ({_first(shapes)}), {depth} image encoder blocks and width {list(width)}"
    )


def require_fit(shapes: Shapes, expected: Shapes, config: ModelConfig, origin: str) -> None:
    """Check that a checkpoint has exactly the tensors of a model.

    Args:
        shapes: names and shapes in the checkpoint.
        expected: names and shapes in the model.
        config: the model's, for the message.
        origin: what the checkpoint is called in messages.

    Raises:
        CheckpointError: tensors are missing, unexpected or of another shape; says which, and what to do.
    """
    missing = expected.keys() - shapes.keys()
    unexpected = shapes.keys() - expected.keys()
    other = {name for name in expected.keys() & shapes.keys() if expected[name] != shapes[name]}
    if not (missing or unexpected or other):
        return
    reshaped = [f"{name} is {list(shapes[name])}, expected {list(expected[name])}" for name in other]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    listed = ", ".join(f"{len(names)} {fault} ({_first(names)})" for fault, names in faults.items() if names)
    raise CheckpointError(f"{origin} does not fit {config.name}: {listed}; {_advice(shapes, config)}")


def _advice(shapes: Shapes, config: ModelConfig) -> str:
    try:
        likely = infer_config(shapes).name
    except CheckpointError as error:
        return str(error)
    if likely != config.name:
        return f"this file looks like {likely}; pass --config {likely}"
    original = f", such as facebook/{likely} on the Hub" if likely in OFFICIAL else ""
    return f"it looks like an altered or incomplete {likely}; use the original file{original}"


def _first(names: Collection[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:_SHOWN]) + (", ..." if len(ordered) > _SHOWN else "")
