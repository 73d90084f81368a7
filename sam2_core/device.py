"""Where to compute, and in which number type."""

from __future__ import annotations

from typing import Literal

import torch

from sam2_core.errors import Sam2Error

DeviceChoice = Literal["auto", "cpu", "cuda"]
PrecisionChoice = Literal["auto", "fp32", "bf16"]


def choose_device(choice: DeviceChoice = "auto") -> torch.device:
    """The device to compute on; ``auto`` is the GPU where there is one.

    Raises:
        Sam2Error: a GPU was asked for and PyTorch sees none, or the choice is none of the three.
    """
    if choice not in ("auto", "cpu", "cuda"):
        raise Sam2Error(f"the device must be auto, cpu or cuda; got {choice!r}")
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA support"
        raise Sam2Error(
            f"the device cuda was asked for, but PyTorch {torch.__version__} (built with {build}) sees no GPU; "
            "use --device cpu, or install a CUDA build of PyTorch and its driver"
        )
    return torch.device("cpu" if choice == "cpu" or not available else "cuda")


def choose_precision(choice: PrecisionChoice, device: torch.device) -> torch.dtype:
    """The number type of the model's heavy parts on ``device``; ``auto`` is bf16 where the hardware computes in it.

    Elsewhere bf16 is emulated, which is slower than fp32; asked for by name it is granted all the same.

    Raises:
        Sam2Error: the choice is none of the three.
    """
    if choice not in ("auto", "fp32", "bf16"):
        raise Sam2Error(f"the precision must be auto, fp32 or bf16; got {choice!r}")
    if choice == "bf16" or (choice == "auto" and _computes_in_bf16(device)):
        return torch.bfloat16
    return torch.float32


def _computes_in_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not public in PyTorch, and not in every release: what cannot be asked counts as absent.
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe is not None and bool(probe()) for probe in probes)
