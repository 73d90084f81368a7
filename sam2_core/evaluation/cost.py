"""How long it takes and how much memory."""

from __future__ import annotations

import sys
import time

import torch

from sam2_core.evaluation.results import Cost


class Meter:
    """Measures from its making on.

    Args:
        device: on which the model computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        self._began = time.perf_counter()

    def read(self, frames: int) -> Cost:
        """The cost of so many frames."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._began
        return Cost(frames, seconds, _peak_bytes(self._device))


def _peak_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None  # the system does not tell a program this without a library
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
