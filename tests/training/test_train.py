"""Runs from a recipe's file to weights that are used: stopped, resumed, continued, shared out."""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_core.__main__ import main
from sam2_core.cli.train import EPILOG, add_arguments
from sam2_core.config import OFFICIAL, POCKET
from sam2_core.errors import Cancelled, CheckpointError, Sam2Error
from sam2_core.media import video_from_array
from sam2_core.model import SAM2
from sam2_core.prompts import Point, Prompt
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker
from sam2_core.training import read_recipe, recipe_names, train
from sam2_core.training.batches import Share, StepData, worker_count
from sam2_core.training.checkpoint import CHECKPOINT, WEIGHTS, Position, load_init, write_weights
from sam2_core.training.curve import Curve, CurvePoint
from sam2_core.training.foreground import Talk
from sam2_core.training.initialise import initialise
from sam2_core.training.optimiser import make_optimiser
from sam2_core.training.plan import Chance
from sam2_core.training.recipe import ImageBatches, Show, Stored
from sam2_core.training.sources import open_material
from sam2_core.training.step import run_step
from sam2_core.weights import load_model
from tests.training.scenes import BUSY, Square, material, write_sequence, write_training

ROOT = Path(__file__).resolve().parents[2]
STAGE = read_recipe("finetune-sam2.1-tiny").stages[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_training(folder)
    return folder


def small(folder, *changes):
    return read_recipe(str(folder / "small.toml"), changes)


@pytest.fixture(scope="module")
def straight(folder):
    """Six steps in one go, with a sheet at the end."""
    return train(small(folder, "preview=6"), folder, folder / "straight")


def test_a_run_leaves_weights_a_curve_and_pictures(straight):
    names = {path.name for path in straight.iterdir()} - {"tensorboard"}
    assert names == {CHECKPOINT, WEIGHTS, "curve.csv", "curve.png", "previews"}
    points = Curve(straight, ["both"]).points()
    assert [point.step for point in points] == [1, 2, 3, 4, 5, 6]
    assert np.isfinite([point.loss for point in points]).all()
    assert [np.isfinite(point.tracked) for point in points] == [False, True] * 3
    sheets = sorted(path.name for path in (straight / "previews").iterdir())
    assert sheets == ["both-image-0000006.jpg", "both-video-0000006.jpg"]
    with Image.open(straight / "previews" / sheets[1]) as sheet:
        assert sheet.size[0] in (3 * 256, 4 * 256)
        assert np.asarray(sheet).std() > 10


def test_what_was_trained_is_loaded_strictly_and_tracks(straight):
    model = load_model(straight / WEIGHTS)
    assert model.config == POCKET.at_size(64)  # the size is in the file, though not in its weights
    assert (straight / WEIGHTS).stat().st_mode == (straight / CHECKPOINT).stat().st_mode
    video = video_from_array(np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), dtype=np.uint8))
    tracker = Tracker(model, video)
    tracker.prompt(1, 0, Prompt(points=(Point(0.5, 0.5),)))
    assert [result.frame_index for result in tracker.propagate(Direction.FORWARD)] == [0, 1, 2]


def test_a_run_that_was_asked_to_stop_ends_as_if_it_had_not_been(folder, straight, monkeypatch):
    def say(talk, done, _loss):
        if done == 3 and talk.first == 0:
            signal.raise_signal(signal.SIGTERM)

    run, recipe = folder / "stopped", small(folder, "report=2")
    monkeypatch.setattr(Talk, "say", say)
    with pytest.raises(Cancelled, match="stopped after step 4 of 6 of both; the same command goes on from there"):
        train(recipe, folder, run)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert torch.load(run / CHECKPOINT, weights_only=True)["step"] == 4
    load_model(run / WEIGHTS, config="pocket")
    Curve(run, ["both"]).add(CurvePoint("both", 5, 0.0, 99.0))  # a killed process wrote more than it saved
    train(recipe, folder, run)
    ends = [torch.load(each / CHECKPOINT, weights_only=True) for each in (straight, run)]
    for part in ("model", "average"):
        for name, value in ends[0][part].items():
            assert torch.equal(ends[1][part][name], value), name
    losses, means = ([point.loss for point in Curve(each, ["both"]).points()] for each in (straight, run))
    assert means == pytest.approx(np.reshape(losses, (3, 2)).mean(axis=1), rel=1e-6)


