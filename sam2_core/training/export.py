"""From a training run to the file that is shipped."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from sam2_core.errors import CheckpointError

HALF_LIMIT = 65504.0
"""The largest number of float16."""


def export(checkpoint: Path, target: Path, notes: dict[str, str] | None = None) -> None:
    """Write the averaged weights of a training checkpoint in float16, with the run's facts as metadata.

    Args:
        checkpoint: as written by :func:`sam2_core.training.train`.
        target: a ``.safetensors`` file.
        notes: more facts to keep in the file's header.

    Raises:
        CheckpointError: there is no such checkpoint, or its numbers do not fit into float16.
    """
    if not checkpoint.is_file():
        raise CheckpointError(f"there is no training checkpoint {checkpoint.name!r}; train first.")
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    weights: dict[str, torch.Tensor] = content["average"]
    largest = max(float(weight.abs().max()) for weight in weights.values())
    if not largest < HALF_LIMIT:
        raise CheckpointError(
            f"weights must stay below {HALF_LIMIT:g} to be stored in half precision; got {largest:g}."
        )
    facts = {"steps": " + ".join(str(count) for count in content["done"].sum(dim=0).tolist())}
    halves = {name: weight.half().contiguous() for name, weight in weights.items()}
    save_file(halves, target, metadata={"format": "pt", **facts, **(notes or {})})
