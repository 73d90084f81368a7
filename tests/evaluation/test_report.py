"""What is written: a page that needs nothing else, tables as JSON, every number as CSV."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sam2_core.evaluation import report
from sam2_core.evaluation.charts import Bar, Line, bar_chart, line_chart
from sam2_core.evaluation.export import Summary, write_frames, write_json, write_scores
from sam2_core.evaluation.images import evaluate_picture
from sam2_core.evaluation.interactive import evaluate_interactively
from sam2_core.evaluation.layouts import find_data
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.report import write_report
from sam2_core.evaluation.results import Cost, Failure, Protocol
from sam2_core.evaluation.semi_supervised import evaluate_sequence
from sam2_core.evaluation.store import Settings
from sam2_core.evaluation.summary import tables
from sam2_core.tracking import STUDIO
from tests.evaluation import scenes
from tests.fakes import fake_model

OPTIONS = Options(interacted_frames=2)
SETTINGS = Settings("<toy>", "0123", "a & b", OPTIONS)
BROKEN = Failure(Protocol.BOX, "<cow>", "no <picture>")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    sequence = find_data(scenes.davis(root / "davis")).sequences[0]
    picture = find_data(scenes.coco(root / "coco")).pictures[0]
    model = fake_model()
    return (
        evaluate_sequence(model, sequence, Protocol.MASK, OPTIONS, STUDIO),
        evaluate_sequence(model, sequence, Protocol.ONE_CLICK, OPTIONS, STUDIO),
        evaluate_interactively(model, sequence, Protocol.OFFLINE, OPTIONS, STUDIO),
        evaluate_interactively(model, sequence, Protocol.ONLINE, OPTIONS, STUDIO),
        evaluate_picture(model, picture, OPTIONS, STUDIO),
    )


def summary(results, missing=0, failures=()):
    return Summary(SETTINGS, missing, failures, ("half of it is <missing>",), tuple(tables(results, OPTIONS)))


class Sources(HTMLParser):
    """All that a page would load, and all text."""

    def __init__(self):
        super().__init__()
        self.loaded, self.text, self.opened = [], [], []

    def handle_starttag(self, tag, attributes):
        self.opened.append(tag)
        self.loaded += [value for name, value in attributes if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data):
        self.text.append(data.strip())


def test_the_page_loads_nothing_and_shows_everything(tmp_path, results):
    write_report(tmp_path / "report.html", summary(results, missing=3, failures=(BROKEN,)), results)
    page = (tmp_path / "report.html").read_text()
    read = Sources()
    read.feed(page)
    assert read.loaded
    assert all(source.startswith("data:image/jpeg;base64,") for source in read.loaded)
    assert not re.search(r"url\(|@import|<script|<link", page)
    text = " ".join(read.text)
    assert "Evaluation of <toy>" in text
    assert "On a & b" in text
    assert "Not finished: 3 jobs" in text
    assert "<cow>, box on the first frame: no <picture>" in text
    assert "half of it is <missing>" in text
    for title in ("first mask given", "one click on the first frame", "interactive", "pictures"):
        assert f"In pictures: {title}" in text
    # A curve for each of two protocols, two charts for interaction, two for pictures; and bars for each of five.
    assert read.opened.count("svg") == 2 + 2 + 2
    assert re.findall('<ul class="bars ([a-z]+)"', page) == ["model", "model", "offline", "online", "model"]
    assert "J&F, offline after the last clicks, the worst first" in text
    assert "the worst 1 of" not in text


def test_what_is_not_drawn_is_told(tmp_path, results, monkeypatch):
    two = (results[0], replace(results[0], name="another"))
    monkeypatch.setattr(report, "_MOST_BARS", 1)
    monkeypatch.setattr(report, "_MOST_CURVES", 1)
    write_report(tmp_path / "report.html", summary(two), two)
    page = (tmp_path / "report.html").read_text()
    assert "J&amp;F, first mask given, the worst first: the worst 1 of 2 objects" in page
    assert "Where it gets lost: the worst 1 of 2 objects" in page
    assert page.count('<li title="') == 1


def test_interactive_results_without_a_scored_object_leave_the_page_whole(tmp_path, results):
    nothing = tuple(replace(each, objects=(), snapshots=()) for each in results[2:4])
    assert tables(nothing, OPTIONS) == []
    write_report(tmp_path / "report.html", summary(nothing), nothing)
    assert "In pictures" not in (tmp_path / "report.html").read_text()


def test_offline_and_online_have_their_own_speed_and_memory(results):
    offline, online = (
        replace(each, cost=Cost(frames, 2.0, peak << 20))
        for each, frames, peak in zip(results[2:4], (10, 60), (3, 5), strict=True)
    )
    _, *by_sequence = tables((offline, online), OPTIONS)
    assert [table.title for table in by_sequence] == [
        "Videos, interactive, offline, after the last clicks",
        "Videos, interactive, online, after the last clicks",
    ]
    assert [table.mean[-2:] for table in by_sequence] == [(5.0, 3), (30.0, 5)]
    assert by_sequence[0].mean[1] == pytest.approx(offline.objects[0].rounds[-1].j_and_f)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_number_of_objects_is_in_the_csv(tmp_path, results):
    write_scores(tmp_path / "scores.csv", results, 20)
    rows = rows_of(tmp_path / "scores.csv")
    assert {row["protocol"] for row in rows} == {"mask", "1-click", "offline", "online", "images"}
    found = {(row["protocol"], row["measure"]): float(row["value"]) for row in rows if row["object"]}
    assert found["mask", "copied_j"] == pytest.approx(results[0].objects[0].copied.mean_j, abs=1e-5)
    assert found["offline", "j_after_2_frames"] == pytest.approx(results[2].objects[0].rounds[1].j, abs=1e-5)
    assert found["offline", "j_and_f_after_2_frames"] == pytest.approx(
        results[2].objects[0].rounds[1].j_and_f, abs=1e-5
    )
    assert found["online", "copied_j_and_f_after_1_frames"] == pytest.approx(
        results[3].objects[0].rounds[0].copied, abs=1e-5
    )
    assert found["images", "noc85"] == 20
    assert {row["object"] for row in rows if row["protocol"] == "images"} == {"100", ""}
    assert found["images", "iou_filled_box"] == pytest.approx(results[4].instances[0].geometry.filled_box, abs=1e-5)


def test_every_number_of_frames_is_in_another_csv(tmp_path, results):
    write_frames(tmp_path / "frames.csv", results)
    rows = rows_of(tmp_path / "frames.csv")
    assert {row["protocol"] for row in rows} == {"mask", "1-click", "offline", "online"}
    (tracked,) = results[0].objects
    mine = {int(row["frame"]): row for row in rows if row["protocol"] == "mask"}
    # The last frame has an object score, but does not count.
    assert sorted(mine) == list(range(1, scenes.FRAMES))
    assert (mine[scenes.FRAMES - 1]["j"], mine[scenes.FRAMES - 1]["visible"]) == ("", "1")
    for place, frame in enumerate(tracked.curve.frames):
        assert float(mine[frame]["j"]) == pytest.approx(tracked.curve.j[place], abs=1e-5)
        assert float(mine[frame]["memoryless_f"]) == pytest.approx(tracked.memoryless.f[place], abs=1e-5)
        assert float(mine[frame]["object_score"]) == pytest.approx(tracked.presence.scores[place], abs=1e-5)
    (corrected,) = results[2].objects
    after = [float(row["f"]) for row in rows if row["protocol"] == "offline"]
    assert after == pytest.approx(corrected.curve.f, abs=1e-5)


def test_the_tables_are_in_the_json(tmp_path, results):
    write_json(tmp_path / "summary.json", summary(results))
    document = json.loads((tmp_path / "summary.json").read_text())
    assert document["settings"]["subject"] == "<toy>"
    titles = [table["title"] for table in document["tables"]]
    assert titles[:2] == ["Pictures, 1 object", "Videos"]
    videos = document["tables"][1]
    row = dict(zip(videos["columns"], videos["rows"][0], strict=True))
    assert row["J"] == pytest.approx(results[0].objects[0].curve.mean_j)


def test_charts_escape_what_they_are_told():
    bars = bar_chart("a chart", [Bar("<b>", 0.5, (("copied", 0.25),))])
    assert "<b>" not in bars
    assert "&lt;b&gt;" in bars
    line = line_chart("a chart", [Line("model", "model", ((1, 0.0), (3, 1.0)))], "<x>")
    assert "&lt;x&gt;" in line
    assert 'points="40.0,184.0 408.0,10.0"' in line