def test_a_finished_run_stays_as_it_is(folder, straight):
    before = (straight / "curve.csv").read_bytes(), load_model(straight / WEIGHTS, config="pocket").state_dict()
    train(small(folder), folder, straight)
    assert (straight / "curve.csv").read_bytes() == before[0]
    for name, value in load_model(straight / WEIGHTS, config="pocket").state_dict().items():
        assert torch.equal(value, before[1][name])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("both.name=other", "another recipe: both.steps was 6 and is not there"),
        (
            "both.steps=14",
            "both.steps was 6 and is 14; go on with the same one, or begin another",
        ),
        ("seed=2", "seed was 1 and is 2"),
        ("model=sam2.1-hiera-tiny", "model was pocket and is sam2.1-hiera-tiny"),
        ("optimiser.rate=1e-5", "both.optimiser.rate was 0.0001 and is 1e-05"),
    ],
)
def test_a_run_is_not_continued_with_another_recipe(folder, straight, change, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        train(small(folder, change), folder, straight)


@pytest.mark.parametrize(
    "damage",
    [
        {"model": "x"},
        {"average": {"no_mem_embed": torch.zeros(3)}},
        {"stage": -1},
        {"stage": 0, "step": 100},
        {"step": -5},
        {"stage": 0, "step": 3, "optimiser": {}},
        {"pending": [["soon"]]},
        {"recipe": None},
    ],
    ids=lambda damage: " ".join(damage),
)
def test_a_checkpoint_that_does_not_fit_is_damaged(folder, straight, tmp_path, damage):
    content = torch.load(straight / CHECKPOINT, weights_only=True)
    torch.save({**content, **damage}, tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match=r"last.pt in .* is damaged, or not of this trainer \("):
        train(small(folder), folder, tmp_path)


def test_a_checkpoint_is_never_unpickled(folder, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"\x80\x02cposix\nsystem\n.")
    with pytest.raises(CheckpointError, match="could not be read as plain tensors"):
        train(small(folder), folder, tmp_path)


def test_another_run_starts_from_an_average(straight, tmp_path):
    torch.manual_seed(1)
    average = torch.load(straight / CHECKPOINT, weights_only=True)["average"]
    for source in (CHECKPOINT, WEIGHTS):
        model = SAM2(POCKET.at_size(64))
        load_init(model, str(straight / source))
        for name, value in model.state_dict().items():
            assert torch.equal(value, average[name]), name
    with pytest.raises(CheckpointError, match="does not fit sam2.1-hiera-tiny"):
        load_init(SAM2(replace(POCKET, name="sam2.1-hiera-tiny")), str(straight / WEIGHTS))
    with pytest.raises(CheckpointError, match="there is no model"):
        load_init(SAM2(POCKET), str(tmp_path / "gone.pt"))


def test_half_precision_holds_what_fits(tmp_path):
    model = SAM2(POCKET)
    write_weights(model, tmp_path, Stored.FLOAT16, Position())
    assert (tmp_path / WEIGHTS).stat().st_size < 10_000_000
    with torch.no_grad():
        model.no_obj_ptr.fill_(1e6)
    with pytest.raises(CheckpointError, match="stored in float16 must stay below 65504; got 1e"):
        write_weights(model, tmp_path, Stored.FLOAT16, Position())


def test_a_model_that_ignores_its_prompts_is_not_trained_on(folder):
    recipe = small(folder, "both.show=['image']", "both.expect_iou=0.9", "both.expect_at=1")
    with pytest.raises(Sam2Error, match="the model ignores its prompts: after 1 steps of stage both"):
        train(recipe, folder, folder / "plateau")


@dataclass
class Board:
    """As TensorBoard's writer: what was not flushed before the process ends is lost."""

    pending: list = field(default_factory=list)
    kept: list = field(default_factory=list)

    def add_scalar(self, name, _value, step):
        self.pending.append((name, step))

    def close(self):
        self.kept, self.pending = [*self.kept, *self.pending], []


def test_a_run_that_ends_in_an_error_keeps_its_points(folder, monkeypatch):
    board = Board()
    monkeypatch.setattr("sam2_core.training.curve._board", lambda _run: board)
    recipe = small(folder, "both.show=['image']", "both.expect_iou=0.9", "both.expect_at=2")
    with pytest.raises(Sam2Error, match="the model ignores its prompts"):
        train(recipe, folder, folder / "lost")
    assert ("both/loss", 1) in board.kept
    assert not board.pending


def test_losses_that_are_no_numbers_end_a_run(folder, monkeypatch):
    monkeypatch.setattr("sam2_core.training.trainer.learning_rate", lambda *_: float("nan"))
    with pytest.raises(Sam2Error, match="step 1 of stage both has the loss nan and a gradient of the size nan"):
        train(small(folder), folder, folder / "nan")


def test_workers_change_nothing(folder, straight):
    run = train(small(folder, "workers=2", "both.steps=6", "device=cpu"), folder, folder / "workers")
    assert (run / "curve.csv").read_bytes() == (straight / "curve.csv").read_bytes()
    assert worker_count(-1, torch.device("cpu"), 1) == 0
    assert worker_count(3, torch.device("cpu"), 1) == 3


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_data_are_told_in_one_sentence_wherever_they_are_read(folder, tmp_path, workers):
    write_training(tmp_path)
    for mask in (tmp_path / "pictures" / "masks").iterdir():
        mask.write_bytes(b"no picture")
    recipe = read_recipe(str(tmp_path / "small.toml"), [f"workers={workers}", "init=pocket", "both.show=['image']"])
    with pytest.raises(
        Sam2Error, match=r"^'[ab].png' is not a picture; masks are PNGs whose values are objects' ids\.$"
    ):
        train(recipe, tmp_path, tmp_path / "run")
    (tmp_path / "file").touch()
    with pytest.raises(Sam2Error, match="the run's folder 'file' cannot be used"):
        train(small(folder), folder, tmp_path / "file")


def test_an_official_model_learns_a_batch_and_is_used(tmp_path):
    """Fine-tuning's own settings on the real architecture, with weights of no use and a rate to match."""
    config = OFFICIAL["sam2.1-hiera-tiny"].at_size(64)
    torch.manual_seed(0)
    model = SAM2(config, dropout=0.0).train()
    initialise(model)
    clicks = replace(STAGE.image.prompts, clicks=(1.0,))
    image = ImageBatches(1, 1, augment=BUSY, prompts=clicks)
    stage = replace(STAGE, show=(Show.IMAGE,), image=image, optimiser=replace(STAGE.optimiser, rate=1e-4))
    batch = StepData(material(), stage, 64, 1, 0, Share()).batch(0)
    optimiser = make_optimiser(model, stage)
    losses = []
    for _ in range(5):
        result = run_step(model, stage, 0, batch, Chance(1, 0, 0), Share(), torch.float32)
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), stage.optimiser.clip)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(result.loss.item())
    assert losses[-1] < 0.95 * losses[0], losses
    write_weights(model, tmp_path, Stored.FLOAT32, Position())
    loaded = load_model(tmp_path / WEIGHTS)
    assert loaded.config == config
    tracker = Tracker(loaded, video_from_array(np.zeros((2, 48, 64, 3), np.uint8)))
    tracker.prompt(1, 0, Prompt(points=(Point(0.5, 0.5),)))
    assert len(list(tracker.propagate(Direction.FORWARD))) == 2


