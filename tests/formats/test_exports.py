"""Every export, read by the programs that people read it with."""

import contextlib
import io
import json
import tracemalloc
import zipfile
from pathlib import Path
from unittest.mock import patch

import av
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as pycoco
from pycocotools.coco import COCO

from sam2_core.errors import Cancelled, PromptError, Sam2Error
from sam2_core.formats import EXPORTS, Annotation, exports_for, find_export, import_masks
from sam2_core.media import PALETTE, open_video, video_from_array
from sam2_core.results import ObjectMask
from sam2_core.rle import Rle
from tests.formats.annotations import annotation_of, blank_video

FRAMES, H, W = 6, 46, 72
DISC = (np.mgrid[:H, :W][0] - 20) ** 2 + (np.mgrid[:H, :W][1] - 30) ** 2 < 150
BAR = np.zeros((H, W), bool)
BAR[15:25] = True
NOTHING = np.zeros((H, W), bool)
MASKS = {7: {1: DISC, 2: DISC, 4: NOTHING, 5: DISC}, 3: {1: BAR, 2: NOTHING}}


@pytest.fixture
def annotation() -> Annotation:
    return annotation_of(blank_video(FRAMES, H, W), MASKS, {7: "a person", 3: 'ball: "red"\n'})


def written(annotation: Annotation, name: str, folder: Path) -> Path:
    """The export's file, after a check that nothing else is left and that progress was told."""
    told: list[tuple[int, int]] = []
    path = folder / EXPORTS[name].file_name(annotation)
    EXPORTS[name].write(annotation, path, lambda done, total: told.append((done, total)))
    assert list(folder.iterdir()) == [path]
    assert told[-1] == (told[-1][1],) * 2
    assert path.name == f"bear-{name}{EXPORTS[name].suffix}"
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_coco_is_read_by_pycocotools(annotation: Annotation, tmp_path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(written(annotation, "coco", tmp_path))
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == ["a person", 'ball: "red"']
    images = coco.loadImgs(coco.getImgIds())
    assert [(each["frame_index"], each["file_name"]) for each in images][4] == (4, "bear/00004.jpg")
    assert {(each["height"], each["width"]) for each in images} == {(H, W)}
    found = coco.loadAnns(coco.getAnnIds())
    assert [(each["image_id"] - 1, each["track_id"]) for each in found] == [(1, 7), (1, 3), (2, 7), (5, 7)]
    for each in found:
        mask = MASKS[each["track_id"]][each["image_id"] - 1]
        assert np.array_equal(coco.annToMask(each), mask)
        assert each["area"] == mask.sum() == pycoco.area(each["segmentation"])
        assert each["bbox"] == pycoco.toBbox(each["segmentation"]).tolist()
        assert (each["iscrowd"], each["predicted_iou"], each["object_score"]) == (0, 0.75, 2.5)


def test_sav_is_as_the_data_set(annotation: Annotation, tmp_path: Path) -> None:
    document = json.loads(written(annotation, "sav", tmp_path).read_text())
    # The keys of sav_000001_manual.json, in its order.
    assert list(document) == [
        "video_id", "video_duration", "video_frame_count", "video_height", "video_width", "video_resolution",
        "video_environment", "video_split", "masklet", "masklet_id", "masklet_size_rel", "masklet_size_abs",
        "masklet_size_bucket", "masklet_visibility_changes", "masklet_first_appeared_frame", "masklet_frame_count",
        "masklet_edited_frame_count", "masklet_type", "masklet_stability_score", "masklet_num",
    ]  # fmt: skip
    frames = document.pop("masklet")
    assert [len(frame) for frame in frames] == [2] * FRAMES
    for frame_index, frame in enumerate(frames):
        for rle, object_id in zip(frame, (7, 3), strict=True):
            assert np.array_equal(pycoco.decode(rle), MASKS[object_id].get(frame_index, NOTHING))
    disc, bar = int(DISC.sum()), int(BAR.sum())
    assert document == {
        "video_id": "bear", "video_duration": 0.6, "video_frame_count": 6.0, "video_height": 46.0, "video_width": 72.0,
        "video_resolution": 46.0 * 72, "video_environment": "", "video_split": "", "masklet_id": [7, 3],
        "masklet_size_rel": [disc / (H * W), bar / (H * W)], "masklet_size_abs": [disc, bar],
        "masklet_size_bucket": ["small", "small"], "masklet_visibility_changes": [2, 1],
        "masklet_first_appeared_frame": [1.0, 1.0], "masklet_frame_count": [4, 2],
        "masklet_edited_frame_count": [1, 1], "masklet_type": ["manual", "manual"],
        "masklet_stability_score": [None, None], "masklet_num": 2,
    }  # fmt: skip


def test_davis_pngs_have_its_palette(annotation: Annotation, tmp_path: Path) -> None:
    files = members(written(annotation, "davis", tmp_path))
    assert list(files) == ["objects.csv", *(f"{index:05d}.png" for index in range(FRAMES))]
    with picture(files["00001.png"]) as image:
        assert (image.mode, image.size, image.getpalette()) == ("P", (W, H), PALETTE.ravel().tolist())
        # Where they overlap, the smaller id has the pixel.
        assert np.array_equal(np.asarray(image), np.where(BAR, 3, np.where(DISC, 7, 0)))
    assert not np.asarray(picture(files["00004.png"])).any()


def test_each_object_has_its_own_pngs(annotation: Annotation, tmp_path: Path) -> None:
    files = members(written(annotation, "masks", tmp_path))
    pictures = ["003/00001.png", "003/00002.png"] + [f"007/0000{index}.png" for index in (1, 2, 4, 5)]
    assert sorted(files) == [*pictures, "objects.csv"]
    with picture(files["007/00001.png"]) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), DISC * 255)
    assert not np.asarray(picture(files["003/00002.png"])).any()


