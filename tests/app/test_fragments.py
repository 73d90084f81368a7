"""Pieces of HTML say what is true, and nothing of a visitor's."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from app import fragments
from app.background import Progress
from sam2_core.results import ObjectMask
from sam2_core.rle import Rle


def mask(object_id: int, iou: float, score: float) -> ObjectMask:
    pixels = np.zeros((24, 32), bool)
    pixels[8:16, 8:20] = True
    return ObjectMask(object_id, Rle.encode(pixels), iou, score)


def test_objects_with_their_scores() -> None:
    html = fragments.object_list([1, 2, 3], 2, [mask(1, 0.87, 3.9), mask(2, 0.4, -2.2)])
    assert re.findall(r"<small>(.*?)</small>", html) == [
        "visible 98% · IoU 0.87",
        "hidden, 90% sure",
        "no mask here yet",
    ]
    assert re.findall(r'data-pick="(\d)" aria-pressed="(\w+)"', html) == [("1", "false"), ("2", "true"), ("3", "false")]
    assert re.findall(r'data-remove="(\d)"', html) == ["1", "2", "3"]


def test_scores_far_from_zero() -> None:
    html = fragments.object_list([1, 2], 1, [mask(1, 1.0, 1e6), mask(2, 0.0, -1e6)])
    assert "visible 100%" in html
    assert "hidden, 100% sure" in html


def test_the_best_candidate_is_marked_until_one_is_chosen() -> None:
    frame = np.zeros((24, 32, 3), np.uint8)
    candidates = [mask(1, 0.3, 1.0), mask(1, 0.8, 1.0), mask(1, 0.5, 1.0)]

    def marked(chosen: int | None) -> list[str]:
        return re.findall(r'aria-pressed="(\w+)"', fragments.candidate_cards(frame, candidates, chosen))

    assert marked(None) == ["false", "true", "false"]
    assert marked(2) == ["false", "false", "true"]
    assert re.findall(r"IoU ([\d.]+)", fragments.candidate_cards(frame, candidates, None)) == ["0.30", "0.80", "0.50"]
    assert fragments.candidate_cards(frame, [], None) == ""


def test_progress_in_frames_and_in_bytes() -> None:
    frames = fragments.progress_bar(Progress(5, 20), "Tracking", "frame")
    assert "width:25.0%" in frames
    assert "Tracking · frame 5 of 20" in frames
    assert "78 of 156 MB" in fragments.progress_bar(Progress(78 * 10**6, 156 * 10**6), "Loading x")
    assert "width:0.0%" in fragments.progress_bar(Progress(0, 0), "Loading x")


def test_the_banner_is_honest() -> None:
    assert "not SAM 2.1" in fragments.banner("pocket")
    assert "by Meta" in fragments.banner("sam2.1-hiera-tiny")


def test_names_of_examples_are_text(tmp_path: Path) -> None:
    path = tmp_path / "<b>x&y.png"
    Image.new("RGB", (16, 12)).save(path)
    html = fragments.example_cards([path])
    assert "&lt;b&gt;x&amp;y" in html
    assert '<button class="card" data-pick="0">' in html
    assert "picture" in html
