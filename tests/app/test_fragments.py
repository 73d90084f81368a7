"""Pieces of HTML say what is true, and nothing of a visitor's."""

from pathlib import Path

import numpy as np
from PIL import Image

from app import fragments, menus
from app.background import Progress
from sam2_core.media import video_from_array


def test_progress_in_frames_and_in_bytes() -> None:
    frames = fragments.progress_bar(Progress(5, 20), "Exporting", "frame")
    assert "width:25.0%" in frames
    assert "Exporting · frame 5 of 20" in frames
    assert "78 of 156 MB" in fragments.progress_bar(Progress(78 * 10**6, 156 * 10**6), "Loading x")
    assert "width:0.0%" in fragments.progress_bar(Progress(0, 0), "Loading x")


def test_the_banner_is_honest() -> None:
    assert "not SAM 2.1" in fragments.banner("pocket")
    assert "by Meta" in fragments.banner("sam2.1-hiera-tiny")


def test_names_are_text(tmp_path: Path) -> None:
    path = tmp_path / "<b>x&y.png"
    Image.new("RGB", (16, 12)).save(path)
    cards = fragments.example_cards([path])
    assert "&lt;b&gt;x&amp;y" in cards
    assert '<button class="card" data-pick="0">' in cards
    assert "picture" in cards
    assert "&lt;b&gt;" in fragments.note("<b>")
    link = fragments.download('x"y', "<b>.json", 1_234_567, "1 object in 3 frames", 7, is_old=False)
    assert 'href="x&quot;y"' in link
    assert "&lt;b&gt;.json</a> · 1.2 MB · 1 object in 3 frames</p>" in link
    assert 'data-revision="7">' in link
    old = fragments.download("x", "y", 512, "", 7, is_old=True)
    assert 'data-revision="7" data-old>' in old
    assert "0.5 kB</p>" in old


def test_the_model_menu_begins_with_ours_and_newer_ones_come_first() -> None:
    labels, names = zip(*menus.models(), strict=True)
    assert names[0] == "pocket"
    assert [name.split("-")[0] for name in names[1:]] == ["sam2.1"] * 4 + ["sam2"] * 4
    assert labels[0] == "pocket · included"
    assert all(label.endswith((" MB download", " · downloaded")) for label in labels[1:])


def test_the_format_menu_offers_what_suits_the_clip() -> None:
    frames = np.zeros((2, 12, 16, 3), np.uint8)
    video = {name for _, name in menus.formats(video_from_array(frames))}
    picture = {name for _, name in menus.formats(video_from_array(frames[0]))}
    assert video - picture == {"overlay", "cutout-webm", "cutout-mov"}
    assert picture - video == {"overlay-picture"}
    assert video | picture == {name for _, name in menus.formats()}
