"""Checkpoints from disk: the eight official models by their names and shapes, files of every kind, and hostile ones."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from huggingface_hub import constants
from torch import Tensor

from sam2_core.config import OFFICIAL, POCKET, PRESETS, ModelConfig
from sam2_core.errors import CheckpointError, Sam2Error
from sam2_core.model import SAM2
from sam2_core.weights import available_models, hub, infer_config, load, load_model
from sam2_core.weights.fit import require_fit

Shapes = dict[str, tuple[int, ...]]
Weights = dict[str, Tensor]

# Names and shapes of all 8 checkpoints, in parts: those of all, those of version 2.1, and those of each size.
PARTS: dict[str, dict[str, list[int]]] = json.loads(
    (Path(__file__).parent / "fixtures" / "checkpoint_keys.json").read_text()
)


def official_shapes(name: str) -> Shapes:
    version, size = name.removeprefix("sam").split("-hiera-")
    parts = ["all", size, *(["2.1"] if version == "2.1" else [])]
    return {key: tuple(shape) for part in parts for key, shape in PARTS[part].items()}


def shapes_of(config: ModelConfig) -> Shapes:
    with torch.device("meta"):
        return {name: tuple(weights.shape) for name, weights in SAM2(config).state_dict().items()}


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Random weights of pocket."""
    return dict(SAM2(POCKET).state_dict())


def saved(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


# --- names and shapes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_model_has_the_official_names_and_shapes(name: str) -> None:
    assert shapes_of(OFFICIAL[name]) == official_shapes(name)


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        model = SAM2(OFFICIAL[name])
    assert sum(parameter.numel() for parameter in model.parameters()) == OFFICIAL[name].parameters


def test_the_fixture_is_the_specification(shared: Path) -> None:
    models = json.loads((shared / "spec" / "checkpoints.json").read_text())["models"]
    specified = {
        model["hub_id"]: {name: tuple(shape) for name, shape in model["state_dict"].items()}
        for model in models.values()
    }
    assert {hub.hub_id(config): official_shapes(name) for name, config in OFFICIAL.items()} == specified
    assert {hub.file_name(config) for config in OFFICIAL.values()} == {model["file"] for model in models.values()}


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_models_are_recognised(name: str) -> None:
    assert infer_config(official_shapes(name)) is OFFICIAL[name]


def test_pocket_is_recognised() -> None:
    assert infer_config(shapes_of(POCKET)) is POCKET


@pytest.mark.parametrize(
    ("name", "asked", "listed"),
    [
        ("sam2.1-hiera-small", "sam2.1-hiera-tiny", "50 unexpected (image_encoder.trunk.blocks.12.attn.proj.bias, "),
        ("sam2.1-hiera-tiny", "sam2.1-hiera-small", "50 missing (image_encoder.trunk.blocks.12.attn.proj.bias, "),
        ("sam2-hiera-large", "sam2.1-hiera-large", "3 missing (no_obj_embed_spatial, obj_ptr_tpos_proj.bias, obj_ptr_"),
        ("sam2.1-hiera-large", "sam2-hiera-large", "3 unexpected (no_obj_embed_spatial, obj_ptr_tpos_proj.bias, obj_"),
        ("sam2-hiera-base-plus", "sam2-hiera-tiny", "conv.weight is [256, 896, 1, 1], expected [256, 768, 1, 1], "),
        ("pocket", "sam2.1-hiera-tiny", "convs.0.conv.bias is [128], expected [256], "),
    ],
    ids=lambda text: text.split("-hiera-")[-1],
)
def test_a_mismatch_names_the_right_config(name: str, asked: str, listed: str) -> None:
    with pytest.raises(CheckpointError) as error:
        require_fit(shapes_of(PRESETS[name]), shapes_of(PRESETS[asked]), PRESETS[asked], "weights.pt")
    message = str(error.value)
    assert message.startswith(f"weights.pt does not fit {asked}: ")
    assert listed in message
    assert message.endswith(f"this file looks like {name}; pass --config {name}")
    assert len(message) < 1000


def test_an_incomplete_checkpoint_is_still_recognised() -> None:
    expected = official_shapes("sam2.1-hiera-tiny")
    shapes = {**expected, "maskmem_tpos_enc": (8, 1, 1, 64), "extra.weight": (3,)}
    del shapes["no_obj_embed_spatial"]
    config = infer_config(shapes)
    assert config.name == "sam2.1-hiera-tiny"
    with pytest.raises(CheckpointError) as error:
        require_fit(shapes, expected, config, "weights.pt")
    assert str(error.value) == (
        "weights.pt does not fit sam2.1-hiera-tiny: 1 missing (no_obj_embed_spatial), 1 unexpected (extra.weight), "
        "1 of another shape (maskmem_tpos_enc is [8, 1, 1, 64], expected [7, 1, 1, 64]); it looks like an altered or "
        "incomplete sam2.1-hiera-tiny; use the original file, such as facebook/sam2.1-hiera-tiny on the Hub"
    )


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({}, "no SAM 2 checkpoint of a known size: .* got 0 tensors"),
        ({"image_encoder.trunk.patch_embed.proj.weight": ()}, "0 image encoder blocks and width []"),
        ({"conv1.weight": (64, 3, 7, 7)}, r"got 1 tensors \(conv1.weight\)"),
        ({"vision_encoder.backbone.pos_embed": (1, 96, 7, 7)}, "of the transformers library; .* use the .pt file"),
    ],
)
def test_other_checkpoints_are_no_sam2(shapes: Shapes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message.replace("[]", r"\[\]")):
        infer_config(shapes)


