"""``python -m sam2_core evaluate`` from the first line to the last."""

import csv
import json

import pytest
from safetensors.torch import save_file

from sam2_core.__main__ import main
from sam2_core.cli import evaluate
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
    assert "**Pictures, 1 object**" in printed
    assert "filled box 1.000" in printed
    assert "| first mask given " in printed
    assert "| one click on the first frame " in printed
    assert "| mean of 1 object |" in printed


def test_a_second_start_goes_on_where_the_first_one_stopped(tmp_path, model, capsys):
    data, out = scenes.davis(tmp_path / "davis", ("bear", "cow")), tmp_path / "out"
    line = ["evaluate", *model, "--data", str(data), "--out", str(out), "--protocol", "mask"]
    assert main([*line, "--only", "cow"]) == 0
    assert main(line) == 0
    assert f"{out}: 2 results, 1 of them from an earlier start" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        "settings.json", "results", "scores.csv", "frames.csv", "summary.json", "report.html",
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
    assert "Not finished: 1 job left to do" in (tmp_path / "out" / "report.html").read_text()


def test_anyones_masks(tmp_path, capsys):
    data = scenes.davis(tmp_path / "davis")
    scenes.write_labels(tmp_path / "masks" / "square", scenes.labels_of_square())
    line = ["evaluate", "--predictions", str(tmp_path / "masks"), "--data", str(data)]
    assert main(line) == 0
    assert "| masks made elsewhere |      1 |       1 | 1.000 | 1.000 | 1.000 |" in capsys.readouterr().out
    assert main([*line, "--model", "pocket"]) == 2
    assert main([*line, "--protocol", "mask"]) == 2
    assert main([*line[:2], str(tmp_path / "nowhere"), *line[3:]]) == 2
    assert "leave --protocol out" in capsys.readouterr().err


def test_a_list_of_names(tmp_path, model, capsys):
    data = scenes.davis(tmp_path / "davis", ("bear", "cow"))
    (tmp_path / "val.txt").write_text("cow\n")
    line = ["evaluate", *model, "--data", str(data), "--protocol", "box", "--no-baselines"]
    assert main([*line, "--list", str(tmp_path / "val.txt")]) == 0
    assert "| mean of 1 object |" in capsys.readouterr().out
    assert main([*line, "--list", str(tmp_path / "none.txt")]) == 2
    assert "the list 'none.txt' cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--protocol", "images"], "'images' needs pictures with masks"),
        (["--frames", "0"], "expected a whole number from 1 to 1000"),
        (["--data", "nowhere"], "there is no folder"),
        (["--only", "horse"], "no sequence or picture 'horse'"),
        (["--pause-below", "nan"], "an IoU from 0 to 1; got nan"),
        (["--pause-below", "75"], "an IoU from 0 to 1; got 75.0"),
        (["--picture-clicks", "4"], "gets 5 clicks or more"),
        (["--ignore-label", "-5"], "expected a mask's value, 1 to 65535; got '-5'"),
        (["--ignore-label", "0"], "expected a mask's value, 1 to 65535; got '0'"),
        (["--ray", "localhost:1"], "with --ray say --device cpu or cuda, and --precision fp32 or bf16."),
        (["--ray", "localhost:1", "--precision", "fp32"], "no cluster at 'localhost:1' (Connection refused)"),
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


def test_results_of_a_cluster_say_what_it_computed_with(tmp_path, model, monkeypatch):
    data, out = scenes.davis(tmp_path / "davis"), tmp_path / "out"
    monkeypatch.setattr(evaluate, "on_ray", lambda _address: lambda _work, _jobs: iter(()))
    line = ["evaluate", *model[:-1], "cuda", "--precision", "bf16", "--ray", "local"]  # this machine may have no GPU
    assert main([*line, "--data", str(data), "--out", str(out)]) == 1
    assert json.loads((out / "settings.json").read_text())["subject"].endswith("64 px, studio, cuda, bfloat16")


def printed_j(capsys):
    """J&F of the overview on the screen."""
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("| masks made elsewhere"))
    return float(row.split("|")[4])


