"""Files from anyone: each that cannot be used gets one clear sentence, soon and without much memory."""

import contextlib
import copy
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sam2_core.errors import Cancelled, PromptError
from sam2_core.formats import EXPORTS, archive, collection, import_masks
from sam2_core.formats.json_file import read_json
from tests.formats.annotations import annotation_of, blank_video

FRAMES, H, W = 3, 6, 5
VIDEO = blank_video(FRAMES, H, W)
MASK = np.zeros((H, W), bool)
MASK[1:4, 2:] = True


def png(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", **options)
    return buffer.getvalue()


LABELS = png(MASK.astype(np.uint8))


def header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no mask with a single pixel was found"),
        ({"notes.txt": b"hello"}, "no mask with a single pixel was found"),
        ({"0.png": png(np.zeros((H, W), np.uint8))}, "no mask with a single pixel was found"),
        ({"../../0.png": LABELS}, "'masks.zip' holds a file whose name leads out of it"),
        ({"/0.png": LABELS}, "'masks.zip' holds a file whose name leads out of it"),
        ({"C:\\0.png": LABELS}, "'masks.zip' holds a file whose name leads out of it"),
        ({"a/0.png": LABELS, "a//0.png": LABELS}, "'masks.zip' holds 'a/0.png' twice"),
        ({"a/0.png": LABELS, "b/0.png": LABELS}, "two masks of object 1 on frame 0"),
        ({"3.png": LABELS}, "the video has frames 0 to 2, and a mask is of frame 3; choose masks of this clip."),
        ({"first.png": LABELS}, "the name 'first' should end in its frame's number, as bear_00012 does"),
        ({"0.png": png(MASK.T.astype(np.uint8))}, "masks have the video's size, 5 x 6 pixels; '0.png' is 6 x 5"),
        ({"0.png": np.uint8(1).tobytes() * 100}, "'0.png' is no PNG, or a damaged one"),
        ({"0.png": LABELS[:40]}, "'0.png' is no PNG, or a damaged one"),
        ({"0.png": header_only(30_000, 30_000)}, "'0.png' is no PNG, or a damaged one"),
        ({"0.png": header_only(9_000, 9_000)}, "'0.png' is 9000 x 9000"),
        ({"0.png": png(np.zeros((H, W, 3), np.uint8))}, "'0.png' is a PNG of mode RGB, where a palette or 8 bits"),
        ({"0.png": png(np.zeros((H, W, 4), np.uint8))}, "'0.png' is a PNG of mode RGBA"),
        ({"0.png": png(MASK.astype(np.uint16))}, "'0.png' is a PNG of mode I;16"),
        ({"1/0.png": png(MASK.astype(np.uint16))}, "'1/0.png' is a PNG of mode I;16"),
        ({"1/0.png": png(np.arange(H * W, dtype=np.uint8).reshape(H, W))}, "'1/0.png' has several values"),
        ({"70000/0.png": LABELS}, "objects are numbered up to 65535; a mask is of object 70000"),
        ({"0.png": bytes(40 << 20)}, "'0.png' has 40 MiB; one file of masks may have 32 MiB"),
        ({"labels/0.txt": b"person 0 0 1 1 1 0\n"}, "a line of 'labels/0.txt' should be a class and three or more"),
        ({"labels/0.txt": b"0 0.5 0.5 1 1\n"}, "a line of 'labels/0.txt' should be a class and three or more"),
        ({"labels/0.txt": b"0 0 0 1 1 1 nan\n"}, "a line of 'labels/0.txt' should be a class and three or more"),
        ({"labels/0.txt": b"0 0 0 1 1 1 1.5\n"}, "a line of 'labels/0.txt' should be a class and three or more"),
        ({"labels/0.txt": b"-1 0 0 1 1 1 0\n"}, "a line of 'labels/0.txt' should be a class and three or more"),
        ({"labels/0.txt": b"\xff\xfe\n"}, "a line of 'labels/0.txt' should be a class and three or more"),
        ({"labels/0.txt": b"0 0 0 1 1 1 0\n" * 1001}, "'labels/0.txt' has far too many polygons or points"),
        ({"labels/0.txt": b"0" + b" 0" * (5 << 19)}, "'labels/0.txt' has far too many polygons or points"),
    ],
)
def test_archives(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    check_one_sentence(zipped(tmp_path / "masks.zip", files), message)


def check_one_sentence(path: Path, message: str) -> None:
    with pytest.raises(PromptError) as caught:
        import_masks(path, VIDEO)
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 250
    assert str(path.parent) not in str(caught.value)


@pytest.mark.parametrize(("start", "length"), [(0, 30), (38, 20), (60, 40), (-60, 20), (-22, 8)])
def test_damaged_archives(start: int, length: int, tmp_path: Path) -> None:
    path = zipped(tmp_path / "masks.zip", {f"{index}.png": LABELS for index in range(FRAMES)})
    data = bytearray(path.read_bytes())
    data[start : start + length or None] = b"\xff" * length
    path.write_bytes(data)
    check_one_sentence(path, "")


def test_a_password(tmp_path: Path) -> None:
    path = zipped(tmp_path / "masks.zip", {"0.png": LABELS})
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    path.write_bytes(data)
    check_one_sentence(path, "without a password")


def test_a_list_of_contents_that_would_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "masks.zip", {f"{index:060d}.png": LABELS for index in range(20)})
    monkeypatch.setattr(archive, "_LARGEST_LIST", 2000)
    check_one_sentence(path, "the zip's list of contents is far too long")
    monkeypatch.undo()
    monkeypatch.setattr(archive, "_MOST_MEMBERS", 19)
    check_one_sentence(path, "'masks.zip' holds more than 19 files")