# --- files ------------------------------------------------------------------------------------------------------------

Writer = Callable[[Path, Weights], Path]
WRITERS: dict[str, Writer] = {
    "as Meta writes": lambda folder, weights: saved(folder / "a.pt", {"model": weights}),
    "flat": lambda folder, weights: saved(folder / "a.pth", weights),
    "of a trainer": lambda folder, weights: saved(folder / "a.pt", {"model": weights, "epoch": 3, "loss": {"f": 0.5}}),
    "before PyTorch 1.6": lambda folder, weights: saved(
        folder / "a.pt", {"model": weights}, _use_new_zipfile_serialization=False
    ),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_file_of_pytorch(tmp_path: Path, weights: Weights, writer: Writer) -> None:
    model = load_model(writer(tmp_path, weights))
    assert model.config is POCKET
    assert not model.training
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_file_of_safetensors_in_any_precision(tmp_path: Path, weights: Weights, dtype: torch.dtype) -> None:
    stored = {name: tensor.to(dtype) for name, tensor in weights.items()}
    safetensors.torch.save_file(stored, tmp_path / "a.safetensors")
    model = load_model(str(tmp_path / "a.safetensors"), config="pocket")
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[name].float())


def test_a_loaded_model_works_and_can_be_trained(tmp_path: Path, weights: Weights) -> None:
    original = SAM2(POCKET).eval()
    original.load_state_dict(weights)
    model = load_model(saved(tmp_path / "a.pt", weights), image_size=64)
    assert model.config == replace(POCKET, image_size=64)
    assert all(parameter.requires_grad for parameter in model.parameters())
    pixels = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model.encode_image(pixels).s16_bchw, original.encode_image(pixels).s16_bchw)


def test_the_model_outlives_its_file(tmp_path: Path, weights: Weights) -> None:
    for path in (saved(tmp_path / "a.pt", weights), tmp_path / "a.safetensors"):
        if path.suffix == ".safetensors":
            safetensors.torch.save_file(weights, path)
        model = load_model(path)
        path.write_bytes(b"")  # who still reads from the mapped file dies of SIGBUS
        assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_a_config_that_disagrees(tmp_path: Path, weights: Weights) -> None:
    path = saved(tmp_path / "mine.pt", weights)
    with pytest.raises(CheckpointError, match=r"mine.pt does not fit sam2-hiera-small: .* pass --config pocket$"):
        load_model(path, config="sam2-hiera-small")


@pytest.mark.parametrize("size", [0, 100])
def test_a_wrong_image_size_is_told_before_the_download(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "fetch", lambda *_: pytest.fail("downloads"))
    with pytest.raises(ValueError, match=f"multiple of 32; got {size}"):
        load_model("sam2.1-hiera-tiny", image_size=size)


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_shipped_pocket(tmp_path: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "pocket.safetensors"
    monkeypatch.setattr(load, "_POCKET_FILE", shipped)
    with pytest.raises(CheckpointError, match=r"not in this installation: expected sam2_core/checkpoints/pocket"):
        load_model("pocket")
    assert not available_models()[0].on_disk
    safetensors.torch.save_file({name: tensor.half() for name, tensor in weights.items()}, shipped)
    model = load_model("pocket", image_size=512)
    assert (model.config.name, model.config.image_size) == ("pocket", 512)
    assert torch.equal(model.no_obj_ptr, weights["no_obj_ptr"].half().float())
    assert available_models()[0].on_disk


@pytest.mark.parametrize("source", ["sam2.1-hiera-huge", "weights.pt", "", "~/nothing.pt", "a" * 5000 + ".pt", "\0.pt"])
def test_an_unknown_source(source: str) -> None:
    with pytest.raises(CheckpointError, match=r"expected one of pocket, sam2-hiera-tiny, .* existing .pt, .pth, .saf"):
        load_model(source)


def test_a_folder_or_other_file_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "model.bin").write_bytes(b"1234")
    for name in ("folder.pt", "model.bin"):
        with pytest.raises(CheckpointError, match="there is no model"):
            load_model(tmp_path / name)


def test_unknown_and_superfluous_configs() -> None:
    with pytest.raises(CheckpointError, match="unknown configuration 'tiny': expected one of pocket, sam2-"):
        load_model("sam2.1-hiera-tiny", config="tiny")
    with pytest.raises(CheckpointError, match="sam2-hiera-tiny is a model of its own: leave --config pocket out"):
        load_model("facebook/sam2-hiera-tiny", config="pocket")