def pictures_named(folder: Path, *names: str) -> Annotation:
    """A clip made of these pictures, with one object on every frame, whose left edge is the frame's number."""
    folder.mkdir()
    for name in names:
        Image.new("RGB", (16, 12)).save(folder / name)
    masks = np.zeros((len(names), 12, 16), bool)
    for frame_index, mask in enumerate(masks):
        mask[2:8, frame_index : frame_index + 5] = True
    return annotation_of(open_video(folder), {3: dict(enumerate(masks))}, {3: "a bear, brown"})


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


FOLDERS = {
    "plain names": (("pic 1.png", "pic 2.JPG", "pic 10.webp"), ("pic 1", "pic 2", "pic 10")),
    "numbers with gaps": (("00010.jpg", "00020.jpg"), ("00010", "00020")),
    "names unlike in their suffix alone": (("a.jpg", "a.png"), ("00000_a", "00001_a")),
    "names that other systems refuse": (('1:2 "x".png', "b .png"), ("1_2 _x_", "b")),
}


@pytest.mark.parametrize(("names", "stems"), FOLDERS.values(), ids=FOLDERS)
def test_pictures_keep_their_names(tmp_path: Path, names: tuple[str, ...], stems: tuple[str, ...]) -> None:
    annotation = pictures_named(tmp_path / "bear", *names)
    coco = json.loads(written(annotation, "coco", _made(tmp_path / "coco")).read_bytes())
    assert tuple(image["file_name"] for image in coco["images"]) == names
    for name, places in {
        "masks": [f"003/{stem}.png" for stem in stems],
        "davis": [f"{stem}.png" for stem in stems],
        "yolo": [f"labels/train/{stem}.txt" for stem in stems],
        "cutout": [f"{stem}.png" for stem in stems],
    }.items():
        path = written(annotation, name, _made(tmp_path / name))
        assert set(places) <= members(path).keys()
        if name != "cutout":
            found = import_masks(path, annotation.video)
            assert [mask.decode().argmax() % 16 for mask in next(iter(found.values())).values()] == [*range(len(names))]


@pytest.mark.parametrize("name", ["masks", "davis"])
def test_pngs_come_with_a_table_of_their_objects(tmp_path: Path, name: str) -> None:
    annotation = pictures_named(tmp_path / "bear", "a.png")
    table = members(written(annotation, name, _made(tmp_path / name)))["objects.csv"].decode()
    assert table == 'object_id,name,colour\n3,"a bear, brown",#030203\n'


