"""From the name of a model, or a file, to a model ready for use."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from sam2_core.config import OFFICIAL, POCKET, PRESETS, ModelConfig
from sam2_core.errors import CheckpointError, Sam2Error
from sam2_core.model import SAM2
from sam2_core.weights import hub
from sam2_core.weights.fit import infer_config, require_fit
from sam2_core.weights.hub import Progress

_POCKET_FILE = Path(__file__).parents[1] / "checkpoints" / "pocket.safetensors"
_SIZES = {str(size) for size in range(32, 4097, 32)}
_SUFFIXES = (".pt", ".pth", ".safetensors")
IMAGE_SIZE = "image_size"
"""In a safetensors file's own table: pixels per side that the weights were trained at."""


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A line of the model menu.

    Attributes:
        name: what :func:`load_model` takes.
        hub_id: its repository on the Hub; None for ``pocket``, which is shipped.
        download_bytes: what a first use downloads, to a few hundredths of a percent.
        on_disk: whether it loads without a download.
    """

    name: str
    hub_id: str | None
    download_bytes: int
    on_disk: bool


def available_models() -> tuple[AvailableModel, ...]:
    """Every model that :func:`load_model` knows by name, ``pocket`` first; looks at the disk, not at the network."""
    official = (
        AvailableModel(name, hub.hub_id(config), hub.download_bytes(config), hub.cached_file(config) is not None)
        for name, config in OFFICIAL.items()
    )
    return AvailableModel(POCKET.name, None, 0, _POCKET_FILE.is_file()), *official


def load_model(
    source: str | Path,
    *,
    config: str | None = None,
    image_size: int | None = None,
    progress: Progress | None = None,
) -> SAM2:
    """A model in evaluation mode, in float32 on the CPU, whatever the number type on disk.

    Args:
        source: ``pocket``, an official name (``sam2.1-hiera-tiny``, with or without ``facebook/`` before it), or the
            path of a ``.pt``, ``.pth`` or ``.safetensors`` file; a name goes before a file of the same name.
        config: name of the preset that a file must be; inferred from its tensors by default.
        image_size: pixels per side that the model is to see, a multiple of 32; the preset's by default.
        progress: told of a download's bytes.

    Raises:
        CheckpointError: the weights cannot be found, fetched, trusted or fitted.
        Sam2Error: the computer has no memory for them, or may not read them.
        ValueError: ``image_size`` is not a positive multiple of 32.
    """
    name = str(source).removeprefix("facebook/")
    if config is not None and config not in PRESETS:
        raise CheckpointError(f"unknown configuration {config!r}: expected one of {', '.join(PRESETS)}")
    if name not in PRESETS:
        return _load_file(_existing_file(source), PRESETS[config] if config else None, image_size)
    if config not in (None, name):
        raise CheckpointError(f"{name} is a model of its own: leave --config {config} out, or pass a file's path")
    if name == POCKET.name:
        return _load_shipped(image_size)
    return _load_official(OFFICIAL[name], image_size, progress)


def _load_shipped(image_size: int | None) -> SAM2:
    if not _POCKET_FILE.is_file():
        raise CheckpointError(
            "the pocket model is not in this installation: expected sam2_core/checkpoints/pocket.safetensors; "
            "install the project again, or choose an official model such as sam2.1-hiera-tiny"
        )
    return _load_file(_POCKET_FILE, POCKET, image_size)


def _load_official(config: ModelConfig, image_size: int | None, progress: Progress | None) -> SAM2:
    _at_size(config, image_size)  # a wrong size is told before the download, not after
    path = hub.fetch(config, progress)
    try:
        return _load_file(path, config, image_size)
    except CheckpointError as error:
        hub.discard(path)
        raise CheckpointError(
            f"the cached {config.name} could not be used and was removed from the cache; "
            f"try again to download it anew ({error})"
        ) from error


def _load_file(path: Path, config: ModelConfig | None, image_size: int | None) -> SAM2:
    tensors = _read_tensors(path)
    shapes = _shapes(tensors)
    config = config or infer_config(shapes, path.name)
    config = _at_size(config, _trained_size(path) if image_size is None else image_size)
    # Not on the meta device: there PyTorch imports its compiler to initialise anything, which takes a second; to draw
    # the random weights takes a twentieth for pocket, and a second only for large.
    model = SAM2(config)
    require_fit(shapes, _shapes(model.state_dict()), config, path.name)
    # Copied, in float32, even where the file could stay mapped: who rewrites a mapped file takes the process down.
    model.load_state_dict(tensors, strict=True)
    _require_finite(model, path.name)
    return model.eval()


def _at_size(config: ModelConfig, image_size: int | None) -> ModelConfig:
    return config if image_size is None else config.at_size(image_size)


def _trained_size(path: Path) -> int | None:
    """What a file says of the size of the images it was trained on; most say nothing, and are of the usual size."""
    if path.suffix != ".safetensors":
        return None
    with safetensors.safe_open(path, "pt") as file:
        said = (file.metadata() or {}).get(IMAGE_SIZE)
    if said is not None and said not in _SIZES:
        raise CheckpointError(
            f"{path.name} says that it was trained at {said!r:.40} pixels; expected a multiple of 32 up to 4096: "
            "mend its metadata, or give image_size"
        )
    return None if said is None else int(said)


def _existing_file(source: str | Path) -> Path:
    path = Path(source).expanduser()
    if path.suffix in _SUFFIXES and os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a name is too long
        return path
    raise CheckpointError(
        f"there is no model {str(source)!r}: expected one of {', '.join(PRESETS)}, "
        f"or the path of an existing {', '.join(_SUFFIXES)} file"
    )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The file's state dict, still mapped from disk where its format allows."""
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            mappable = zipfile.is_zipfile(path)  # files from before PyTorch 1.6 are not
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)
    except (MemoryError, PermissionError) as error:  # nothing is wrong with the file, so a downloaded one is kept
        reason = str(error) or "out of memory"
        raise Sam2Error(
            f"{path.name} could not be read ({reason}); free memory or ask for access, and try again"
        ) from error
    except Exception as error:  # a damaged or hostile file can make a parser fail in any way
        raise CheckpointError(
            f"{path.name} could not be read as plain tensors: it is damaged, or it holds other Python objects, which "
            "are never loaded since that can run code; download it again, or save its state dict alone"
        ) from error
    # Meta's files, and the training checkpoints of the reference trainer, have the weights under this key.
    state = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(map(_is_weight, state.keys(), state.values())):
        raise CheckpointError(
            f"{path.name} holds no state dict: expected parameter names with tensors of numbers, or such under 'model'"
        )
    return dict(state)


def _is_weight(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.is_floating_point()
    )


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _require_finite(model: SAM2, origin: str) -> None:
    for name, weights in model.state_dict().items():
        if not torch.isfinite(weights.sum()):  # one pass, no mask in memory
            raise CheckpointError(f"{origin} is damaged: {name} holds values that are not finite; get the file again")
