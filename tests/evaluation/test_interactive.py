"""The simulated annotator corrects the right frames, in time that is counted as the paper counts it."""

import numpy as np
import pytest

from sam2_core.evaluation.baselines import copied_onwards
from sam2_core.evaluation.interactive import annotation_seconds, evaluate_interactively
from sam2_core.evaluation.layouts import find_data
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.results import Protocol, from_json, to_json
from sam2_core.evaluation.summary import tables
from sam2_core.rle import Rle
from sam2_core.tracking import STUDIO, Tracker
from tests.evaluation import scenes
from tests.fakes import fake_model


@pytest.fixture
def sequence(tmp_path):
    return find_data(scenes.frames_and_masks(tmp_path / "square")).sequences[0]


@pytest.fixture
def said(monkeypatch):
    """Frame of every prompt, in order."""
    frames = []
    prompt = Tracker.prompt

    def noted(self, object_id, frame_index, words):
        frames.append(frame_index)
        return prompt(self, object_id, frame_index, words)

    monkeypatch.setattr(Tracker, "prompt", noted)
    return frames


def run(sequence, protocol, **numbers):
    return evaluate_interactively(fake_model(), sequence, protocol, Options(**numbers), STUDIO)


def test_time_is_the_papers():
    # 300 frames are looked through in 30 seconds; three clicks and finding the object take 5.5.
    assert annotation_seconds(Protocol.OFFLINE, 300, 8, 3) == pytest.approx(8 * 35.5)
    assert annotation_seconds(Protocol.ONLINE, 300, 8, 3) == pytest.approx(30 + 8 * 5.5)
    assert annotation_seconds(Protocol.OFFLINE, 60, 1, 1) == pytest.approx(6 + 2.5)


def test_offline_every_pass_adds_the_worst_frame(sequence, said):
    result = run(sequence, Protocol.OFFLINE, interacted_frames=3, clicks_per_frame=2)
    frames = list(dict.fromkeys(said))
    assert [said.count(frame) for frame in frames] == [2, 2, 2]
    assert (frames[0], len(frames)) == (0, 3)
    (corrected,) = result.objects
    assert [each.annotation_seconds for each in corrected.rounds] == pytest.approx([4.6, 9.2, 13.8])
    assert result.cost.frames == 3 * scenes.FRAMES
    assert from_json(to_json(result, "made from"), "made from") == result


def test_offline_the_worst_frame_is_the_one_with_the_least_iou(sequence, said):
    first = run(sequence, Protocol.OFFLINE, interacted_frames=1)
    (corrected,) = first.objects
    said.clear()
    run(sequence, Protocol.OFFLINE, interacted_frames=2)
    second = list(dict.fromkeys(said))[1]
    least = min(corrected.curve.j)
    # All annotated frames may be corrected, also the last one, which does not count.
    assert second == 5 or corrected.curve.j[second - 1] == least


def test_online_stops_where_the_iou_is_low_and_never_goes_back(sequence, said):
    run(sequence, Protocol.ONLINE, interacted_frames=3, pause_below=1.0, clicks_per_frame=1)
    # One pass for each number of frames, and each frame falls below a perfect IoU.
    assert said == [0, 0, 1, 0, 1, 2]


def test_online_with_nothing_to_correct_is_one_pass(sequence, said):
    result = run(sequence, Protocol.ONLINE, interacted_frames=4, pause_below=0.0, clicks_per_frame=1)
    assert said == [0, 0]  # the second pass shows that no frame is low; more would be the same
    (corrected,) = result.objects
    assert len(corrected.rounds) == 4
    assert len(set(corrected.rounds)) == 1
    assert result.cost.frames == 2 * scenes.FRAMES


def test_corrections_help_and_the_table_says_when(sequence):
    results = [run(sequence, protocol, interacted_frames=2) for protocol in (Protocol.OFFLINE, Protocol.ONLINE)]
    table, *by_sequence = tables(results, Options())
    assert [each.rows[0][1] for each in by_sequence] == [table.rows[-1][1], table.rows[-1][4]]
    assert table.columns == (
        "frames with clicks",
        "offline, J&F", "clicked masks copied, J&F", "seconds of annotation",
        "online, J&F", "clicked masks copied, J&F", "seconds of annotation",
    )  # fmt: skip
    assert [row[0] for row in table.rows] == ["1", "2"]
    offline = [row[1] for row in table.rows]
    assert table.mean[1] == pytest.approx(np.mean(offline))
    assert offline[1] != offline[0]


def test_beside_stand_the_clicked_masks_copied_to_the_frames_after_them(sequence):
    result = run(sequence, Protocol.OFFLINE, interacted_frames=2)
    (corrected,) = result.objects
    # Tracking follows the square, which a still mask does not.
    assert all(0 < each.copied < each.j_and_f for each in corrected.rounds)
    (bare,) = run(sequence, Protocol.OFFLINE, interacted_frames=2, baselines=False).objects
    assert [each.copied for each in bare.rounds] == [None, None]
    rounds, last = tables([run(sequence, Protocol.OFFLINE, interacted_frames=1, baselines=False)], Options())
    assert rounds.columns == ("frames with clicks", "offline, J&F", "seconds of annotation")
    assert last.columns[:5] == ("sequence", "J&F", "J", "F", "frames/s")


def test_a_copy_lasts_until_the_next_clicked_frame():
    masks = {frame: Rle.encode(scenes.square(frame)) for frame in range(5)}
    copies = copied_onwards(masks, (3, 1), 5)
    assert copies == {1: masks[1], 2: masks[1], 3: masks[3], 4: masks[3]}
