"""Masks from pictures: which pixels are the object, and what is refused."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sam2_core.errors import PromptError, VideoError
from sam2_core.formats import read_mask
from sam2_core.media import save_palette_png

H, W = 4, 6


def saved(path: Path, pixels: npt.NDArray[np.uint8], mode: str) -> Path:
    Image.fromarray(pixels, mode).save(path)
    return path


def read(path: Path, object_id: int = 1) -> list[tuple[int, int]]:
    """Row and column of every object pixel."""
    mask = read_mask(path, object_id, H, W).decode()
    assert mask.shape == (H, W)
    return [(int(y), int(x)) for y, x in np.argwhere(mask)]


@pytest.fixture
def palette(tmp_path: Path) -> Path:
    labels = np.zeros((H, W), np.uint8)
    labels[0, 1], labels[2, 5] = 2, 7
    save_palette_png(tmp_path / "labels.png", labels)
    return tmp_path / "labels.png"


@pytest.mark.parametrize(("object_id", "expected"), [(2, [(0, 1)]), (7, [(2, 5)]), (3, [(0, 1), (2, 5)])])
def test_a_palette_value_is_an_object_id(palette: Path, object_id: int, expected: list[tuple[int, int]]) -> None:
    assert read(palette, object_id) == expected


def test_a_grey_value_is_not(tmp_path: Path) -> None:
    grey = np.zeros((H, W), np.uint8)
    grey[1, 1], grey[1, 2] = 1, 255
    assert read(saved(tmp_path / "grey.png", grey, "L"), 1) == [(1, 1), (1, 2)]


def test_colours_count_unless_they_are_transparent(tmp_path: Path) -> None:
    colours = np.zeros((H, W, 4), np.uint8)
    colours[0, 0] = (0, 0, 9, 255)
    colours[3, 3] = (255, 255, 255, 0)
    colours[3, 4] = (0, 0, 0, 255)
    assert read(saved(tmp_path / "rgba.png", colours, "RGBA")) == [(0, 0)]
    assert read(saved(tmp_path / "rgb.png", np.ascontiguousarray(colours[..., :3]), "RGB")) == [(0, 0), (3, 3)]


def test_a_black_and_white_picture(tmp_path: Path) -> None:
    bits = Image.new("1", (W, H))
    bits.putpixel((4, 2), 1)
    bits.save(tmp_path / "bits.png")
    assert read(tmp_path / "bits.png") == [(2, 4)]


def test_another_size_is_refused(palette: Path) -> None:
    with pytest.raises(PromptError, match=r"frame's size, 12 x 8 pixels; 'labels.png' has 6 x 4"):
        read_mask(palette, 2, 8, 12)


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "black.png", np.zeros((H, W), np.uint8), "L")
    with pytest.raises(PromptError, match=r"'black.png' is empty"):
        read(path)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("not a picture")
    with pytest.raises(PromptError, match=r"'notes.png' is not a picture"):
        read(path)
    with pytest.raises(PromptError, match=r"there is no file 'none.png'"):
        read(tmp_path / "none.png")


def test_a_damaged_picture_is_refused(palette: Path) -> None:
    palette.write_bytes(palette.read_bytes()[:-30])
    with pytest.raises(VideoError, match=r"'labels.png' is damaged"):
        read(palette, 2)
