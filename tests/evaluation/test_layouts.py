"""Every layout is recognised and read; what is in none, or does not fit, is told in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_core.errors import Sam2Error, VideoError
from sam2_core.evaluation.datasets import SMALLEST_INSTANCE, coco_objects, paint_polygons
from sam2_core.evaluation.layouts import PROCEDURAL, find_data
from sam2_core.formats.coco_rle import to_coco
from sam2_core.rle import Rle
from tests.evaluation import scenes


def truth_of(data, place=0):
    sequence = data.sequences[place]
    with sequence.open() as video:
        return sequence.truth(video)


def assert_is_the_square(masks):
    assert sorted(masks) == list(range(scenes.FRAMES))
    for frame, mask in masks.items():
        np.testing.assert_array_equal(mask.decode(), scenes.square(frame))


@pytest.mark.parametrize("layout", [scenes.frames_and_masks, scenes.davis, scenes.sav_json])
def test_sequences_of_every_layout_have_the_same_masks(tmp_path, layout):
    data = find_data(layout(tmp_path / "data"))
    assert not data.pictures
    truth = truth_of(data)
    assert list(truth.masklets) == [1]
    assert_is_the_square(truth.masklets[1])


def test_davis_takes_the_resolution_that_counts(tmp_path):
    scenes.davis(tmp_path, ("bear", "camel"))
    (tmp_path / "Annotations" / "Full-Resolution" / "other").mkdir(parents=True)
    data = find_data(tmp_path)
    assert [sequence.name for sequence in data.sequences] == ["bear", "camel"]
    assert [sequence.name for sequence in data.only(["camel"]).sequences] == ["camel"]
    with pytest.raises(Sam2Error, match="no sequence or picture 'cow'"):
        data.only(["camel", "cow"])


def test_sav_folders_count_objects_from_one_and_frames_by_name(tmp_path):
    truth = truth_of(find_data(scenes.sav_folders(tmp_path)))
    assert not truth.exclusive
    assert {each: sorted(masks) for each, masks in truth.masklets.items()} == {1: [0, 2, 4], 2: [0, 2, 4]}
    assert [truth.masklets[2][frame].area for frame in (0, 2, 4)] == [0, 256, 256]
    assert [truth.name_of(object_id) for object_id in truth.masklets] == ["000", "001"]


def test_a_video_with_masks_on_every_fourth_frame(tmp_path):
    (sequence,) = find_data(scenes.sav_video(tmp_path)).sequences
    assert sequence.name == "sav_000002"
    with sequence.open() as video:
        masks = sequence.truth(video).masklets[1]
        assert sequence.frame_names(video)[12] == "00012"
    assert sorted(masks) == [0, 4, 8, 12]
    np.testing.assert_array_equal(masks[8].decode(), scenes.square(8))


def test_every_value_of_a_label_map_is_an_object_but_the_ignored_one(tmp_path):
    scenes.frames_and_masks(tmp_path / "clip")
    for frame in range(scenes.FRAMES):
        labels = scenes.square(frame).astype(np.uint8)
        labels[40:, 40:] = 7
        labels[:3] = 255
        Image.fromarray(labels).save(tmp_path / "clip" / "masks" / f"{frame:05d}.png")
    assert list(truth_of(find_data(tmp_path)).masklets) == [1, 7, 255]
    truth = truth_of(find_data(tmp_path, ignored=255))
    assert list(truth.masklets) == [1, 7]
    assert truth.exclusive


def test_this_projects_data_are_cut_as_the_splits_say(tmp_path):
    scenes.coco(tmp_path / "images" / "coco_subset")
    scenes.frames_and_masks(tmp_path / "vos" / "davis" / "square")
    scenes.frames_and_masks(tmp_path / "vos" / "davis" / "merged")
    splits = {"images/coco_subset": {"eval": ["a"]}, "vos/davis": {"single_object": ["square"]}}
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    data = find_data(tmp_path)
    assert ([each.name for each in data.sequences], [each.name for each in data.pictures]) == (["square"], ["a.jpg"])
    (tmp_path / "splits.json").write_text(json.dumps({**splits, "vos/davis": {"single_object": ["cow"]}}))
    with pytest.raises(Sam2Error, match="lists 'cow'"):
        find_data(tmp_path)


@pytest.mark.parametrize(
    "splits", [["a"], {"images/coco_subset": ["a"]}, {"images/coco_subset": {"eval": "a"}}, {"vos/davis": None}]
)
def test_splits_that_are_no_lists_of_names_are_told(tmp_path, splits):
    scenes.coco(tmp_path / "images" / "coco_subset")
    scenes.frames_and_masks(tmp_path / "vos" / "davis" / "square")
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(Sam2Error, match=r"splits\.json should be a JSON object with a list of names at '"):
        find_data(tmp_path)


def test_coco_leaves_out_crowds_and_small_objects(tmp_path):
    (found,) = find_data(scenes.coco(tmp_path)).pictures
    (instance,) = found.read().instances
    assert np.count_nonzero(instance.mask) > SMALLEST_INSTANCE
    assert instance.name == "100"
    assert [each.name for each in coco_objects(tmp_path / "annotations.json")["a.jpg"]] == ["100", "101"]


def test_coco_may_have_run_lengths(tmp_path):
    scenes.coco(tmp_path)
    mask = scenes.square(side=34, top=4)
    document = json.loads((tmp_path / "annotations.json").read_text())
    document["annotations"] = [{"image_id": 8, "segmentation": to_coco(Rle.encode(mask))}]
    (tmp_path / "other.json").write_text(json.dumps(document))
    (found,) = find_data(tmp_path / "other.json").pictures
    np.testing.assert_array_equal(found.read().instances[0].mask, mask)


def test_a_coco_file_cannot_lead_out_of_its_folder(tmp_path):
    scenes.coco(tmp_path / "data")
    Image.new("RGB", (scenes.WIDTH, scenes.HEIGHT)).save(tmp_path / "secret.jpg")
    path = tmp_path / "data" / "annotations.json"
    path.write_text(path.read_text().replace("a.jpg", "../../secret.jpg"))
    with pytest.raises(Sam2Error, match="in no layout"):
        find_data(tmp_path / "data")


def test_pictures_have_an_object_for_each_value_and_pixels_that_do_not_count(tmp_path):
    (found,) = find_data(scenes.labelled_pictures(tmp_path), ignored=128).pictures
    (instance,) = found.read().instances
    assert np.count_nonzero(instance.mask) == 16 * 16
    # A border of 20 x 20 from (6, 10), of which the object covers 16 x 16 from (8, 12).
    assert np.count_nonzero(instance.ignored) == 20 * 20 - 16 * 16
    assert not (instance.mask & instance.ignored).any()


def test_polygons_scale():
    mask = paint_polygons([[2, 2, 18, 2, 18, 10, 2, 10]], 10, 20, scale=0.5)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 5, 1, 9)


def test_a_folder_in_no_layout_names_those_that_are_known(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(Sam2Error, match="in no layout that is known: DAVIS, SA-V, .* the word procedural"):
        find_data(tmp_path)
    with pytest.raises(Sam2Error, match="there is no folder"):
        find_data(tmp_path / "nowhere")


def test_a_mask_without_a_frame_or_of_another_size_is_named(tmp_path):
    scenes.frames_and_masks(tmp_path)
    scenes.write_labels(tmp_path / "masks", {"00009": scenes.square()})
    with pytest.raises(VideoError, match="a mask '00009.png' but no frame of that name"):
        truth_of(find_data(tmp_path))
    (tmp_path / "masks" / "00009.png").unlink()
    scenes.write_labels(tmp_path / "masks", {"00003": np.ones((3, 4))})
    with pytest.raises(VideoError, match="64 x 48 pixels; '00003.png' .* is 4 x 3"):
        truth_of(find_data(tmp_path))


def test_a_coloured_mask_is_refused(tmp_path):
    scenes.frames_and_masks(tmp_path)
    Image.fromarray(scenes.picture(0)).save(tmp_path / "masks" / "00000.png")
    with pytest.raises(VideoError, match="'00000.png' has colours"):
        truth_of(find_data(tmp_path))


def test_too_little_truth_is_refused(tmp_path):
    scenes.write_frames(tmp_path / "a" / "frames")
    scenes.write_labels(tmp_path / "a" / "masks", {f"0000{n}": scenes.square(n) for n in range(2)})
    with pytest.raises(VideoError, match="'a' needs 3 annotated frames or more"):
        truth_of(find_data(tmp_path)).check("a")
    scenes.write_labels(tmp_path / "a" / "masks", {f"0000{n}": 0 * scenes.square(n) for n in range(4)})
    with pytest.raises(VideoError, match="all empty"):
        truth_of(find_data(tmp_path)).check("a")


def test_procedural_clips_are_always_the_same_and_lose_their_object():
    clips = find_data(Path(PROCEDURAL)).sequences
    assert len({clip.name for clip in clips}) == len(clips) == 24
    for clip in clips[:2]:
        video = clip.open()
        visible = [mask.area > 0 for mask in clip.truth(video).masklets[1].values()]
        assert visible[0]
        assert visible[-1]
        assert visible.count(False) >= 3
        np.testing.assert_array_equal(video[7], clip.open()[7])


def test_objects_of_several_masks_of_one_picture_are_named_after_the_masks(tmp_path):
    scenes.labelled_pictures(tmp_path)
    (tmp_path / "masks" / "a.png").rename(tmp_path / "masks" / "a_1.png")
    scenes.write_labels(tmp_path / "masks", {"a_2": scenes.square() * 7})
    (found,) = find_data(tmp_path, ignored=128).pictures
    assert [each.name for each in found.read().instances] == ["a_1:255", "a_2:7"]
