"""Clicks and boxes on pictures, and the geometry beside them."""

import numpy as np
import pytest

from sam2_core.evaluation import images
from sam2_core.evaluation.baselines import score_geometry
from sam2_core.evaluation.cost import Meter
from sam2_core.evaluation.images import MEAN_CLICKS, evaluate_picture
from sam2_core.evaluation.layouts import find_data
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.pictures import Instance, MaskedPicture
from sam2_core.evaluation.results import from_json, to_json
from sam2_core.evaluation.summary import clicks_needed, tables
from sam2_core.tracking import STUDIO
from tests.evaluation import scenes
from tests.fakes import fake_model
from tests.tracking.toys import toy_model


class TwoSquares:
    """A picture in memory."""

    name = "two"

    def read(self):
        masks = (scenes.square(), scenes.square(top=4, left=40, side=20))
        return MaskedPicture(
            scenes.picture(0), tuple(Instance(n, str(n), mask) for n, mask in enumerate(masks, start=1))
        )


def test_every_object_gets_all_its_clicks():
    result = evaluate_picture(toy_model(), TwoSquares(), Options(picture_clicks=7), STUDIO)
    assert [len(score.clicks) for score in result.instances] == [7, 7]
    assert all(score.oracle >= score.clicks[0] for score in result.instances)
    assert result.cost.frames == 2 * (7 + 1)
    assert from_json(to_json(result, "made from"), "made from") == result


def test_the_clock_starts_before_the_picture_is_read(monkeypatch):
    order = []

    class Noted(Meter):
        def __init__(self, device):
            order.append("clock")
            super().__init__(device)

    class Read(TwoSquares):
        def read(self):
            order.append("file")
            return super().read()

    monkeypatch.setattr(images, "Meter", Noted)
    evaluate_picture(fake_model(), Read(), Options(), STUDIO)
    assert order == ["clock", "file"]


def test_a_perfect_mask_gets_no_more_clicks():
    class Certain:
        name = "certain"

        def read(self):
            small = scenes.square(side=4)  # well inside of what a click gives, and nobody cares about the rest
            return MaskedPicture(scenes.picture(0), (Instance(1, "1", small, ignored=~small),))

    result = evaluate_picture(fake_model(), Certain(), Options(), STUDIO)
    assert result.instances[0].clicks == (1.0,) * MEAN_CLICKS
    assert result.cost.frames == 1 + 1


def test_ignored_pixels_count_for_nothing(tmp_path):
    scenes.labelled_pictures(tmp_path)
    counted = find_data(tmp_path).pictures[0]
    ignoring = find_data(tmp_path, ignored=128).pictures[0]
    scores = [evaluate_picture(fake_model(), each, Options(), STUDIO).instances for each in (counted, ignoring)]
    assert [len(each) for each in scores] == [2, 1]
    assert [[each.object_name for each in found] for found in scores] == [["128", "255"], ["255"]]
    # The answer reaches over the object's edge, where the ignored border is.
    assert scores[1][0].clicks[0] > scores[0][1].clicks[0]
    # So does a disc, which is forgiven what the model is.
    assert scores[1][0].geometry.disc > scores[0][1].geometry.disc


def test_geometry_is_what_hands_compute():
    mask = np.zeros((100, 120), bool)
    mask[20:60, 30:80] = True
    geometry = score_geometry(mask)
    assert geometry.filled_box == 1.0
    assert geometry.ellipse == pytest.approx(np.pi / 4, abs=0.01)
    discs = []
    for radius in (40, 30, 55, 110):
        rows, columns = np.ogrid[:100, :120]
        # The deepest pixel is the first of those that are 20 away from the border.
        disc = (columns - 49) ** 2 + (rows - 39) ** 2 <= radius**2
        discs.append((disc & mask).sum() / (disc | mask).sum())
    assert geometry.disc == pytest.approx(discs[0], abs=0.05)
    assert geometry.best_disc == pytest.approx(max(discs[1:]), abs=0.05)


def test_geometry_leaves_out_what_is_ignored():
    frame = np.zeros((100, 120), bool)
    frame[20:60, 30:80] = True
    corners = np.zeros_like(frame)
    corners[20:60:39, 30:80:49] = True  # the four that an ellipse has not, and a box has
    truth = frame & ~corners
    (counted, ignoring) = (score_geometry(truth, each) for each in (None, corners))
    assert counted.filled_box == pytest.approx(1996 / 2000)
    assert ignoring.filled_box == 1.0
    everything_else = score_geometry(truth, ~truth)
    assert (everything_else.disc, everything_else.best_disc) == (1.0, 1.0)
    assert everything_else.ellipse == counted.ellipse < 1


def test_clicks_until_good_enough():
    assert clicks_needed((0.3, 0.86, 0.84, 0.91), 0.85, 20) == 2
    assert clicks_needed((0.3, 0.86, 0.84, 0.91), 0.90, 20) == 4
    assert clicks_needed((0.3, 0.5), 0.85, 20) == 20


def test_the_table_has_means_over_objects_not_pictures():
    class Empty:
        name = "empty"

        def read(self):
            return MaskedPicture(scenes.picture(0), ())

    results = [evaluate_picture(fake_model(), each, Options(), STUDIO) for each in (TwoSquares(), Empty())]
    (table,) = tables(results, Options())
    assert table.title == "Pictures, 2 objects"
    (first, *_), instances = table.rows, results[0].instances
    assert first[1] == pytest.approx(np.mean([each.clicks[0] for each in instances]))
    assert first[2] == f"disc {np.mean([each.geometry.disc for each in instances]):.3f}"
    assert results[1].snapshots == ()
