"""What a run leaves on the disk: a checkpoint to go on from, and weights to use. Files are whole or not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sam2_core.config import PRESETS
from sam2_core.errors import CheckpointError
from sam2_core.media import replacing
from sam2_core.model import SAM2
from sam2_core.training.recipe import Recipe, Stored
from sam2_core.training.recipe_file import recipe_facts
from sam2_core.weights import load_model
from sam2_core.weights.load import IMAGE_SIZE

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
    """A run at a moment.

    Attributes:
        pending: measurements that no point of the curve holds yet.
        facts: of the recipe; see :func:`sam2_core.training.recipe_file.recipe_facts`.
    """

    position: Position
    model: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    pending: list[list[float]]
    facts: Mapping[str, str]

    def write(self, run: Path) -> None:
        """Replace the run's checkpoint."""
        content = {**asdict(self.position), "pending": self.pending, "recipe": dict(self.facts)}
        content |= {"model": self.model, "average": self.average, "optimiser": self.optimiser}
        with replacing(run / CHECKPOINT) as partial:
            torch.save(content, partial)

    @classmethod
    def read(cls, run: Path, recipe: Recipe) -> Checkpoint | None:
        """The run's checkpoint, where it has one.

        Raises:
            CheckpointError: it is damaged, or of a run with another recipe.
        """
        path = run / CHECKPOINT
        if not path.is_file():
            return None
        content = _read(path)
        with fitting(run):
            found = cls(
                Position(int(content["stage"]), int(content["step"])),
                content["model"],
                content["average"],
                content["optimiser"],
                [[float(value) for value in row] for row in content["pending"]],
                {str(key): str(value) for key, value in content["recipe"].items()},
            )
        _require_same(found.facts, recipe_facts(recipe), run)
        ends = [stage.steps for stage in recipe.stages] + [0]
        with fitting(run):
            if not 0 <= found.position.step <= ends[found.position.stage] or found.position.stage < 0:
                raise ValueError("it is at a step that the recipe does not have")
        return found


@contextmanager
def fitting(run: Path) -> Iterator[None]:
    """What cannot be made of a checkpoint's contents is said of the checkpoint.

    Raises:
        CheckpointError: instead of whatever the block raises.
    """
    try:
        yield
    except (RuntimeError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"{CHECKPOINT} in {run.name!r} is damaged, or not of this trainer ({reason}); give another --run."
        ) from error


def _require_same(then: Mapping[str, str], now: Mapping[str, str], run: Path) -> None:
    for key in [*then, *now]:
        if then.get(key) != now.get(key):
            raise CheckpointError(
                f"{run.name!r} was begun with another recipe: {key} was {then.get(key, 'not there')} and is "
                f"{now.get(key, 'not there')}; go on with the same one, or begin another --run from its weights with "
                f"--set init={run / CHECKPOINT}"
            )


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
    facts = {"format": "pt", "model": model.config.name, IMAGE_SIZE: str(model.config.image_size)}
    facts |= {"stage": str(position.stage), "step": str(position.step)}
    with replacing(run / WEIGHTS) as partial:
        # Not by safetensors' own save_file, whose files nobody else may read.
        partial.write_bytes(save({name: value.contiguous() for name, value in weights.items()}, facts))


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