def test_the_command_line(folder, capsys):
    config, data = str(folder / "small.toml"), ["--data", str(folder), "--run", str(folder / "commanded")]
    assert main(["train", config, *data, "--set", "both.steps=1", "--set", "both.show=['image']"]) == 0
    assert capsys.readouterr().err.endswith("model.safetensors\n")
    assert main(["train", config, *data, "--set", "video.frame=1"]) == 2
    assert "a recipe has no video.frame; known in video are" in capsys.readouterr().err
    assert main(["train", "pocket", *data]) == 2
    assert "no folder 'images/coco_subset/images'" in capsys.readouterr().err


def test_videos_alone_will_do(tmp_path, capsys):
    write_sequence(tmp_path / "videos/square/frames", tmp_path / "videos/square/masks", Square())
    sizes = ("model=pocket", "init=", "image_size=64", "finetune.steps=1", "video.frames=2", "preview=1")
    command = ["train", "finetune-sam2.1-tiny", "--data", str(tmp_path), "--run", str(tmp_path / "run")]
    command += [part for change in sizes for part in ("--set", change)]
    assert main(command) == 2
    assert "no folder 'pictures/images'" in capsys.readouterr().err
    assert main([*command, "--set", 'finetune.show=["video"]']) == 0
    assert load_model(tmp_path / "run" / WEIGHTS).config == POCKET.at_size(64)
    assert [each.name for each in (tmp_path / "run" / "previews").iterdir()] == ["finetune-video-0000001.jpg"]


