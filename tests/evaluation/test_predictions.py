"""Masks that somebody made are scored as ours are; what is missing is named."""

import shutil

import numpy as np
import pytest

from sam2_core.errors import VideoError
from sam2_core.evaluation.layouts import find_data
from sam2_core.evaluation.options import Options
from sam2_core.evaluation.predictions import score_predictions
from tests.evaluation import scenes


@pytest.fixture
def sequence(tmp_path):
    return find_data(scenes.davis(tmp_path / "data")).sequences[0]


def test_the_truth_is_perfect_and_a_still_mask_is_not(tmp_path, sequence):
    scenes.write_labels(tmp_path / "perfect" / "square", scenes.labels_of_square())
    scenes.write_labels(
        tmp_path / "still" / "square", {f"{n:05d}": scenes.square() for n in range(1, scenes.FRAMES - 1)}
    )
    (perfect,) = score_predictions(tmp_path / "perfect", sequence, Options()).objects
    (still,) = score_predictions(tmp_path / "still", sequence, Options()).objects
    assert (perfect.curve.mean_j, perfect.curve.mean_f) == (1.0, 1.0)
    assert still.curve.j == pytest.approx([14 / 18, 12 / 20, 10 / 22, 8 / 24])


def test_the_first_true_mask_copied_stands_beside_anyones_masks(tmp_path, sequence):
    scenes.write_labels(tmp_path / "found" / "square", scenes.labels_of_square())
    (tracked,) = score_predictions(tmp_path / "found", sequence, Options()).objects
    assert tracked.copied.j == pytest.approx([14 / 18, 12 / 20, 10 / 22, 8 / 24])
    assert tracked.memoryless is None  # without a model there is none
    (alone,) = score_predictions(tmp_path / "found", sequence, Options(baselines=False)).objects
    assert (alone.curve, alone.copied) == (tracked.curve, None)


def test_a_folder_for_each_object(tmp_path):
    sequence = find_data(scenes.sav_folders(tmp_path / "data")).sequences[0]
    for object_id in (0, 1):
        shape = scenes.square(2, top=10 + 12 * object_id)
        scenes.write_labels(tmp_path / "found" / "clip" / f"{object_id:03d}", {"00002": shape * (1 + 254 * object_id)})
    result = score_predictions(tmp_path / "found", sequence, Options())
    assert [each.curve.mean_j for each in result.objects] == [1.0, 1.0]
    assert result.cost is None


def test_what_is_missing_or_does_not_fit_is_named(tmp_path, sequence):
    with pytest.raises(VideoError, match="no predictions for 'square'"):
        score_predictions(tmp_path / "nowhere", sequence, Options())
    scenes.write_labels(tmp_path / "some" / "square", {"00001": scenes.square()})
    with pytest.raises(VideoError, match="no mask '00002.png'"):
        score_predictions(tmp_path / "some", sequence, Options())
    scenes.write_labels(tmp_path / "some" / "square", {"00002": np.ones((2, 2))})
    with pytest.raises(VideoError, match="64 x 48 pixels; '00002.png' .* is 2 x 2"):
        score_predictions(tmp_path / "some", sequence, Options())


def folders(root, values):
    """Predictions for both objects of SA-V's clip, in folders of these names."""
    for name, shape in values.items():
        scenes.write_labels(root / "clip" / name, {"00002": shape})
    return root


def test_folders_are_found_by_name_whatever_other_folders_there_are(tmp_path):
    sequence = find_data(scenes.sav_folders(tmp_path / "data")).sequences[0]
    first, second = (scenes.square(2, top=10 + 12 * object_id) for object_id in (0, 1))
    found = folders(tmp_path / "found", {"000": first, "001": second, "002": first})
    assert [each.curve.mean_j for each in score_predictions(found, sequence, Options()).objects] == [1.0, 1.0]
    # Truth without an object 000 begins with 001, though the predictions begin with 000.
    shutil.rmtree(tmp_path / "data" / "Annotations_6fps" / "clip" / "000")
    (second_only,) = score_predictions(found, sequence, Options()).objects
    assert (second_only.object_name, second_only.curve.mean_j) == ("001", 1.0)


def test_a_missing_folder_is_named_as_the_data_name_it(tmp_path):
    sequence = find_data(scenes.sav_folders(tmp_path / "data")).sequences[0]
    found = folders(tmp_path / "found", {"001": scenes.square(2), "002": scenes.square(2)})
    with pytest.raises(VideoError, match="the predictions for 'clip' have no folder '000'"):
        score_predictions(found, sequence, Options())


def test_values_that_are_no_objects_are_told(tmp_path, sequence):
    binary = {name: mask * 255 for name, mask in scenes.labels_of_square().items()}
    scenes.write_labels(tmp_path / "found" / "square", binary)
    result = score_predictions(tmp_path / "found", sequence, Options())
    assert result.objects[0].curve.mean_j == 0
    assert "its predictions, whose values are 0, 255; a pixel of an object has its id, 1." in result.warning
    # One frame that shows the object is enough for the values to be meant.
    scenes.write_labels(tmp_path / "found" / "square", {"00001": scenes.square(1)})
    assert score_predictions(tmp_path / "found", sequence, Options()).warning is None