def test_other_predictions_or_another_truth_under_the_same_name_are_scored_anew(tmp_path, capsys):
    data, found = scenes.davis(tmp_path / "davis"), tmp_path / "found"
    scenes.write_labels(found / "square", scenes.labels_of_square())
    line = ["evaluate", "--predictions", str(found), "--data", str(data), "--out", str(tmp_path / "out")]
    assert main(line) == 0
    assert printed_j(capsys) == 1
    scenes.write_labels(found / "square", {"00002": scenes.square(0)})
    assert main(line) == 0
    fewer = printed_j(capsys)
    assert fewer < 1
    scenes.write_labels(data / "Annotations" / "480p" / "square", {"00003": scenes.square(0)})
    assert main(line) == 0
    assert printed_j(capsys) < fewer
    assert main([*line, "--ignore-label", "1"]) == 1
    assert "the masks of 'square' are all empty" in capsys.readouterr().err


def test_a_report_has_all_that_its_folder_has_results_of(tmp_path, model, capsys):
    data, out = scenes.davis(tmp_path / "davis", ("bear", "cow")), tmp_path / "out"
    line = ["evaluate", *model, "--data", str(data), "--out", str(out), "--no-baselines"]
    assert main([*line, "--protocol", "mask", "--only", "cow"]) == 0
    assert main([*line, "--protocol", "box", "--only", "bear/"]) == 0
    assert "2 results, 1 of them from an earlier start" in capsys.readouterr().out
    with (out / "scores.csv").open() as file:
        assert {(row["protocol"], row["name"]) for row in csv.DictReader(file)} == {("mask", "cow"), ("box", "bear")}
    for mask in (data / "Annotations" / "480p" / "cow").iterdir():
        mask.touch()
    assert main([*line, "--protocol", "box", "--only", "bear"]) == 0
    assert "In pictures: first mask given" not in (out / "report.html").read_text()  # of a cow that has changed since


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_is_wrong_with_one_sequence_leaves_the_others_alone(tmp_path, model, capsys, workers):
    data, out = scenes.davis(tmp_path / "davis", ("bear", "cow")), tmp_path / "out"
    (data / "Annotations" / "480p" / "bear" / "00002.png").write_text("no picture")
    line = ["evaluate", *model, "--data", str(data), "--protocol", "box", "--no-baselines"]
    assert main([*line, "--out", str(out), "--workers", workers]) == 1
    printed = capsys.readouterr()
    assert "| cow " in printed.out
    assert "1 of 2 jobs failed" in printed.err
    assert "  bear (box on the first frame): '00002.png' is not a picture" in printed.err
    assert "bear, box on the first frame: &#39;00002.png&#39; is not a picture" in (out / "report.html").read_text()
    assert json.loads((out / "summary.json").read_text())["failures"][0]["name"] == "bear"


def test_predictions_that_do_not_fit_are_told_and_the_others_scored(tmp_path, capsys):
    data, found = scenes.davis(tmp_path / "davis", ("bear", "cow", "dog", "emu")), tmp_path / "found"
    for name in ("bear", "cow"):
        scenes.write_labels(found / name, scenes.labels_of_square())
    scenes.write_labels(found / "emu", {name: mask * 255 for name, mask in scenes.labels_of_square().items()})
    for mask in sorted((data / "Annotations" / "480p" / "cow").iterdir())[1:]:
        mask.unlink()
    line = ["evaluate", "--predictions", str(found), "--data", str(data)]
    assert main(line) == 1
    printed = capsys.readouterr()
    assert "| bear " in printed.out
    assert "  cow (masks made elsewhere): 'cow' needs 3 annotated frames" in printed.err
    assert "  dog (masks made elsewhere): there are no predictions for 'dog'" in printed.err
    assert "warning: no object of 'emu' is in its predictions" in printed.err


def test_the_help_says_every_default(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for default in ("its own", "auto, a GPU where there is one", "auto, bf16 where that is fast", "0.75", "all"):
        assert f"(default: {default}" in told
    assert "COCO's JSON file, or procedural" in told
