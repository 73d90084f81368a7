"""Which part of the data is meant: as people type it, and as data sets' own lists have it."""

import pytest

from sam2_core.errors import Sam2Error
from sam2_core.evaluation.layouts import find_data
from sam2_core.evaluation.names import read_list
from tests.evaluation import scenes


def listed(tmp_path, text):
    path = tmp_path / "val.txt"
    path.write_text(text)
    return read_list(path)


def test_a_list_has_comments_and_empty_lines(tmp_path):
    assert listed(tmp_path, "# validation\nbear\n\n  two words # and why\nno#comment\nbear\n") == [
        "bear", "two words", "no#comment",
    ]  # fmt: skip


def test_davis_2016_lists_frames_and_means_their_folders(tmp_path):
    lines = [
        f"/JPEGImages/480p/{n}/0000{f}.jpg /Annotations/480p/{n}/0000{f}.png" for n in ("bear", "cow") for f in (0, 1)
    ]
    assert listed(tmp_path, "\n".join(lines)) == ["bear", "cow"]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n"])
def test_a_list_without_names_is_refused(tmp_path, text):
    with pytest.raises(Sam2Error, match="the list 'val.txt' has no names"):
        listed(tmp_path, text)


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Sam2Error, match="the list 'val.txt' cannot be read"):
        read_list(tmp_path / "val.txt")


def test_names_are_meant_with_and_without_what_shells_and_people_add(tmp_path):
    videos = find_data(scenes.davis(tmp_path / "davis", ("bear", "camel")))
    assert [each.name for each in videos.only(["camel/"]).sequences] == ["camel"]
    pictures = find_data(scenes.coco(tmp_path / "coco"))
    for name in ("a", "a.jpg", "a.png"):
        assert [each.name for each in pictures.only([name]).pictures] == ["a.jpg"]
    with pytest.raises(Sam2Error, match="no sequence or picture 'horse/'"):
        videos.only(["bear", "horse/"])
