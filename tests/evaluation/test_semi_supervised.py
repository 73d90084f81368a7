"""Masks, boxes and clicks on the first frame; what comes out is counted by hand where it can be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sam2_core.evaluation import semi_supervised
from sam2_core.evaluation.baselines import memoryless
from sam2_core.evaluation.layouts import PROCEDURAL, find_data
from sam2_core.evaluation.metrics import boundary_f
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.results import SEMI_SUPERVISED, Protocol, from_json, to_json
from sam2_core.evaluation.semi_supervised import apart, evaluate_sequence, first_frames
from sam2_core.evaluation.summary import presence_auc, shown, tables
from sam2_core.tracking import STUDIO
from tests.evaluation import scenes
from tests.fakes import fake_model
from tests.tracking.toys import toy_model

OPTIONS = Options()


@pytest.fixture
def sequence(tmp_path):
    return find_data(scenes.frames_and_masks(tmp_path / "square")).sequences[0]


def evaluated(sequence, protocol=Protocol.MASK, options=OPTIONS, model=None):
    return evaluate_sequence(model or fake_model(), sequence, protocol, options, STUDIO)


def test_the_copied_first_mask_scores_what_hands_compute(sequence):
    (tracked,) = evaluated(sequence).objects
    # Four frames count, on which the square has moved by 2, 4, 6 and 8 of its 16 columns.
    assert tracked.copied.j == pytest.approx([14 / 18, 12 / 20, 10 / 22, 8 / 24])
    assert tracked.copied.f == pytest.approx([boundary_f(scenes.square(n), scenes.square()) for n in range(1, 5)])
    assert tracked.curve.frames == (1, 2, 3, 4)


def test_the_first_mask_is_kept_and_the_rest_is_tracked(sequence):
    result = evaluated(sequence)
    (tracked,) = result.objects
    # The fake model's discs are no squares, but they follow, while a copy falls behind.
    assert np.ptp(tracked.curve.j) < 0.02
    assert tracked.curve.j[-1] > tracked.copied.j[-1]
    assert result.cost.frames == scenes.FRAMES
    assert result.cost.seconds > 0
    assert result.cost.peak_bytes > 2**20


@pytest.mark.parametrize("protocol", SEMI_SUPERVISED)
def test_every_protocol_answers_every_frame(sequence, protocol):
    result = evaluated(sequence, protocol, model=toy_model())
    (tracked,) = result.objects
    assert result.protocol is protocol
    assert all(len(curve.j) == 4 for curve in (tracked.curve, tracked.copied, tracked.memoryless))
    assert tracked.presence.frames == tuple(range(1, scenes.FRAMES))
    assert len(tracked.presence.scores) == scenes.FRAMES - 1
    assert from_json(to_json(result, "made from"), "made from") == result


def test_baselines_can_be_left_out(sequence):
    (tracked,) = evaluated(sequence, options=Options(baselines=False)).objects
    assert (tracked.copied, tracked.memoryless) == (None, None)


def test_without_memory_a_model_that_needs_it_does_worse(tmp_path):
    folder = scenes.frames_and_masks(tmp_path / "square")
    (tracked,) = evaluated(find_data(folder).sequences[0], model=toy_model()).objects
    assert tracked.memoryless.j != tracked.curve.j


@pytest.fixture
def unremembered(monkeypatch):
    """What the baseline without memory answers: masks by object id and frame."""
    answers = {}

    def noted(*arguments):
        answers.update(memoryless(*arguments))
        return answers

    monkeypatch.setattr(semi_supervised, "memoryless", noted)
    return answers


def two_labels(folder):
    """A sequence of two squares, whose format has room for one of them at each pixel."""
    scenes.write_frames(folder / "frames")
    two = {name: mask + 2 * np.roll(mask, 20, axis=1) for name, mask in scenes.labels_of_square().items()}
    scenes.write_labels(folder / "masks", two)
    return find_data(folder).sequences[0]


def test_without_memory_objects_stay_apart_where_the_models_do(tmp_path, unremembered):
    (overlapping,) = find_data(scenes.sav_folders(tmp_path / "sav")).sequences
    for sequence, apart_ in ((two_labels(tmp_path / "labels"), True), (overlapping, False)):
        evaluated(sequence, model=toy_model())
        first, second = unremembered.values()
        shared = sum(int((first[frame].decode() & second[frame].decode()).sum()) for frame in second)
        assert (shared == 0) is apart_


@pytest.mark.parametrize(("area", "whole"), [(0, False), (10**6, True)])
def test_without_memory_holes_are_filled_as_the_models_are(sequence, unremembered, area, whole):
    behaviour = replace(STUDIO, hole_area=area)
    evaluate_sequence(toy_model(), sequence, Protocol.MASK, OPTIONS, behaviour)
    (masks,) = unremembered.values()
    # Where every background is a hole, nothing but the given mask is left as it is.
    assert masks[0].area == scenes.SIDE**2
    assert all((masks[frame].area == scenes.HEIGHT * scenes.WIDTH) is whole for frame in range(1, scenes.FRAMES))


def test_objects_begin_where_they_first_show(tmp_path):
    sequence = find_data(scenes.sav_folders(tmp_path)).sequences[0]
    with sequence.open() as video:
        assert first_frames(sequence.truth(video)) == {1: 0, 2: 2}
    result = evaluated(sequence)
    # Of the annotated frames 0, 2 and 4 one counts; the second object's first frame is that one.
    assert [each.curve.frames for each in result.objects] == [(2,), (2,)]
    assert [each.object_name for each in result.objects] == ["000", "001"]
    assert {each.object_name for each in result.snapshots} <= {"000", "001"}
    assert [len(each.presence.scores) for each in result.objects] == [2, 1]


def test_objects_stay_apart_where_truth_has_one_value_a_pixel(tmp_path):
    (overlapping,) = find_data(scenes.sav_folders(tmp_path / "sav")).sequences
    for sequence, expected in ((overlapping, False), (two_labels(tmp_path / "labels"), True)):
        with sequence.open() as video:
            assert apart(STUDIO, sequence.truth(video)).objects_apart is expected


def test_the_best_and_the_worst_frame_are_kept_as_pictures(sequence):
    result = evaluated(sequence)
    (tracked,) = result.objects
    worst, best = result.snapshots
    assert (worst.j, best.j) == (min(tracked.curve.j), max(tracked.curve.j))
    assert worst.jpeg.startswith(b"\xff\xd8")


def test_the_object_score_is_compared_with_truth():
    clips = find_data(Path(PROCEDURAL)).sequences
    (tracked,) = evaluated(clips[0]).objects
    assert set(tracked.presence.visible) == {True, False}
    assert presence_auc([tracked]) == 0.5  # the fake model always says the same


def test_tables_put_baselines_beside_and_mean_over_objects(tmp_path):
    root = scenes.sav_folders(tmp_path / "sav")
    results = [evaluated(find_data(root).sequences[0])]
    overview, by_sequence = tables(results, Options())
    assert overview.columns[:6] == ("protocol", "videos", "objects", "J&F", "J", "F")
    assert "object score AUC" not in overview.columns  # nothing disappears, so that there is none
    assert by_sequence.mean[0] == "mean of 2 objects"
    objects = results[0].objects
    assert by_sequence.mean[2] == pytest.approx(np.mean([each.curve.mean_j for each in objects]))
    assert overview.rows[0][1:3] == (1, 2)
    assert overview.rows[0][3] == pytest.approx(np.mean([each.curve.j_and_f for each in objects]))
    assert (shown(None), shown(0.12345), shown(26.44), shown(3)) == ("–", "0.123", "26.4", "3")
