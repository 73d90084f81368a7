"""What a run leaves on the disk: a checkpoint to go on from, and weights to use. Files are whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from sam2_core.config import PRESETS
from sam2_core.errors import CheckpointError
from sam2_core.media import replacing
from sam2_core.model import SAM2
from sam2_core.training.recipe import Recipe, Stored
from sam2_core.weights import load_model

CHECKPOINT = "last.pt"
WEIGHTS = "model.safetensors"
HALF_LIMIT = 65504.0
"""The largest number of float16."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is: ``step`` updates of stage ``stage`` are done."""

    stage: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run at a moment. ``pending`` are measurements that no point of the curve holds yet."""

    position: Position
    model: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    pending: list[list[float]]
    names: tuple[str, ...]

    def write(self, run: Path) -> None:
        """Replace the run's checkpoint."""
        content = {**asdict(self.position), "pending": self.pending, "names": list(self.names)}
        content |= {"model": self.model, "average": self.average, "optimiser": self.optimiser}
        with replacing(run / CHECKPOINT) as partial:
            torch.save(content, partial)

    @classmethod
    def read(cls, run: Path, recipe: Recipe) -> Checkpoint | None:
        """The run's checkpoint, where it has one.

        Raises:
            CheckpointError: it is damaged, or of a run with other stages.
        """
        path = run / CHECKPOINT
        if not path.is_file():
            return None
        content = _read(path)
        try:
            position = Position(int(content["stage"]), int(content["step"]))
            found = cls(
                position,
                content["model"],
                content["average"],
                content["optimiser"],
                content["pending"],
                tuple(content["names"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path.name} in {run.name!r} is no checkpoint of this trainer; give another --run, or use it as "
                "init=FILE of a new one."
            ) from error
        names = tuple(stage.name for stage in recipe.stages)
        if names != found.names:
            raise CheckpointError(
                f"{run.name!r} was begun with the stages {', '.join(found.names)}, and the recipe now has "
                f"{', '.join(names)}; go on with the same recipe, or give another --run."
            )
        return found


def write_weights(model: SAM2, run: Path, store: Stored, position: Position) -> None:
    """Write what :func:`sam2_core.weights.load_model` reads.

    Raises:
        CheckpointError: the numbers do not fit into float16.
    """
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    if store is Stored.FLOAT16:
        largest = max(float(value.abs().max()) for value in weights.values())
        if not largest < HALF_LIMIT:
            raise CheckpointError(
                f"weights stored in float16 must stay below {HALF_LIMIT:g}; got {largest:g}: set store to float32."
            )
        weights = {name: value.half() for name, value in weights.items()}
    facts = {"format": "pt", "model": model.config.name, "stage": str(position.stage), "step": str(position.step)}
    with replacing(run / WEIGHTS) as partial:
        save_file({name: value.contiguous() for name, value in weights.items()}, partial, metadata=facts)


def load_init(model: SAM2, source: str) -> None:
    """Fill a model from a name that :func:`load_model` knows, a file, or a run's checkpoint (its averaged weights).

    Raises:
        CheckpointError: there is no such file, or it does not fit the model.
    """
    preset = PRESETS[model.config.name]
    path = Path(source).expanduser()
    content = _read(path) if path.suffix == ".pt" and path.is_file() else {}
    if "average" not in content:
        model.load_state_dict(load_model(source, config=preset.name).state_dict())
        return
    try:
        model.load_state_dict(content["average"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the average in {path.name} does not fit {preset.name}: {error!s:.200}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can make a parser fail in any way
        raise CheckpointError(
            f"{path.name} could not be read as plain tensors: it is damaged, or holds other Python objects, which are "
            "never loaded."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds a {type(content).__name__}; a checkpoint is a table of tensors.")
    return content
