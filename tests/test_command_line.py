"""The command line as scripts use it: files, numbers, one line for whatever is wrong, and the exit status."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import sam2_core.cli.progress
import sam2_core.cli.track
from sam2_core.__main__ import main
from sam2_core.cli.progress import progress
from sam2_core.config import POCKET
from sam2_core.errors import CheckpointError
from sam2_core.media import VideoWriter, open_video, save_palette_png
from sam2_core.model import SAM2
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import FrameResult
from sam2_core.rle import Rle
from sam2_core.tracking.behaviour import OFFICIAL, STUDIO
from sam2_core.tracking.policies import Direction
from sam2_core.tracking.tracker import Tracker
from sam2_core.weights import load_model

ROOT = Path(__file__).resolve().parents[1]
FRAMES, H, W = 6, 48, 64
SIZE = 128
PROGRESS = re.compile(r"(tracking|drawing the overlay): .*\n")
HEADER = ["frame", "object_id", "predicted_iou", "object_score"]


def drawn(frame_index: int, height: int = H, width: int = W) -> npt.NDArray[np.uint8]:
    """A bright square that moves to the right over a dark slope."""
    frame = np.repeat(np.linspace(20, 90, width, dtype=np.uint8)[None, :, None], height, axis=0).repeat(3, axis=2)
    frame[16:32, 8 + 4 * frame_index : 24 + 4 * frame_index] = (230, 180, 60)
    return frame


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing; it believes that every object is visible, so that there are masks to see."""
    torch.manual_seed(5)
    model = SAM2(POCKET)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(5.0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "square.mp4"
    with VideoWriter(path, 12) as writer:
        for frame_index in range(FRAMES):
            writer.write(drawn(frame_index))
    return path


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """The square of frame 0, with a small hole, as object 3 of a palette PNG, beside another object."""
    labels = np.zeros((H, W), np.uint8)
    labels[16:32, 8:24] = 3
    labels[22:25, 14:18] = 0
    labels[:8, 40:] = 9
    save_palette_png(tmp_path / "given.png", labels)
    return tmp_path / "given.png"


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown does not depend on the machine's speed."""
    monkeypatch.setattr(sam2_core.cli.progress, "_LOG_SECONDS", float("inf"))


def track(media: Path, checkpoint: Path, out: Path, *arguments: str) -> list[str]:
    return ["track", str(media), "--model", str(checkpoint), "--out", str(out), "--image-size", str(SIZE), *arguments]


def in_a_process(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sam2_core", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    done.stderr = PROGRESS.sub("", done.stderr)  # a slow machine may have shown some
    return done


def labels(out: Path, frame_index: int) -> npt.NDArray[np.uint8]:
    with Image.open(out / "masks" / f"{frame_index:05d}.png") as image:
        assert image.mode == "P"
        return np.asarray(image)


def rows(out: Path) -> list[list[str]]:
    with (out / "scores.csv").open(newline="") as file:
        header, *found = csv.reader(file)
    assert header == HEADER
    return found


def logits(out: Path, frame_index: int) -> dict[str, npt.NDArray[np.float32]]:
    with np.load(out / "logits" / f"{frame_index:05d}.npz", allow_pickle=False) as found:
        return dict(found)


def assert_as_tracked(out: Path, results: dict[int, FrameResult]) -> None:
    """The files hold exactly these results."""
    expected_rows = []
    for frame_index, result in sorted(results.items()):
        expected = np.zeros(labels(out, frame_index).shape, np.uint8)
        for found in sorted(result.objects, key=lambda found: -found.object_id):
            expected[found.mask.decode()] = found.object_id
        np.testing.assert_array_equal(labels(out, frame_index), expected)
        for found in sorted(result.objects, key=lambda found: found.object_id):
            scores = f"{found.predicted_iou:.6f}", f"{found.object_score:.6f}"
            expected_rows.append([str(frame_index), str(found.object_id), *scores])
    assert rows(out) == expected_rows


# Results ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_thread")
def test_a_clip(clip: Path, checkpoint: Path, given: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--click", "1:2:24,24", "--click", "1:2:2.5,40,-", "--box", "7:0:8,16,24,32", "--mask", f"3:0:{given}"]
    done = in_a_process(track(clip, checkpoint, out, *arguments, "--logits", "--precision", "fp32"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}: 6 frames, 3 objects in masks/, scores.csv, overlay.mp4, logits/\n"
    assert sorted(path.name for path in out.iterdir()) == ["logits", "masks", "overlay.mp4", "scores.csv"]
    with open_video(out / "overlay.mp4") as overlay:
        assert (len(overlay), overlay.height, overlay.width, overlay.fps) == (FRAMES, H, W, 12.0)

    with open_video(clip) as video:
        tracker = Tracker(load_model(checkpoint, image_size=SIZE), video)
        square = np.zeros((H, W), bool)
        square[16:32, 8:24] = True
        square[22:25, 14:18] = False
        tracker.prompt(1, 2, Prompt((Point(24 / W, 24 / H), Point(2.5 / W, 40 / H, positive=False))))
        tracker.prompt(3, 0, Prompt(mask=Rle.encode(square)))
        tracker.prompt(7, 0, Prompt(box=Box(8 / W, 16 / H, 24 / W, 32 / H)))
        results, expected = {}, {}
        for result in tracker.propagate():
            results[result.frame_index] = result
            expected.setdefault(result.frame_index, {}).update(tracker.logits(result.frame_index))
    assert len(results) == FRAMES
    assert_as_tracked(out, results)
    assert len(rows(out)) == 3 * FRAMES
    for frame_index in range(FRAMES):
        found = logits(out, frame_index)
        assert found.keys() == {"1", "3", "7"}
        for name, array in found.items():
            assert (array.dtype, array.shape) == (np.float32, (SIZE // 4, SIZE // 4))
            np.testing.assert_allclose(array, expected[frame_index][int(name)].numpy(), atol=1e-4)


def test_a_picture(checkpoint: Path, tmp_path: Path) -> None:
    Image.fromarray(drawn(0, 45, 67)).save(tmp_path / "square.png")
    out = tmp_path / "out"
    done = in_a_process(track(tmp_path / "square.png", checkpoint, out, "--box", "255:0:8,16,67,45"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}: 1 frame, 1 object in masks/, scores.csv, overlay.mp4, overlay.png\n"
    assert [path.name for path in (out / "masks").iterdir()] == ["00000.png"]
    assert labels(out, 0).shape == (45, 67)
    assert set(np.unique(labels(out, 0))) <= {0, 255}
    assert [row[:2] for row in rows(out)] == [["0", "255"]]
    with Image.open(out / "overlay.png") as overlay:
        assert overlay.size == (67, 45)


def test_a_folder(checkpoint: Path, given: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for frame_index in range(3):
        Image.fromarray(drawn(frame_index)).save(frames / f"{frame_index}.jpg")
    out = tmp_path / "out"
    done = in_a_process(track(frames, checkpoint, out, "--mask", f"3:1:{given}", "--config", "pocket"))
    assert (done.returncode, done.stderr) == (0, "")
    assert [row[:2] for row in rows(out)] == [[str(frame_index), "3"] for frame_index in range(3)]
    assert rows(out)[1][2] == "1.000000"  # a mask given by a person
    with Image.open(given) as image:
        np.testing.assert_array_equal(labels(out, 1) == 3, np.asarray(image) == 3)  # pixel by pixel, its hole as well


@pytest.mark.parametrize(
    ("direction", "tracked"), [("forward", [3, 4, 5]), ("backward", [0, 1, 2, 3]), ("both", list(range(FRAMES)))]
)
def test_direction(clip: Path, checkpoint: Path, tmp_path: Path, direction: str, tracked: list[int]) -> None:
    assert main(track(clip, checkpoint, tmp_path, "--box", "1:3:20,16,36,32", "--direction", direction)) == 0
    assert [int(row[0]) for row in rows(tmp_path)] == tracked
    assert len(list((tmp_path / "masks").iterdir())) == FRAMES
    assert not any(labels(tmp_path, frame_index).any() for frame_index in range(FRAMES) if frame_index not in tracked)


def test_prompted_frames_are_there_even_where_no_sweep_comes_by(clip: Path, checkpoint: Path, tmp_path: Path) -> None:
    prompts = ["--click", "1:1:15,20", "--click", "1:4:30,20"]
    # Released behaviour sweeps backward from the first prompt, not from the last one.
    backward = ["--direction", "backward", "--behaviour", "official"]
    assert main(track(clip, checkpoint, tmp_path, *prompts, *backward, "--logits")) == 0
    assert [int(row[0]) for row in rows(tmp_path)] == [0, 1, 4]
    assert sorted(path.stem for path in (tmp_path / "logits").iterdir()) == ["00000", "00001", "00004"]


def test_official_behaviour(clip: Path, checkpoint: Path, given: Path, tmp_path: Path) -> None:
    arguments = ["--mask", f"3:0:{given}", "--logits"]
    assert main(track(clip, checkpoint, tmp_path / "studio", *arguments, "--precision", "fp32")) == 0
    assert main(track(clip, checkpoint, tmp_path / "official", *arguments, "--behaviour", "official")) == 0
    with open_video(clip) as video, Image.open(given) as image:
        tracker = Tracker(load_model(checkpoint, image_size=SIZE), video, OFFICIAL)  # float32, as the released code
        tracker.prompt(3, 0, Prompt(mask=Rle.encode(np.asarray(image) == 3)))
        for result in tracker.propagate(Direction.FORWARD):
            expected = tracker.logits(result.frame_index)[3].numpy()
            np.testing.assert_allclose(logits(tmp_path / "official", result.frame_index)["3"], expected, atol=1e-4)
        shown = {name: labels(tmp_path / name, 0) == 3 for name in ("studio", "official")}
        np.testing.assert_array_equal(shown["studio"], np.asarray(image) == 3)
        assert (shown["official"] != shown["studio"]).any()  # which shows the model's version of it


def test_only_the_studio_keeps_a_correction(clip: Path, checkpoint: Path) -> None:
    kept = {}
    for name, behaviour in (("studio", STUDIO), ("official", replace(OFFICIAL, memory_dtype=None))):
        with open_video(clip) as video:
            tracker = Tracker(load_model(checkpoint, image_size=SIZE), video, behaviour)
            tracker.prompt(1, 0, Prompt(mask=rectangle(8)))
            list(tracker.propagate())
            corrected = tracker.prompt(1, 3, Prompt(mask=rectangle(40)))[1].mask
            list(tracker.propagate())
            kept[name] = tracker.result(3)[1].mask == corrected
        assert corrected.decode()[20, 50]
    assert kept == {"studio": True, "official": False}


def rectangle(left: int) -> Rle:
    mask = np.zeros((H, W), bool)
    mask[16:32, left : left + 16] = True
    return Rle.encode(mask)


def test_results_of_an_earlier_run_are_replaced(
    clip: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(track(clip, checkpoint, tmp_path, "--click", "1:0:10,20", "--logits")) == 0
    assert capsys.readouterr().err == ""
    assert main(track(clip, checkpoint, tmp_path, "--click", "2:0:10,20")) == 0
    assert capsys.readouterr().err == f"replacing the earlier results in {tmp_path}\n"
    assert {row[1] for row in rows(tmp_path)} == {"2"}
    assert not list(tmp_path.rglob("*.npz"))


# What is said on the way -----------------------------------------------------------------------------------------


def test_interrupted(
    clip: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    propagate = Tracker.propagate

    def stopped(tracker: Tracker, direction: Direction) -> Iterator[FrameResult]:
        for result in propagate(tracker, direction):
            yield result
            if result.frame_index == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(Tracker, "propagate", stopped)
    assert main(track(clip, checkpoint, tmp_path, "--click", "1:0:10,20")) == 1
    output = capsys.readouterr()
    assert output.err == f"stopped; the masks and scores of 3 of 6 frames are in {tmp_path}.\n"
    assert output.out == ""
    assert [row[0] for row in rows(tmp_path)] == ["0", "1", "2"]
    assert not (tmp_path / "overlay.mp4").exists()


def test_interrupted_before_anything_was_written(
    clip: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> SAM2:
        raise KeyboardInterrupt

    monkeypatch.setattr(sam2_core.cli.track, "load_model", stopped)
    assert main(track(clip, checkpoint, tmp_path / "out", "--click", "1:0:10,20")) == 1
    assert capsys.readouterr().err == "stopped before anything was written.\n"
    assert not (tmp_path / "out").exists()


def test_too_little_gpu_memory(
    clip: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> FrameResult:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Tracker, "prompt", fail)
    assert main(track(clip, checkpoint, tmp_path, "--click", "1:0:10,20")) == 2
    assert re.search(r"the GPU has too little memory; try a smaller --image-size", capsys.readouterr().err)


def test_a_download_is_shown(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_source: str, **options: object) -> SAM2:
        report = options["progress"]
        assert callable(report)
        report(0, 156_000_000)
        report(78_000_000, 156_000_000)
        raise CheckpointError("the connection broke off.")

    monkeypatch.setattr(sam2_core.cli.track, "load_model", fail)
    monkeypatch.setattr(sam2_core.cli.progress, "_LOG_SECONDS", 0)
    arguments = ["track", str(clip), "--model", "sam2.1-hiera-tiny", "--out", str(tmp_path), "--click", "1:0:10,20"]
    assert main(arguments) == 2
    *lines, error = capsys.readouterr().err.splitlines()
    assert re.match(r"downloading sam2.1-hiera-tiny: +50%.* 78.0M/156M \[", lines[-1])
    assert error == "python -m sam2_core track: error: the connection broke off."


def test_a_log_has_few_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam2_core.cli.progress, "_LOG_SECONDS", 10)
    seconds = iter([0.0, 4.0, 8.0, 12.0, 16.0, 24.0])
    monkeypatch.setattr("sam2_core.cli.progress.time.monotonic", lambda: next(seconds))
    with progress("tracking", "frame") as report:
        for done in range(1, 7):
            report(done, 12)
    lines = capsys.readouterr().err.splitlines()
    assert [re.search(r"(\d+)/12 \[00:(\d\d)<", line).groups() for line in lines] == [("4", "12"), ("6", "24")]  # type: ignore[union-attr]


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bars = []

    class Bar:
        def __init__(self, **options: object) -> None:
            self.options, self.n, self.closed = options, 0, False
            bars.append(self)

        def update(self, n: int) -> None:
            self.n += n

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(sam2_core.cli.progress, "tqdm", Bar)
    with progress("tracking", "frame") as report:
        assert bars == []  # its clock has not started
        report(1, 9)
        report(5, 9)
    assert [(bar.n, bar.options["total"], bar.options["desc"], bar.closed) for bar in bars] == [
        (5, 9, "tracking", True)
    ]
    assert capsys.readouterr().err == ""


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert re.search(r"commands:.*track .*train .*evaluate ", capsys.readouterr().out, re.DOTALL)
    with pytest.raises(SystemExit, match="0"):
        main(["track", "--help"])
    text = capsys.readouterr().out
    usage = text[: text.index("\n\n")]
    assert {*re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE)} == {*re.findall(r"--[a-z-]+", usage)}
    assert "examples:" in text
    assert "exit status: 0 done; 1 stopped before the end; 2 something is wrong" in text


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_help_of_other_commands(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"python -m sam2_core {command} " in capsys.readouterr().out.split("example")[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["train", "pocket", "--run", "run"], "there is no folder 'images/coco_subset/images'"),
        (["evaluate"], "in no layout that is known"),
    ],
)
def test_data_that_are_not_there(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--data", str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert re.fullmatch(r"masklet-studio \d+\.\d+\.\d+, PyTorch \d\S+\n", capsys.readouterr().out)


# What is wrong ----------------------------------------------------------------------------------------------------


def failure(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr of a command that must end with status 2."""
    try:
        status = main(arguments)
    except SystemExit as ended:  # the parser's own way out
        status = ended.code  # type: ignore[assignment]
    output = capsys.readouterr()
    assert (status, output.out) == (2, "")
    assert output.err.endswith("\n")
    assert output.err.count("\n") == 1
    assert re.match(r"python -m sam2_core( track)?: error: ", output.err)
    return output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to track; point at something with --click OBJ:FRAME:X,Y"),
        (["--click", "1:0"], r"argument --click: expected OBJ:FRAME:X,Y\[,\+\|-\], such as 1:0:480,270 .*; got '1:0'"),
        (["--click", "1:0:5;5"], "argument --click: expected OBJ:FRAME:X,Y"),
        (["--click", "1:0:nan,5"], "argument --click: expected OBJ:FRAME:X,Y"),
        (["--click", "1:0:5,5,1"], "argument --click: expected OBJ:FRAME:X,Y"),
        (["--click", "1:-1:5,5"], "argument --click: expected OBJ:FRAME:X,Y"),
        (["--click", "cat:0:5,5"], "argument --click: expected OBJ:FRAME:X,Y"),
        (["--click", "0:0:5,5"], "objects are numbered 1 to 255; got '0:0:5,5'"),
        (["--box", "256:0:1,1,9,9"], "objects are numbered 1 to 255; got '256:0:1,1,9,9'"),
        (["--click", "1:6:5,5"], "--click 1:6:5,5: 'square.mp4' has frames 0 to 5; got frame 6"),
        (["--click", "1:0:64,5"], "--click 1:0:64,5: the frame is 64 x 48 pixels, so X goes from 0 to 63 and Y from 0"),
        (["--click", "1:0:5,48"], "Y from 0 to 47; got 5,48"),
        (["--click", "1:0:-1,5"], "got -1,5"),
        (["--box", "1:0:1,1,9"], r"argument --box: expected OBJ:FRAME:X0,Y0,X1,Y1, such as .*; got '1:0:1,1,9'"),
        (["--box", "1:0:9,1,1,9"], "--box 1:0:9,1,1,9: a box goes from its top-left corner .*; got 9,1 to 1,9"),
        (["--box", "1:0:1,1,1,9"], "a box goes from its top-left corner"),
        (["--box", "1:0:1,1,9,49"], "inside the frame of 64 x 48 pixels; got 1,1 to 9,49"),
        (["--box", "1:0:1,1,9,9", "--box", "1:0:2,2,9,9"], "--box 1:0:2,2,9,9: an object has one box on a frame"),
        (["--mask", "1:0"], r"argument --mask: expected OBJ:FRAME:FILE.png, such as 1:0:mask.png; got '1:0'"),
        (["--mask", "1:0:none.png"], "--mask 1:0:none.png: there is no file 'none.png'"),
        (["--click", "1:0:5,5", "--direction", "up"], "argument --direction: invalid choice: 'up'"),
        (["--click", "1:0:5,5", "--image-size", "100"], "expected a multiple of 32 from 32 to 2048; got '100'"),
        (["--click", "1:0:5,5", "--image-size", "huge"], "expected a multiple of 32 from 32 to 2048; got 'huge'"),
        (["--click", "1:0:5,5", "--config", "sam3"], "unknown configuration 'sam3': expected one of pocket, "),
        (["--click", "1:0:5,5", "--config", "sam2-hiera-tiny"], "does not fit sam2-hiera-tiny"),
        (["--click", "1:0:5,5", "--model", "sam2.1-hiera-giant"], "no model 'sam2.1-hiera-giant': expected one of"),
        (["--click", "1:0:5,5", "--model", "none.safetensors"], "there is no model 'none.safetensors'"),
        (["--click", "1:0:5,5", "--clip", "x"], "unrecognized arguments: --clip x"),
    ],
)
def test_wrong_arguments(
    clip: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    error = failure(track(clip, checkpoint, tmp_path / "out", *arguments), capsys)
    assert re.search(message, error)
    assert not (tmp_path / "out").exists()


def test_a_mask_of_another_size(
    clip: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = tmp_path / "half.png"
    Image.new("L", (W // 2, H // 2), 255).save(mask)
    error = failure(track(clip, checkpoint, tmp_path / "out", "--mask", f"1:0:{mask}"), capsys)
    assert f"--mask 1:0:{mask}: a mask has the frame's size, 64 x 48 pixels; 'half.png' has 32 x 24" in error


def test_wrong_media(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.mp4").write_text("not a video\n" * 100)
    (tmp_path / "empty").mkdir()
    messages = {
        "none.mp4": "there is no file or folder 'none.mp4'",
        "notes.mp4": "'notes.mp4'",
        "empty": "the folder 'empty' holds no pictures",
        "two\nlines.mp4": "there is no file or folder",
    }
    for name, message in messages.items():
        assert message in failure(track(tmp_path / name, checkpoint, tmp_path / "out", "--click", "1:0:5,5"), capsys)
    assert not (tmp_path / "out").exists()


def test_a_wrong_folder_for_results(
    clip: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    click = ("--click", "1:0:5,5")
    davis = tmp_path / "davis"
    (davis / "masks").mkdir(parents=True)
    assert "already has masks" in failure(track(clip, checkpoint, davis, *click), capsys)
    (tmp_path / "file").touch()
    assert "'file' is a file" in failure(track(clip, checkpoint, tmp_path / "file", *click), capsys)
    assert main(track(clip, checkpoint, tmp_path / "out", *click)) == 0
    capsys.readouterr()
    before = (tmp_path / "out" / "overlay.mp4").read_bytes()
    for media in (tmp_path / "out" / "overlay.mp4", tmp_path / "out" / "masks"):
        error = failure(track(media, checkpoint, tmp_path / "out", *click), capsys)
        assert f"the results would replace the input '{media}'" in error
    assert (tmp_path / "out" / "overlay.mp4").read_bytes() == before


def test_a_gpu_that_is_not_there(
    clip: Path,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    arguments = track(clip, checkpoint, tmp_path / "out", "--click", "1:0:5,5", "--device", "cuda")
    assert "sees no GPU; use --device cpu" in failure(arguments, capsys)


def test_an_unknown_command_in_a_process() -> None:
    done = in_a_process(["segment", "clip.mp4"])
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"python -m sam2_core: error: .*invalid choice: 'segment'.*\n", done.stderr)
