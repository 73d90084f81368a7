"""The choice of device and precision, on hardware that is pretended."""

import pytest
import torch

from sam2_core.device import choose_device, choose_precision
from sam2_core.errors import Sam2Error

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
PROBES = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == choose_device("cuda") == CUDA
    assert choose_device("cpu") == CPU


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == choose_device("cpu") == CPU
    with pytest.raises(Sam2Error, match=r"cuda was asked for, but PyTorch .* sees no GPU; use --device cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("native", PROBES)
def test_a_processor_with_bf16_arithmetic(monkeypatch: pytest.MonkeyPatch, native: str) -> None:
    for probe in PROBES:
        monkeypatch.setattr(torch.cpu, probe, lambda answer=probe == native: answer, raising=False)
    assert choose_precision("auto", CPU) == torch.bfloat16
    assert choose_precision("fp32", CPU) == torch.float32


def test_a_processor_without(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in PROBES:
        monkeypatch.setattr(torch.cpu, probe, lambda: False, raising=False)
    assert choose_precision("auto", CPU) == torch.float32
    assert choose_precision("bf16", CPU) == torch.bfloat16


def test_a_pytorch_that_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for probe in PROBES:
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert choose_precision("auto", CPU) == torch.float32


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_is_asked_without_emulation(monkeypatch: pytest.MonkeyPatch, supported: bool, dtype: torch.dtype) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported or including_emulation)
    assert choose_precision("auto", CUDA) == dtype


def test_unknown_choices() -> None:
    with pytest.raises(Sam2Error, match="must be auto, cpu or cuda; got 'tpu'"):
        choose_device("tpu")  # type: ignore[arg-type]
    with pytest.raises(Sam2Error, match="must be auto, fp32 or bf16; got 'fp8'"):
        choose_precision("fp8", CPU)  # type: ignore[arg-type]
