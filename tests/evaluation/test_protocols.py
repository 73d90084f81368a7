"""The protocols count, click and compare as they say; the model in them may be anything."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_core.config import POCKET
from sam2_core.errors import VideoError
from sam2_core.evaluation.baselines import score_geometry
from sam2_core.evaluation.cli import picture_table, video_table
from sam2_core.evaluation.datasets import SMALLEST_INSTANCE, coco_instances, paint_polygons
from sam2_core.evaluation.images import Instance, enclosing_box, evaluate_images, score_picture
from sam2_core.evaluation.semi_supervised import copy_first, read_sequence, track_sequence
from sam2_core.model import SAM2

HEIGHT, WIDTH = 60, 80


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SAM2(POCKET).eval()


def _instance(x=10, y=20, side=40):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + side, x : x + side] = True
    return Instance(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), mask)


@pytest.fixture
def coco(tmp_path):
    """Two pictures: one with a large, a small and a crowd object, one with none."""
    (tmp_path / "images").mkdir()
    objects = [(0, 36), (1, 20), (2, 36)]
    annotations = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "annotations": [
            {"image_id": 7, "iscrowd": int(i == 2), "segmentation": [[10, 10, 10 + s, 10, 10 + s, 10 + s, 10, 10 + s]]}
            for i, s in objects
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(annotations))
    for name in ("a", "b"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / f"{name}.jpg")
    return tmp_path


@pytest.fixture
def davis(tmp_path):
    """A square that moves two pixels a frame."""
    folder = tmp_path / "square"
    for name in ("frames", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(5):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "frames" / f"{index:05d}.jpg")
        Image.fromarray(_instance(10 + 2 * index, 10, 20).mask.astype(np.uint8)).save(
            folder / "masks" / f"{index:05d}.png"
        )
    return folder


def test_the_box_of_a_mask_encloses_it():
    box = enclosing_box(_instance(10, 20, 40).mask)
    assert (box.x0, box.y0, box.x1, box.y1) == (10 / 80, 20 / 60, 50 / 80, 1.0)


def test_every_object_gets_all_its_clicks(model):
    scores = score_picture(model, [_instance(), _instance(30, 5, 30)], clicks=3)
    assert [len(score.clicks) for score in scores] == [3, 3]
    assert all(score.oracle >= score.clicks[0] for score in scores)
    assert all(0 <= value <= 1 for score in scores for value in (*score.clicks, score.oracle, score.box))


def test_means_are_over_objects_not_pictures(model):
    score = evaluate_images(model, [[_instance()], [], [_instance(), _instance(30, 5, 30)]], clicks=1)
    assert score.objects == 3
    assert score.last_click == score.one_click <= score.one_click_oracle


def test_a_square_is_its_own_box_and_nearly_a_disc():
    geometry = score_geometry([_instance(10, 10, 40)])
    assert geometry.filled_box == 1.0
    # A disc of radius 30 round the middle covers the square and is cut by the frame's lower edge only a little.
    assert 0.5 < geometry.best_disc < 0.7


def test_polygons_scale():
    mask = paint_polygons([[2, 2, 18, 2, 18, 10, 2, 10]], 10, 20, scale=0.5)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 5, 1, 9)


def test_coco_leaves_out_crowds_and_small_objects(coco):
    first, second = coco_instances(coco, ["a", "b"])
    assert len(first) == 1
    assert np.count_nonzero(first[0].mask) > SMALLEST_INSTANCE
    assert second == []


def test_a_sequence_needs_a_mask_for_each_frame(davis):
    assert len(read_sequence(davis).masks) == 5
    (davis / "masks" / "00003.png").unlink()
    with pytest.raises(VideoError, match="5 frames and 4 masks"):
        read_sequence(davis)


def test_tracking_answers_every_frame_and_keeps_the_given_mask(model, davis):
    sequence = read_sequence(davis)
    masks = track_sequence(model, sequence)
    assert len(masks) == 5
    assert masks[0].shape == (HEIGHT, WIDTH)
    assert np.count_nonzero(masks[0] ^ sequence.masks[0]) < 0.1 * np.count_nonzero(sequence.masks[0])


def test_tables_put_the_trivial_answer_beside_the_model(model, coco, davis):
    pictures = picture_table(model, coco, ["a", "b"])
    assert "over 1 objects" in pictures[0]
    assert pictures[-1].endswith("| filled box 1.000 |")
    videos = video_table(model, davis.parent, ["square"])
    # The square has moved 2, 4 and 6 pixels on the frames that count: overlaps of 18, 16 and 14 of 20 columns.
    copied = np.mean([18 / 22, 16 / 24, 14 / 26])
    assert f"| {copied:.3f} |" in videos[-1]
    assert len(copy_first(read_sequence(davis))) == 5
