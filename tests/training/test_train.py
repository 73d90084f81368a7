"""Steps of every stage, and a run from start to file."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from sam2_core.config import POCKET
from sam2_core.errors import CheckpointError
from sam2_core.model import SAM2
from sam2_core.training import TrainingConfig, export, train
from sam2_core.training.augment import image_batch
from sam2_core.training.config import StageConfig
from sam2_core.training.curve import CurvePoint, append_point, plot_curve, read_points
from sam2_core.training.initialise import initialise
from sam2_core.training.losses import LossWeights
from sam2_core.training.pseudo_video import ClipMaker
from sam2_core.training.steps import image_step, video_step, warmup_step
from sam2_core.weights import load_model
from tests.training.scenes import SIZE, footage, sources, square_scene

WEIGHTS = LossWeights(focal=0.0, balanced=1.0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = SAM2(POCKET)
    initialise(model)
    return model


def _has_gradient(model, prefix):
    return all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0
        for name, parameter in model.named_parameters()
        if name.startswith(prefix) and name.endswith("weight")
    )


def test_the_warm_up_reaches_prompts_and_decoder_only(model):
    model.zero_grad()
    warmup_step(model, np.random.default_rng(0), 2, WEIGHTS).loss.backward()
    assert _has_gradient(model, "sam_mask_decoder.transformer")
    assert model.image_encoder.trunk.pos_embed.grad is None


def test_an_image_step_reaches_the_encoder(model):
    model.zero_grad()
    rng = np.random.default_rng(0)
    report = image_step(model, rng, image_batch(rng, sources(), 256, 2, 2), WEIGHTS)
    report.loss.backward()
    assert torch.isfinite(report.loss)
    assert _has_gradient(model, "image_encoder.trunk")
    assert model.memory_encoder.out_proj.weight.grad is None


@pytest.mark.parametrize("seed", range(3))
def test_a_video_step_reaches_memory_through_time(model, seed):
    model.zero_grad()
    rng = np.random.default_rng(seed)
    clip = ClipMaker(sources(), (footage(),), 256).draw(rng, 5)
    report = video_step(model, rng, [clip], 2, WEIGHTS)
    report.loss.backward()
    assert torch.isfinite(report.loss)
    for part in ("memory_encoder", "memory_attention", "obj_ptr_proj", "image_encoder.trunk"):
        assert _has_gradient(model, part), part
    assert model.maskmem_tpos_enc.grad.abs().sum() > 0


def test_loss_weights_fade_from_start_to_end():
    stage = StageConfig("image", 1.0, 1e-3, LossWeights(balanced=1.0), LossWeights(balanced=0.0, focal=0.0))
    assert stage.weights(0.1) == stage.start
    assert stage.weights(0.9) == stage.end
    halfway = stage.weights(0.5)
    assert (halfway.balanced, halfway.focal, halfway.dice) == pytest.approx((0.5, 10.0, 1.0))


def test_the_curve_survives_its_file(tmp_path):
    points = [CurvePoint(stage, 20, 0.5, 1e-3, 3.25, 0.25, 0.5, 0.25, 0.75) for stage in ("image", "image", "video")]
    for point in points:
        append_point(tmp_path / "curve.csv", point)
    assert read_points(tmp_path / "curve.csv") == points
    plot_curve(points, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.size == (960, 400)


def test_there_is_nothing_to_export_before_training(tmp_path):
    with pytest.raises(CheckpointError, match="train first"):
        export(tmp_path / "last.pt", tmp_path / "pocket.safetensors")


@pytest.fixture
def data(tmp_path):
    """A data folder in the published layout, with one picture of each kind and one sequence."""
    scene, clip = square_scene(), footage()
    split = {"vos_train/davis": {"sequences": ["square"]}}
    for source, suffixes in (
        ("coco_subset", ()),
        ("bsds500", ("_coarse", "_fine")),
        ("feral_cat", ("",)),
        ("dsb2018_nuclei", ("",)),
        ("facade", ("",)),
    ):
        split[f"images/{source}"] = {"train": ["1"]}
        folder = tmp_path / "images" / source
        (folder / "images").mkdir(parents=True)
        (folder / "masks").mkdir()
        Image.fromarray(scene.image.permute(1, 2, 0).numpy()).save(folder / "images" / "1.jpg")
        for suffix in suffixes:
            Image.fromarray(scene.layers[0].numpy()).save(folder / "masks" / f"1{suffix}.png")
    square = {"image_id": 1, "iscrowd": 0, "segmentation": [[8, 10, 40, 10, 40, 42, 8, 42]]}
    annotations = {"images": [{"id": 1, "file_name": "1.jpg", "width": SIZE, "height": SIZE}], "annotations": [square]}
    (tmp_path / "images" / "coco_subset" / "annotations.json").write_text(json.dumps(annotations))
    folder = tmp_path / "vos_train" / "davis" / "square"
    for name in ("frames", "masks"):
        (folder / name).mkdir(parents=True)
    for index, (frame, mask) in enumerate(zip(clip.frames, clip.masks, strict=True)):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / "frames" / f"{index:05d}.jpg")
        Image.fromarray(mask.numpy().astype(np.uint8)).save(folder / "masks" / f"{index:05d}.png")
    (tmp_path / "splits.json").write_text(json.dumps(split))
    return tmp_path


@pytest.mark.slow
def test_a_run_can_be_stopped_resumed_and_shipped(data):
    config = TrainingConfig(data, data / "run", images=1, targets=1, clips=1)
    short = {stage.name: replace(stage, minutes=0.05) for stage in config.stages}
    checkpoint = train(replace(config, **{**short, "video": replace(short["video"], minutes=0.0)}))
    first = torch.load(checkpoint, weights_only=True)
    assert first["done"][:, :2].min() >= 1
    assert first["done"][:, 2].max() == 0
    train(replace(config, **short))
    second = torch.load(checkpoint, weights_only=True)
    assert torch.equal(second["done"][:, :2], first["done"][:, :2])
    assert second["done"][:, 2].min() >= 1
    export(checkpoint, data / "pocket.safetensors", {"seed": "1"})
    with safe_open(data / "pocket.safetensors", framework="pt") as file:
        assert file.metadata()["seed"] == "1"
        assert len(file.metadata()["steps"].split(" + ")) == 3
    shipped = load_model(data / "pocket.safetensors", config="pocket").state_dict()
    for name, value in second["average"].items():
        torch.testing.assert_close(shipped[name], value, atol=1e-3, rtol=1e-3)