def test_data_are_opened_where_a_stage_shows_them(folder, tmp_path):
    def opened(*changes):
        material = open_material(small(folder, *changes), folder)
        return len(material.pictures), len(material.videos)

    assert opened() == (1, 1)
    assert opened("both.show=['image']") == opened("video.real=0") == (1, 0)
    assert opened("both.show=['video']", "video.real=1") == (0, 1)
    assert opened("both.show=['video']", "video.real=1", "video.augment.cut=0.1") == (1, 1)
    assert opened("both.show=['video']", "video.real=1", "video.augment.paste=[0.5, 0.5]") == (1, 1)
    toy = small(folder, "both.show=['toy']", "both.steps=1", "data=[]")
    assert (train(toy, tmp_path, tmp_path / "toy") / WEIGHTS).is_file()


def test_what_documentation_and_help_show_is_understood(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "training.md").read_text()
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my.toml").write_text(example)
    recipe = read_recipe("my.toml")
    assert [source.path for source in recipe.data] == ["pictures", "videos"]
    assert [stage.name for stage in recipe.stages] == ["finetune", "drift"]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    lines = re.findall(r"sam2_core train (?!CONFIG)(.+)", f"{text}\n{EPILOG}".replace("\\\n", " "))
    commands = [parser.parse_args(shlex.split(line)) for line in lines]
    assert {command.recipe for command in commands} == {"my.toml", *recipe_names()}
    for command in commands:
        read_recipe(command.recipe, command.changes)
    inline = re.findall(r"`--set ([^`]+)`", text)
    assert len(inline) >= 4
    for change in inline:
        read_recipe("my.toml", shlex.split(change))


def test_the_curve_as_a_picture(tmp_path):
    curve = Curve(tmp_path, ["image", "video"])
    for stage in ("image", "video"):
        for step in (20, 40):
            curve.add(CurvePoint(stage, step, 1e-3, 3.25, click=0.25, tracked=0.5))
    assert np.isnan(curve.points()[0].best)
    curve.trim(1, 20)
    assert [(point.stage, point.step) for point in curve.points()] == [("image", 20), ("image", 40), ("video", 20)]
    curve.plot()
    with Image.open(tmp_path / "curve.png") as image:
        assert image.size == (960, 640)
    (tmp_path / "curve.csv").write_text("stage,step\nimage,soon\n")
    with pytest.raises(Sam2Error, match="curve.csv in .* is damaged"):
        curve.points()


@pytest.mark.slow
def test_torchrun_with_two_processes_is_one_run(folder, straight):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "--", "sam2_core", "train", str(folder / "small.toml"), "--data", str(folder),
        "--run", str(folder / "two"),
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=600)
    one, two = (Curve(run, ["both"]).points() for run in (straight, folder / "two"))
    assert [point.loss for point in two] == pytest.approx([point.loss for point in one], rel=1e-3)
    for name in ("click", "best", "corrected", "tracked", "last", "presence"):  # of all processes' clips
        seen = [[getattr(point, name) for point in points] for points in (one, two)]
        assert seen[1] == pytest.approx(seen[0], abs=0.02, nan_ok=True), name
