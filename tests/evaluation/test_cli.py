"""``python -m sam2_core evaluate`` from the first line to the last."""

import json

import pytest
from safetensors.torch import save_file

from sam2_core.__main__ import main
from tests.evaluation import scenes
from tests.tracking.toys import toy_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "toy.safetensors"
    save_file(toy_model().state_dict(), path)
    return ["--model", str(path), "--image-size", "64", "--device", "cpu"]


def test_videos_and_pictures_of_this_projects_data(tmp_path, model, capsys):
    scenes.coco(tmp_path / "images" / "coco_subset")
    scenes.frames_and_masks(tmp_path / "vos" / "davis" / "square")
    splits = {"images/coco_subset": {"eval": ["a"]}, "vos/davis": {"single_object": ["square"]}}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    assert main(["evaluate", *model, "--data", str(tmp_path), "--picture-clicks", "5"]) == 0
    printed = capsys.readouterr().out
    assert "**Pictures, 1 objects**" in printed
    assert "filled box 1.000" in printed
    assert "| first mask given " in printed
    assert "| one click on the first frame " in printed
    assert "| mean of 1 objects |" in printed


def test_a_second_start_goes_on_where_the_first_one_stopped(tmp_path, model, capsys):
    data, out = scenes.davis(tmp_path / "davis", ("bear", "cow")), tmp_path / "out"
    line = ["evaluate", *model, "--data", str(data), "--out", str(out), "--protocol", "mask"]
    assert main([*line, "--only", "cow"]) == 0
    assert main(line) == 0
    assert f"{out}: 2 results, 1 of them from an earlier start" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        "settings.json", "results", "scores.csv", "summary.json", "report.html",
    }  # fmt: skip
    assert main([*line, "--no-baselines"]) == 2
    assert "other settings (options of" in capsys.readouterr().err


def test_an_interrupt_leaves_a_table_and_says_how_to_go_on(tmp_path, model, capsys, monkeypatch):
    from sam2_core.evaluation import jobs

    data, once = scenes.davis(tmp_path / "davis", ("bear", "cow")), []
    evaluate_sequence = jobs.evaluate_sequence

    def interrupted(*arguments):
        if once:
            raise KeyboardInterrupt
        once.append(True)
        return evaluate_sequence(*arguments)

    monkeypatch.setattr(jobs, "evaluate_sequence", interrupted)
    line = ["evaluate", *model, "--data", str(data), "--protocol", "mask", "--out", str(tmp_path / "out")]
    assert main(line) == 1
    printed = capsys.readouterr()
    assert "| bear " in printed.out
    assert "stopped; 1 of 2 jobs were not done; the same command goes on." in printed.err
    assert "Not finished: 1 jobs" in (tmp_path / "out" / "report.html").read_text()


def test_anyones_masks(tmp_path, capsys):
    data = scenes.davis(tmp_path / "davis")
    scenes.write_labels(tmp_path / "masks" / "square", scenes.labels_of_square())
    line = ["evaluate", "--predictions", str(tmp_path / "masks"), "--data", str(data)]
    assert main(line) == 0
    assert "| masks made elsewhere |       1 | 1.000 | 1.000 | 1.000 |" in capsys.readouterr().out
    assert main([*line, "--model", "pocket"]) == 2
    assert main([*line, "--protocol", "mask"]) == 2
    assert main([*line[:2], str(tmp_path / "nowhere"), *line[3:]]) == 2
    assert "leave --protocol out" in capsys.readouterr().err


def test_a_list_of_names(tmp_path, model, capsys):
    data = scenes.davis(tmp_path / "davis", ("bear", "cow"))
    (tmp_path / "val.txt").write_text("cow\n")
    line = ["evaluate", *model, "--data", str(data), "--protocol", "box", "--no-baselines"]
    assert main([*line, "--list", str(tmp_path / "val.txt")]) == 0
    assert "| mean of 1 objects |" in capsys.readouterr().out
    assert main([*line, "--list", str(tmp_path / "none.txt")]) == 2
    assert "the list 'none.txt' cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--protocol", "images"], "'images' needs pictures with masks"),
        (["--frames", "0"], "expected a whole number from 1 to 1000"),
        (["--data", "nowhere"], "there is no folder"),
        (["--only", "horse"], "no sequence or picture 'horse'"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, model, capsys, wrong, told):
    data = scenes.davis(tmp_path / "davis")
    try:
        status = main(["evaluate", *model, "--data", str(data), *wrong])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