def test_yolo_is_a_data_set(annotation: Annotation, tmp_path: Path) -> None:
    files = members(written(annotation, "yolo", tmp_path))
    assert files["classes.txt"].decode() == 'a person\nball: "red"\n'
    assert files["data.yaml"].decode().splitlines() == [
        "path: .", "train: images/train", "val: images/train", "names:", '  0: "a person"', '  1: "ball: \\"red\\""',
    ]  # fmt: skip
    for index in range(FRAMES):
        assert picture(files[f"images/train/bear_{index:05d}.jpg"]).size == (W, H)
    lines = files["labels/train/bear_00001.txt"].decode().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    corners = {tuple(each) for each in np.array(lines[1].split()[1:], float).reshape(-1, 2).tolist()}
    assert corners == {(0, 0.326087), (1, 0.326087), (0, 0.543478), (1, 0.543478)}
    assert files["labels/train/bear_00000.txt"] == files["labels/train/bear_00004.txt"] == b""


def test_objects_of_one_name_are_one_class(tmp_path: Path) -> None:
    annotation = annotation_of(blank_video(2, H, W), {1: {0: DISC}, 2: {0: BAR}}, {1: "dog", 2: " dog "})
    assert annotation.class_names == ("dog",)
    lines = members(written(annotation, "yolo", tmp_path))["labels/train/bear_00000.txt"].decode().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "0"]


@pytest.mark.parametrize(("name", "codec", "pixels"), [("overlay", "h264", "yuv420p"), ("cutout-mov", "qtrle", "argb")])
def test_videos_have_every_frame(annotation: Annotation, tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    with av.open(str(written(annotation, name, tmp_path))) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt, stream.average_rate) == (codec, pixels, 10)
        frames = [frame.to_ndarray(format="rgba").astype(int) for frame in container.decode(stream)]
    assert len(frames) == FRAMES
    if name == "overlay":
        assert np.abs(frames[1][2, 2, :3] - 41).max() <= 3
        assert np.abs(frames[1][20, 60, :3] - (np.array([3, 2, 3]) + 41) // 2).max() <= 3
    else:
        check_alpha(frames)


def test_a_webm_keeps_alpha(annotation: Annotation, tmp_path: Path) -> None:
    with av.open(str(written(annotation, "cutout-webm", tmp_path))) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.metadata["ALPHA_MODE"], stream.average_rate) == ("vp9", "1", 10)
        decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder forgets alpha
        packets = [packet if packet.size else None for packet in container.demux(stream)]
        frames = [frame for packet in packets for frame in decoder.decode(packet)]
    assert len(frames) == FRAMES
    check_alpha([frame.to_ndarray(format="rgba").astype(int) for frame in frames])


def check_alpha(frames: list[np.ndarray]) -> None:
    inside = DISC | BAR
    assert ((frames[1][..., 3] > 128) == inside).mean() > 0.99
    assert frames[4][..., 3].max() < 20
    assert np.abs(frames[1][20, 30, :3] - 41).max() <= 4


def test_cut_outs_are_transparent(annotation: Annotation, tmp_path: Path) -> None:
    files = members(written(annotation, "cutout", tmp_path))
    assert list(files) == [f"{index:05d}.png" for index in range(FRAMES)]
    pixels = np.asarray(picture(files["00001.png"]))
    assert pixels.shape == (H, W, 4)
    assert np.array_equal(pixels, np.where((DISC | BAR)[..., None], [41, 41, 41, 255], 0))
    assert not np.asarray(picture(files["00004.png"])).any()


def test_a_picture_has_its_own_formats(tmp_path: Path) -> None:
    video = video_from_array(np.full((H, W, 3), 100, np.uint8), name="bear.jpg")
    assert [each.name for each in exports_for(video)] == [
        "masks", "davis", "coco", "sav", "yolo", "overlay-picture", "cutout",
    ]  # fmt: skip
    annotation = annotation_of(video, {1: {0: DISC}})
    for each in exports_for(video):
        (tmp_path / each.name).mkdir()
        written(annotation, each.name, tmp_path / each.name)
    with Image.open(tmp_path / "overlay-picture" / "bear-overlay-picture.png") as image:
        assert image.size == (W, H)
        assert image.getpixel((0, 0)) == (100, 100, 100) != image.getpixel((30, 20))


