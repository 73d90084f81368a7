"""Models in memory, shared by all sessions."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import Protocol
from weakref import WeakValueDictionary

from sam2_core.config import POCKET, PRESETS
from sam2_core.device import choose_device, choose_precision
from sam2_core.errors import Cancelled, CheckpointError, Sam2Error
from sam2_core.model import SAM2
from sam2_core.weights import Progress, load_model

_log = logging.getLogger(__name__)


class Loader(Protocol):
    """Makes a model from its name."""

    def __call__(self, name: str, /, *, progress: Progress | None) -> SAM2:
        """A model in evaluation mode, on the CPU."""


class ModelPool:
    """Every model at most once, loaded when it is first asked for; from any thread.

    A model that somebody uses is there. Of the others, those that were asked for last are kept.

    Args:
        load: where models come from.
        kept: how many are kept whether or not somebody uses them.
    """

    def __init__(self, load: Loader = load_model, kept: int = 2) -> None:
        self._load = load
        self._most = kept
        self._kept: OrderedDict[str, SAM2] = OrderedDict()
        self._used: WeakValueDictionary[str, SAM2] = WeakValueDictionary()
        self._lock = threading.Lock()
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
            model = self._used.get(name) or self._loaded(name, progress)
            with self._lock:
                self._used[name] = self._kept[name] = model
                self._kept.move_to_end(name)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            return model

    def _loaded(self, name: str, progress: Progress | None) -> SAM2:
        device = choose_device()
        try:
            model = self._load(name, progress=progress).to(device)
        except Cancelled:
            raise
        except Sam2Error as error:  # its message tells whoever runs this program what to do, and not its visitors
            _log.warning("%s cannot be loaded: %s", name, error)
            other = "pocket, which needs no download" if name != POCKET.name else "another one"
            raise CheckpointError(
                f"the model {name} cannot be had right now; choose {other}, or try again later. "
                "The program's log says why."
            ) from error
        return model.to_precision(choose_precision("auto", device))
