"""Data sets as they lie on the disk, and one clear sentence for what cannot be used."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_core.errors import Sam2Error, VideoError
from sam2_core.formats.coco_rle import to_coco
from sam2_core.media import VideoWriter
from sam2_core.rle import Rle
from sam2_core.training.data import SMALLEST_AREA, make_scene
from sam2_core.training.picture_data import SceneCache, coco_pictures, label_pictures
from sam2_core.training.recipe import DataSource, Kind
from sam2_core.training.video_data import davis_videos, sav_videos
from tests.training.scenes import SIZE, Square, square_scene, write_coco, write_pictures, write_sequence

PICTURES = DataSource(Kind.IMAGES, "pictures")
COCO = DataSource(Kind.COCO, "coco")
DAVIS = DataSource(Kind.DAVIS, "davis")
SAV = DataSource(Kind.SAV, "sav")


@pytest.fixture
def cache():
    return SceneCache(2**20)


def test_label_maps_are_read_when_drawn_and_kept(tmp_path, cache):
    write_pictures(tmp_path / "pictures")
    source = label_pictures(tmp_path, PICTURES, SIZE, cache)
    assert source.count == 2
    scene = source.read(1)
    assert torch.equal(scene.image, square_scene(1).image)
    assert sorted(int(scene.mask(region).sum()) for region in scene.regions) == [24 * 24, 32 * 32]
    assert source.read(1) is scene


def test_a_full_cache_forgets_the_longest_unused():
    scene = square_scene()
    cache = SceneCache(2 * scene.nbytes)
    read = []
    for index in (0, 1, 0, 2, 0, 1):
        cache.get(("x", index), lambda index=index: read.append(index) or square_scene())
    assert read == [0, 1, 2, 1]


def test_large_pictures_are_scaled_down(tmp_path, cache):
    write_pictures(tmp_path / "pictures")
    scene = label_pictures(tmp_path, PICTURES, SIZE // 2, cache).read(0)
    assert scene.image.shape == (3, SIZE // 2, SIZE // 2)
    assert sorted(int(scene.mask(region).sum()) for region in scene.regions) == [12 * 12, 16 * 16]


def test_several_partitions_of_a_picture(tmp_path, cache):
    write_pictures(tmp_path / "pictures", suffixes=("_coarse", "_fine"))
    source = replace(PICTURES, suffixes=("_coarse", "_fine"), partition=True)
    scene = label_pictures(tmp_path, source, SIZE, cache).read(0)
    assert scene.layers.shape == (2, SIZE, SIZE)
    assert len(scene.regions) == 4


def test_labels_beyond_a_byte_keep_the_largest_regions():
    labels = np.arange(400).reshape(20, 20).repeat(4, axis=0).repeat(4, axis=1)
    labels[:40] = 70_000
    scene = make_scene(np.zeros((3, 80, 80), np.uint8), [labels])
    largest = max(scene.regions, key=lambda region: region.area)
    assert largest.area == 0.5
    assert all(region.area >= SMALLEST_AREA for region in scene.regions)


def test_lists_say_what_may_be_trained_on(tmp_path, cache):
    write_pictures(tmp_path / "pictures", ("a", "b", "c"))
    (tmp_path / "split.json").write_text(json.dumps({"pictures": {"train": ["a", "c"], "eval": ["b"]}}))
    (tmp_path / "train.txt").write_text("b\nc\n")
    for listing, leave_out, expected in (("split.json", (), 2), ("train.txt", ("c",), 1), ("", ("a",), 2)):
        source = replace(PICTURES, list=listing, leave_out=leave_out)
        assert label_pictures(tmp_path, source, SIZE, cache).count == expected
    (tmp_path / "train.txt").write_text("d\n")
    with pytest.raises(Sam2Error, match="names 1 of 'pictures' that are not there, such as 'd'"):
        label_pictures(tmp_path, replace(PICTURES, list="train.txt"), SIZE, cache)
    (tmp_path / "train.txt").write_text("\ufeff# for training\na.png\nc  # and why\n\n", encoding="utf-8")
    assert label_pictures(tmp_path, replace(PICTURES, list="train.txt"), SIZE, cache).count == 2
    with pytest.raises(Sam2Error, match="no list 'gone.txt'"):
        label_pictures(tmp_path, replace(PICTURES, list="gone.txt"), SIZE, cache)
    (tmp_path / "split.json").write_text("[]")
    with pytest.raises(Sam2Error, match="does not list what of 'pictures' is for training"):
        label_pictures(tmp_path, replace(PICTURES, list="split.json"), SIZE, cache)


def test_coco_masks_overlap_and_crowds_are_left_out(tmp_path, cache):
    write_coco(tmp_path / "coco")
    scene = coco_pictures(tmp_path, COCO, SIZE, cache).read(0)
    assert scene.layers.shape[0] == 2
    areas = sorted(int(scene.mask(region).sum()) for region in scene.regions)
    assert areas[1] == SIZE * 16
    assert areas[0] == pytest.approx(36 * 32, rel=0.08)  # a polygon's border pixels may count or not


@pytest.mark.parametrize(("orientation", "upright"), [(1, False), (3, False), (6, True), (8, True)])
def test_coco_masks_lie_on_the_photograph_as_it_is_shown(tmp_path, cache, orientation, upright):
    photograph = np.full((32, 64, 3), 40, np.uint8)
    photograph[4:12, 40:56] = 250
    shown = {1: photograph, 3: photograph[::-1, ::-1], 6: np.rot90(photograph, -1), 8: np.rot90(photograph)}
    bright = shown[orientation][:, :, 0] > 200
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    x0, x1, y0, y1 = (int(value) for value in (columns[0], columns[-1], rows[0], rows[-1]))
    (tmp_path / "coco" / "images").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photograph).save(tmp_path / "coco" / "images" / "1.png", exif=exif)
    outline = [[x0, y0, x1, y0, x1, y1, x0, y1]]
    content = {"images": [{"id": 1, "file_name": "1.png"}], "annotations": [{"image_id": 1, "segmentation": outline}]}
    (tmp_path / "coco" / "annotations.json").write_text(json.dumps(content))
    scene = coco_pictures(tmp_path, COCO, SIZE, cache).read(0)
    assert scene.image.shape[1:] == ((64, 32) if upright else (32, 64))
    assert torch.equal(scene.mask(scene.regions[0]), scene.image[0] > 200)


def test_pictures_that_cannot_be_used(tmp_path, cache):
    with pytest.raises(Sam2Error, match="no folder 'pictures/images'"):
        label_pictures(tmp_path, PICTURES, SIZE, cache)
    write_pictures(tmp_path / "pictures")
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "pictures" / "masks" / "a.png")
    (tmp_path / "pictures" / "masks" / "b.png").write_bytes(b"no picture")
    source = label_pictures(tmp_path, PICTURES, SIZE, cache)
    with pytest.raises(Sam2Error, match=r"'a.png' has colours; a mask has a palette or greys"):
        source.read(0)
    with pytest.raises(Sam2Error, match="'b.png' is not a picture; masks are PNGs whose values are objects' ids"):
        source.read(1)
    (tmp_path / "pictures" / "masks" / "a.png").unlink()
    with pytest.raises(Sam2Error, match=r"no mask 'masks/a.png' for 'a.png'"):
        label_pictures(tmp_path, PICTURES, SIZE, cache)
    shutil.rmtree(tmp_path / "pictures" / "images")
    (tmp_path / "pictures" / "images").mkdir()
    with pytest.raises(Sam2Error, match="nothing to train on in 'pictures'"):
        label_pictures(tmp_path, PICTURES, SIZE, cache)


def test_pictures_without_masks_are_told(tmp_path, cache):
    write_pictures(tmp_path / "pictures", ("a",))
    Image.new("L", (SIZE, SIZE)).save(tmp_path / "pictures" / "masks" / "a.png")
    source = label_pictures(tmp_path, PICTURES, SIZE, cache)
    with pytest.raises(Sam2Error, match="none of 200 pictures of 'pictures' has a mask of 0.15%"):
        source.draw(np.random.default_rng(0))


@pytest.mark.parametrize("content", ["{}", '{"images": [{"id": 1}], "annotations": []}'])
def test_annotations_that_are_not_cocos(tmp_path, cache, content):
    write_coco(tmp_path / "coco")
    (tmp_path / "coco" / "annotations.json").write_text(content)
    with pytest.raises(Sam2Error, match="'annotations.json' is not COCO's JSON with 'images' and 'annotations'"):
        coco_pictures(tmp_path, COCO, SIZE, cache)


@pytest.mark.parametrize("layout", ["side by side", "480p", "1080p", "Full-Resolution", "."])
def test_davis_in_every_layout(tmp_path, layout):
    square = Square(gone=(3,))
    base = tmp_path / "davis"
    if layout == "side by side":
        write_sequence(base / "square/frames", base / "square/masks", square)
    else:
        write_sequence(base / "JPEGImages" / layout / "square", base / "Annotations" / layout / "square", square)
    (footage,) = davis_videos(tmp_path, DAVIS, SIZE).videos
    assert (footage.name, len(footage)) == ("square", 12)
    images, masks = footage.read([4, 3, 2])
    expected = square.read([4, 3, 2])
    assert torch.equal(images, expected[0])
    assert torch.equal(masks, expected[1])


def test_frames_are_in_the_order_of_their_numbers_and_hidden_files_are_none(tmp_path):
    square = Square()
    frames, masks = tmp_path / "davis/square/frames", tmp_path / "davis/square/masks"
    write_sequence(frames, masks, square)
    for folder in (frames, masks):
        for index in range(len(square)):
            (folder / f"{index:05d}.png").rename(folder / f"{index}.png")
        (folder / "._0.png").write_bytes(b"of macOS")
    (footage,) = davis_videos(tmp_path, DAVIS, SIZE).videos
    assert len(footage) == 12
    expected = square.read(range(12))
    found = footage.read(range(12))
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_frames_of_different_sizes_are_refused(tmp_path):
    write_sequence(tmp_path / "davis/square/frames", tmp_path / "davis/square/masks", Square(frames=3))
    Image.new("RGB", (SIZE, SIZE // 2)).save(tmp_path / "davis/square/frames/00001.png")
    (footage,) = davis_videos(tmp_path, DAVIS, SIZE).videos
    with pytest.raises(VideoError, match=r"of 'square' should have one size; '00001.png' has another .* '00000.png'"):
        footage.read([0, 1, 2])


def test_a_list_of_davis_2016_names_sequences(tmp_path):
    for name in ("bear", "camel"):
        write_sequence(tmp_path / f"davis/{name}/frames", tmp_path / f"davis/{name}/masks", Square(frames=2))
    line = "/JPEGImages/480p/camel/0000{0}.jpg /Annotations/480p/camel/0000{0}.png\n"
    (tmp_path / "train.txt").write_text(line.format(0) + line.format(1))
    source = davis_videos(tmp_path, replace(DAVIS, list="train.txt"), SIZE)
    assert [video.name for video in source.videos] == ["camel"]


def test_objects_of_a_frame_are_told_apart_and_void_is_none(tmp_path):
    write_sequence(tmp_path / "davis/two/frames", tmp_path / "davis/two/masks", Square(frames=1))
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[:10], labels[20:25], labels[50:] = 1, 7, 255
    Image.fromarray(labels).save(tmp_path / "davis/two/masks/00000.png")
    (footage,) = davis_videos(tmp_path, DAVIS, SIZE).videos
    assert footage.read([0])[1].sum(dim=(1, 2, 3)).tolist() == [10 * SIZE, 5 * SIZE]
    Image.fromarray(np.where(labels == 255, 255, 0).astype(np.uint8)).save(tmp_path / "davis/two/masks/00000.png")
    assert footage.read([0])[1].sum(dim=(1, 2, 3)).tolist() == [46 * SIZE]


def test_davis_without_frames(tmp_path):
    write_sequence(tmp_path / "davis/square/frames", tmp_path / "davis/square/masks", Square())
    shutil.rmtree(tmp_path / "davis/square/frames")
    with pytest.raises(Sam2Error, match="'square' has masks but no folder of frames"):
        davis_videos(tmp_path, DAVIS, SIZE)


def write_sav(folder, frames=9, stride=4):
    folder.mkdir(parents=True)
    with VideoWriter(folder / "sav_000001.mp4", 24) as writer:
        for index in range(frames):
            writer.write(np.full((SIZE, SIZE, 3), 20 * index, np.uint8))
    masklets = []
    for index in range(0, frames, stride):
        first, second = np.zeros((SIZE, SIZE), bool), np.zeros((SIZE, SIZE), bool)
        first[: 8 + index], second[:, : 10 + index] = True, True
        masklets.append([to_coco(Rle.encode(first)), to_coco(Rle.encode(second))])
    (folder / "sav_000001_manual.json").write_text(json.dumps({"masklet": masklets}))


def test_sav_has_masks_on_every_fourth_frame(tmp_path):
    write_sav(tmp_path / "sav" / "train")
    (footage,) = sav_videos(tmp_path, SAV, SIZE).videos
    assert (footage.name, len(footage)) == ("sav_000001", 3)
    images, masks = footage.read([2, 0])
    assert images.shape == (2, 3, SIZE, SIZE)
    assert images.float().mean(dim=(1, 2, 3)).tolist() == pytest.approx([160, 0], abs=4)
    assert masks.sum(dim=(2, 3)).tolist() == [[16 * SIZE, 8 * SIZE], [18 * SIZE, 10 * SIZE]]


def test_sav_as_exported_here_has_masks_on_every_frame(tmp_path):
    write_sav(tmp_path / "sav", stride=1)
    (footage,) = sav_videos(tmp_path, SAV, SIZE).videos
    assert len(footage) == 9
    images, masks = footage.read([8, 1])
    assert images.float().mean(dim=(1, 2, 3)).tolist() == pytest.approx([160, 20], abs=4)
    assert masks.sum(dim=(2, 3)).tolist() == [[16 * SIZE, 9 * SIZE], [18 * SIZE, 11 * SIZE]]


def test_sav_of_another_length_is_refused(tmp_path):
    write_sav(tmp_path / "sav", stride=2)
    (footage,) = sav_videos(tmp_path, SAV, SIZE).videos
    with pytest.raises(
        Sam2Error, match=r"'sav_000001_manual.json' of .*: the video has 9 frames, and the file .* 5 of"
    ):
        footage.read([0])


def test_sav_that_cannot_be_used(tmp_path):
    write_sav(tmp_path / "sav")
    document = tmp_path / "sav" / "sav_000001_manual.json"
    footage = sav_videos(tmp_path, SAV, SIZE).videos[0]
    document.write_text('{"masklet": [[], [{}]]}')
    with pytest.raises(Sam2Error, match="has no masklets: 'masklet' should list the same objects for each frame"):
        len(footage)
    document.unlink()
    with pytest.raises(Sam2Error, match=r"nothing to train on in 'sav' \(sa-v\)"):
        sav_videos(tmp_path, SAV, SIZE)