def test_there_is_nothing(tmp_path: Path) -> None:
    check_one_sentence(tmp_path / "none.zip", "there is no file or folder 'none.zip'")
    check_one_sentence(tmp_path, "no mask with a single pixel was found")


def document(name: str, folder: Path) -> dict[str, Any]:
    """A good file, as JSON."""
    path = folder / "good.json"
    EXPORTS[name].write(annotation_of(VIDEO, {1: {0: MASK, 2: ~MASK}, 2: {1: MASK}}), path)
    return read_json(path)


def put(place: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Something else at a place such as ``images.0.id``."""

    def change(found: Any) -> None:
        *way, last = (int(step) if step.isdecimal() else step for step in place.split("."))
        for step in way:
            found = found[step]
        found[last] = value

    return change


CASES = [
    ("coco", "images", None, "'images' should be a list; it is missing"),
    ("coco", "images", {"0": 1}, "'images' should be a list; it is {'0': 1}"),
    ("coco", "images.0", 7, "an image should be a JSON object; it is 7"),
    ("coco", "images.0.id", True, "'id' should be a whole number; it is True"),
    ("coco", "images.0.id", 1e400, "'id' should be a whole number; it is inf"),
    ("coco", "images.0.frame_index", 9, "the video has frames 0 to 2, and a mask is of frame 9"),
    ("coco", "images.0.frame_index", -1, "the video has frames 0 to 2, and a mask is of frame -1"),
    ("coco", "images.0.frame_index", "0", "'frame_index' should be a whole number; it is '0'"),
    ("coco", "images.0", {"id": 1, "file_name": "first.jpg"}, "the name 'first' should end in its frame's number"),
    ("coco", "images.0", {"id": 1, "file_name": 3}, "'file_name' should be a text; it is 3"),
    ("coco", "annotations", "many", "'annotations' should be a list; it is 'many'"),
    ("coco", "annotations.0", [], "an annotation should be a JSON object; it is []"),
    ("coco", "annotations.0", {}, "'segmentation' should be an object; it is missing"),
    ("coco", "annotations.0.segmentation", [[0, 0, 1, 1, 2, 0]], "'segmentation' should be an object"),
    ("coco", "annotations.0.segmentation.counts", [[1]], "polygons cannot be imported"),
    ("coco", "annotations.0.segmentation.counts", "n" * 10**6, "hold what COCO's never do"),
    ("coco", "annotations.0.segmentation.counts", "0" * 10**6, "should add up to 6 x 5 pixels"),
    ("coco", "annotations.0.segmentation.counts", [2**31] * 4, "should add up to 6 x 5 pixels"),
    ("coco", "annotations.0.segmentation.size", [10**6, 10**6], "one has the size [1000000, 1000000]"),
    ("coco", "annotations.0.image_id", 99, "a mask is of image 99, which is not among the 'images'"),
    ("coco", "annotations.0.track_id", 2**40, "objects are numbered up to 65535"),
    ("coco", "annotations.1.image_id", 3, "two masks of object"),
    ("sav", "masklet", 5, "'masklet' should be a list; it is 5"),
    ("sav", "masklet", [], "the video has 3 frames, and the file has masks for 0 of them"),
    ("sav", "masklet", [[]] * 3, "every frame's 'masklet' should list 2 masks"),
    ("sav", "masklet.1", 3, "every frame's 'masklet' should list 2 masks"),
    ("sav", "masklet.1.0", None, "a mask should be a JSON object; it is missing"),
    ("sav", "masklet.1.0.counts", None, "should be a text or a list of run lengths"),
    ("sav", "masklet_id", ["a", "b"], "'masklet_id' should be a whole number; it is 'a'"),
    ("sav", "masklet_id", [1, 1], "two masks of object 1 on frame 0"),
    ("sav", "masklet_id", list(range(300)), "every frame's 'masklet' should list 300 masks"),
]


@pytest.mark.parametrize(("name", "place", "value", "message"), CASES)
def test_documents(name: str, place: str, value: object, message: str, tmp_path: Path) -> None:
    good = document(name, tmp_path)
    put(place, value)(good)
    if name == "coco" and place == "annotations.1.image_id":
        good["annotations"][1]["track_id"] = good["annotations"][2]["track_id"]
    path = tmp_path / "masks.json"
    path.write_text(json.dumps(good))
    check_one_sentence(path, message)


@pytest.mark.parametrize(
    "text", ["", "hello", "[1, 2]", "null", "{", "[" * 100_000, '{"a": ' * 100_000, "9" * 10_000, "\x00\x01", "é"]
)
def test_texts_that_are_no_document(text: str, tmp_path: Path) -> None:
    path = tmp_path / "masks.json"
    path.write_text(text)
    check_one_sentence(path, "'masks.json'")


def test_a_document_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "masks.json"
    with path.open("wb") as file:
        file.truncate(65 << 20)
    check_one_sentence(path, "'masks.json' has more than 64 MiB")


def test_masks_that_grow_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_MOST_BYTES", 700)
    path = tmp_path / "masks.json"
    path.write_text(json.dumps(document("coco", tmp_path)))
    check_one_sentence(path, "too many, or too torn, to be kept in memory")


def test_too_many_objects(tmp_path: Path) -> None:
    good = document("sav", tmp_path)
    entry = good["masklet"][0][0]
    good |= {"masklet": [[entry] * 256] * FRAMES, "masklet_id": list(range(256))}
    path = tmp_path / "masks.json"
    path.write_text(json.dumps(good))
    check_one_sentence(path, "more than 255 objects")


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_change_of_a_document_is_masks_or_one_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    changed = copy.deepcopy(document(data.draw(st.sampled_from(["coco", "sav"])), folder))
    found: Any = changed
    while isinstance(found, dict | list) and len(found):
        keys = sorted(found) if isinstance(found, dict) else range(len(found))
        parent, key = found, data.draw(st.sampled_from(keys))
        found = found[key]
        if data.draw(st.booleans()):
            break
    parent[key] = data.draw(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
    path = folder / "masks.json"
    path.write_text(json.dumps(changed))
    with contextlib.suppress(PromptError):  # and nothing else
        assert import_masks(path, VIDEO)


def test_cancelling(tmp_path: Path) -> None:
    def cancel(_done: int, _total: int) -> None:
        raise Cancelled("enough")

    for name in ("masks", "davis", "coco", "sav", "yolo"):
        EXPORTS[name].write(annotation_of(VIDEO, {1: {0: MASK}}), tmp_path / name)
        with pytest.raises(Cancelled):
            import_masks(tmp_path / name, VIDEO, cancel)


def test_objects_counted_from_0_are_one_higher(tmp_path: Path) -> None:
    files = {"000/00000.png": LABELS, "001/00001.png": LABELS, "__MACOSX/000/._00000.png": b"", "007/readme.txt": b""}
    found = import_masks(zipped(tmp_path / "masks.zip", files), VIDEO)
    assert {object_id: list(masklet) for object_id, masklet in found.items()} == {1: [0], 2: [1]}


def test_meta_annotates_every_fourth_frame(tmp_path: Path) -> None:
    good = document("sav", tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps(good))
    found = import_masks(tmp_path / "meta.json", blank_video(12, H, W))
    assert {object_id: list(masklet) for object_id, masklet in found.items()} == {1: [0, 8], 2: [4]}


def test_plain_coco_has_frames_in_names_and_objects_as_categories(tmp_path: Path) -> None:
    good = document("coco", tmp_path)
    for image in good["images"]:
        del image["frame_index"]
    for each in good["annotations"]:
        del each["track_id"]
    (tmp_path / "plain.json").write_text(json.dumps(good))
    found = import_masks(tmp_path / "plain.json", VIDEO)
    assert {object_id: list(masklet) for object_id, masklet in found.items()} == {1: [0, 2], 2: [1]}
    assert np.array_equal(found[1][2].decode(), ~MASK)


def test_palette_pngs_of_fewer_bits_are_read(tmp_path: Path) -> None:
    image = Image.fromarray(MASK.astype(np.uint8) * 3)
    image.putpalette([0, 0, 0, 9, 9, 9, 8, 8, 8, 7, 7, 7])
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", bits=2)
    found = import_masks(zipped(tmp_path / "a.zip", {"bear/00001.png": buffer.getvalue()}), VIDEO)
    assert list(found) == [3]
    assert np.array_equal(found[3][1].decode(), MASK)