def test_a_video_has_all_but_the_picture() -> None:
    names = [each.name for each in exports_for(blank_video(2, H, W))]
    assert names == [name for name in EXPORTS if name != "overlay-picture"]
    assert all(each.description.endswith(".") for each in EXPORTS.values())
    assert find_export("coco") is EXPORTS["coco"]
    with pytest.raises(PromptError, match="there is no export format 'xml'; choose one of masks, davis, coco"):
        find_export("xml")


@pytest.mark.parametrize("name", [each.name for each in EXPORTS.values() if each.suits != "picture"])
def test_what_is_cancelled_leaves_the_old_file(annotation: Annotation, tmp_path: Path, name: str) -> None:
    def cancel(done: int, _total: int) -> None:
        if done == 2:
            raise Cancelled("enough")

    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(Cancelled):
        EXPORTS[name].write(annotation, path, cancel)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", EXPORTS)
def test_memory_does_not_grow_with_the_video(tmp_path: Path, name: str) -> None:
    height, width, most = 160, 160, 1_500_000
    mask = np.zeros((height, width), bool)
    mask[40:100, 30:90] = True
    annotation = annotation_of(blank_video(60, height, width), {1: dict.fromkeys(range(60), mask)})
    assert 60 * height * width * 3 > 3 * most
    EXPORTS[name].write(annotation, tmp_path / "once")  # imports and tables
    tracemalloc.start()
    EXPORTS[name].write(annotation, tmp_path / "again")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most


@pytest.mark.parametrize("name", EXPORTS)
def test_a_full_disk_is_one_sentence(annotation: Annotation, tmp_path: Path, name: str) -> None:
    full = OSError(28, "No space left on device", "/secret/place")
    with patch("pathlib.Path.replace", side_effect=full), pytest.raises(Sam2Error) as caught:
        EXPORTS[name].write(annotation, tmp_path / "out")
    assert str(caught.value) == "'out' cannot be written: No space left on device."
    assert list(tmp_path.iterdir()) == []


def test_ids_that_have_no_room(tmp_path: Path) -> None:
    annotation = annotation_of(blank_video(2, H, W), {300: {0: DISC}})
    with pytest.raises(PromptError, match="objects 1 to 255"):
        EXPORTS["davis"].write(annotation, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({}, "there is no mask to export yet"),
        ({1: {}}, "there is no mask to export yet"),
        ({1: {2: DISC}}, "on frames 0 to 1; the one of object 1 on frame 2 is 72 x 46"),
        ({1: {0: DISC.T}}, "masks are 72 x 46 pixels"),
    ],
)
def test_masks_that_are_none_of_the_videos(
    masks: dict[int, dict[int, np.ndarray]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PromptError, match=message):
        EXPORTS["coco"].write(annotation_of(blank_video(2, H, W), masks), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("bear.mp4", "bear"), ("../../etc/passwd", "etc_passwd"), ("a b/c?.mov", "a_b_c"), ("<b>.gif", "b"),
        ("...", "clip"), ("", "clip"), ("Bär-2.WEBM", "Bär-2"), ("no suffix", "no_suffix"), ("\udcff.mp4", "clip"),
        ("ü" * 200 + ".mp4", "ü" * 60),
    ],
)  # fmt: skip
def test_files_are_named_after_the_clip(name: str, stem: str) -> None:
    assert Annotation(blank_video(1, 2, 2, name), (), {}).stem == stem


def test_objects_have_names_and_colours_from_the_start() -> None:
    video, mask = blank_video(2, H, W), ObjectMask(2, Rle.encode(DISC), 0.5, 1.0)
    annotation = Annotation.of_masklets(video, {2: {0: mask}, 1: {}})
    assert [(each.object_id, each.name) for each in annotation.objects] == [(1, "object 1"), (2, "object 2")]
    assert annotation.masks(0) == {2: mask.mask}
    assert annotation.masks(1) == {}