def test_the_menu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    pocket, *official = available_models()
    assert (pocket.name, pocket.hub_id, pocket.download_bytes) == ("pocket", None, 0)
    assert [model.name for model in official] == list(OFFICIAL)
    assert [model.hub_id for model in official] == [f"facebook/{name}" for name in OFFICIAL]
    assert official[4].download_bytes == 155_849_992
    assert not any(model.on_disk for model in official)


# --- hostile and damaged files ----------------------------------------------------------------------------------------


class Trap:
    """Unpickled with Python's own unpickler it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


TRAPS: dict[str, Callable[[Path, Trap], Path]] = {
    "at the top": lambda folder, trap: saved(folder / "a.pt", trap),
    "among the weights": lambda folder, trap: saved(folder / "a.pt", {"model": {"no_mem_embed": trap}}),
    "beside the weights": lambda folder, trap: saved(folder / "a.pth", {"model": {}, "optimizer": trap}),
    "in an old file": lambda folder, trap: saved(folder / "a.pt", trap, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("write", TRAPS.values(), ids=TRAPS)
def test_a_malicious_pickle_does_not_run(tmp_path: Path, write: Callable[[Path, Trap], Path]) -> None:
    marker = tmp_path / "ran"
    path = write(tmp_path, Trap(marker))
    with pytest.raises(CheckpointError, match=r"could not be read as plain tensors: .* never loaded since"):
        load_model(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the trap itself must work"


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", pickle.dumps([1], 2), b"PK\x03\x04" * 100])
def test_a_file_of_something_else(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="could not be read as plain tensors"):
        load_model(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kept", [0.001, 0.5, 0.999])
def test_a_truncated_file(tmp_path: Path, weights: Weights, suffix: str, kept: float) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".pt":
        torch.save({"model": weights}, path)
    else:
        safetensors.torch.save_file(weights, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(CheckpointError, match="could not be read as plain tensors"):
        load_model(path)


STRANGE: dict[str, object] = {
    "a tensor": torch.zeros(3),
    "a list": [torch.zeros(3)],
    "a number for the weights": {"model": 3},
    "numbers as names": {3: torch.zeros(3)},
    "integers": {"no_mem_embed": torch.zeros(3, dtype=torch.int64)},
    "a sparse tensor": {"no_mem_embed": torch.zeros(3, 3).to_sparse()},
    "a tensor without memory": {"no_mem_embed": torch.zeros(3, device="meta")},
    "a tensor among others": {"model": {"no_mem_embed": torch.zeros(3), "step": 5}},
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
def test_a_file_without_a_state_dict(tmp_path: Path, content: object) -> None:
    with pytest.raises(CheckpointError, match=r"a.pt holds no state dict: expected parameter names"):
        load_model(saved(tmp_path / "a.pt", content))


def test_a_file_of_safetensors_with_integers(tmp_path: Path) -> None:
    safetensors.torch.save_file({"no_mem_embed": torch.zeros(3, dtype=torch.int8)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"a.safetensors holds no state dict: expected parameter names"):
        load_model(tmp_path / "a.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, weights: Weights, value: float) -> None:
    damaged = weights["obj_ptr_proj.layers.1.weight"].clone()
    damaged[3, 5] = value
    with pytest.raises(CheckpointError, match=r"obj_ptr_proj.layers.1.weight holds values that are not finite"):
        load_model(saved(tmp_path / "a.pt", {**weights, "obj_ptr_proj.layers.1.weight": damaged}))


def test_a_download_is_kept_where_memory_is_what_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    path.write_bytes(b"weights")
    monkeypatch.setattr(hub, "fetch", lambda *_: path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: bytearray(2**62))
    with pytest.raises(Sam2Error, match=r"sam2.1_hiera_tiny.pt could not be read \(out of memory\); free memory"):
        load_model("sam2.1-hiera-tiny")
    assert path.exists()


def test_a_small_file_of_huge_tensors(tmp_path: Path, weights: Weights) -> None:
    huge = torch.zeros(1).expand(1, 1, 10**13)  # 40 TB if it were copied before it is compared
    with pytest.raises(CheckpointError, match=r"no_mem_embed is \[1, 1, 10000000000000\], expected \[1, 1, 128\]"):
        load_model(saved(tmp_path / "a.pt", {**weights, "no_mem_embed": huge}))


@pytest.mark.parametrize("said", ["99999", "48", "-32", "\u0663\u0662", "32 "])
def test_a_file_that_says_a_size_no_model_has(tmp_path: Path, weights: Weights, said: str) -> None:
    safetensors.torch.save_file(weights, tmp_path / "a.safetensors", {"image_size": said})
    with pytest.raises(CheckpointError, match="says that it was trained at"):
        load_model(tmp_path / "a.safetensors", config="pocket")
    safetensors.torch.save_file(weights, tmp_path / "a.safetensors", {"image_size": "128"})
    assert load_model(tmp_path / "a.safetensors", config="pocket").config.image_size == 128
    assert load_model(tmp_path / "a.safetensors", config="pocket", image_size=64).config.image_size == 64
