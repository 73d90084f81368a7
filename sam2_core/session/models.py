"""Models in memory, shared by all sessions."""

from __future__ import annotations

import threading
from typing import Protocol

from sam2_core.config import PRESETS
from sam2_core.device import choose_device, choose_precision
from sam2_core.errors import CheckpointError
from sam2_core.model import SAM2
from sam2_core.weights import Progress, load_model


class Loader(Protocol):
    """Makes a model from its name."""

    def __call__(self, name: str, /, *, progress: Progress | None) -> SAM2:
        """A model in evaluation mode, on the CPU."""


class ModelPool:
    """Every model at most once, loaded when it is first asked for.

    Args:
        load: where models come from.
    """

    def __init__(self, load: Loader = load_model) -> None:
        self._load = load
        self._models: dict[str, SAM2] = {}
        self._loading = {name: threading.Lock() for name in PRESETS}

    def get(self, name: str, progress: Progress | None = None) -> SAM2:
        """The model of this name, on the device that is here and in its best number type.

        Whoever asks for a model that is being loaded waits for it.

        Raises:
            CheckpointError: there is no such name, or the weights cannot be had. A path is not a name: what visitors
                send must not choose files.
        """
        if name not in PRESETS:
            raise CheckpointError(f"there is no model of that name: expected one of {', '.join(PRESETS)}.")
        with self._loading[name]:
            if name not in self._models:
                device = choose_device()
                model = self._load(name, progress=progress).to(device)
                self._models[name] = model.to_precision(choose_precision("auto", device))
            return self._models[name]
