"""Colours, label maps, overlays and palette PNGs, to the pixel."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_core.errors import PromptError, VideoError
from sam2_core.media import PALETTE, label_map, object_colour, overlay, save_palette_png
from sam2_core.rle import Rle


def rectangle(top: int, left: int, bottom: int, right: int, height: int = 20, width: int = 30) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_the_palette_is_the_one_of_voc_and_davis() -> None:
    assert PALETTE.shape == (256, 3)
    assert PALETTE[:9].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
    ]
    assert PALETTE[[20, 21, 255]].tolist() == [[0, 64, 128], [128, 64, 128], [224, 224, 192]]
    assert len(np.unique(PALETTE, axis=0)) == 256


def test_the_palette_matches_davis(shared: Path) -> None:
    masks = sorted((shared / "data" / "vos").glob("davis/*/masks/*.png"))
    if not masks:
        pytest.skip("no DAVIS masks in ../shared/data/vos")
    with Image.open(masks[0]) as image:
        palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    assert np.array_equal(palette[:2], PALETTE[:2])


def test_colours_are_stable_and_far_apart() -> None:
    assert object_colour(1) == (38, 151, 255)
    colours = np.array([object_colour(object_id) for object_id in range(1, 13)], np.int64)
    assert min(np.abs(one - other).sum() for one, other in combinations(colours, 2)) >= 80
    assert len({object_colour(object_id) for object_id in range(1, 256)}) == 255


def test_a_label_map_gives_overlaps_to_the_smallest_id() -> None:
    labels = label_map({7: rectangle(0, 0, 10, 10), 2: rectangle(5, 5, 15, 15)}, 20, 30)
    assert labels.dtype == np.uint8
    assert (labels[0, 0], labels[7, 7], labels[12, 12], labels[19, 29]) == (7, 2, 2, 0)
    assert np.bincount(labels.ravel()).tolist() == [20 * 30 - 175, 0, 100, 0, 0, 0, 0, 75]


def test_a_label_map_takes_run_lengths_and_large_ids() -> None:
    labels = label_map({1000: Rle.encode(rectangle(0, 0, 2, 2)), 65535: rectangle(0, 0, 4, 4)}, 20, 30)
    assert labels.dtype == np.uint16
    assert (labels[1, 1], labels[3, 3], labels[4, 4]) == (1000, 65535, 0)


def test_a_label_map_of_nothing() -> None:
    labels = label_map({}, 3, 4)
    assert (labels.dtype, labels.shape, labels.max()) == (np.uint8, (3, 4), 0)


@pytest.mark.parametrize("object_id", [0, -1, 65536])
def test_ids_that_fit_no_label_map(object_id: int) -> None:
    with pytest.raises(PromptError, match=f"objects 1 to 65535 .*; got object {object_id}"):
        label_map({object_id: rectangle(0, 0, 2, 2)}, 20, 30)


def test_a_mask_of_another_size() -> None:
    with pytest.raises(PromptError, match=r"30 x 20 pixels; the one of object 3 is an array of shape \[10, 30\]"):
        label_map({3: np.zeros((10, 30), bool)}, 20, 30)


def test_an_overlay_tints_and_outlines() -> None:
    frame = np.full((20, 30, 3), 100, np.uint8)
    painted = overlay(frame, {1: rectangle(5, 5, 15, 20)}, opacity=0.5, colours={1: (200, 0, 50)})
    assert painted[10, 10].tolist() == [150, 50, 75]
    assert painted[5, 5].tolist() == painted[14, 19].tolist() == painted[10, 5].tolist() == [200, 0, 50]
    assert painted[4, 5].tolist() == painted[10, 20].tolist() == [100, 100, 100]
    assert (painted == (200, 0, 50)).all(axis=2).sum() == 2 * 15 + 2 * 8
    assert (frame == 100).all()


def test_an_overlay_without_masks_is_the_frame() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(overlay(frame, {}), frame)
    assert np.array_equal(overlay(frame, {4: np.zeros((20, 30), bool)}), frame)


def test_opacity_goes_from_outline_to_full_colour() -> None:
    frame = np.full((20, 30, 3), 255, np.uint8)
    masks = {3: rectangle(5, 5, 15, 20)}
    assert overlay(frame, masks, opacity=0)[10, 10].tolist() == [255, 255, 255]
    assert tuple(overlay(frame, masks, opacity=1)[10, 10]) == object_colour(3)


def test_an_object_behind_another_keeps_its_outline() -> None:
    frame = np.zeros((20, 30, 3), np.uint8)
    masks = {1: rectangle(2, 2, 18, 28), 2: Rle.encode(rectangle(6, 6, 12, 12))}
    painted = overlay(frame, masks, colours={1: (200, 0, 0), 2: (0, 200, 0)})
    assert painted[6, 8].tolist() == [0, 200, 0]
    assert painted[8, 8].tolist() == [100, 0, 0]


def test_the_border_of_the_frame_is_no_outline() -> None:
    painted = overlay(np.zeros((20, 30, 3), np.uint8), {1: rectangle(0, 0, 20, 15)}, colours={1: (200, 0, 0)})
    assert painted[0, 0].tolist() == [100, 0, 0]
    assert painted[0, 14].tolist() == [200, 0, 0]


def test_outlines_are_thicker_on_large_frames() -> None:
    mask = np.zeros((720, 960), bool)
    mask[100:600, 100:600] = True
    painted = overlay(np.zeros((720, 960, 3), np.uint8), {1: mask}, colours={1: (200, 0, 0)})
    assert (painted[300, :, 0] == 200).sum() == 2 * 3


def test_a_palette_png_is_read_back_by_pillow(tmp_path: Path) -> None:
    labels = np.arange(20 * 30).reshape(20, 30) % 256
    save_palette_png(tmp_path / "00000.png", labels)
    with Image.open(tmp_path / "00000.png") as image:
        assert (image.mode, image.size) == ("P", (30, 20))
        assert np.array_equal(np.asarray(image), labels)
        assert np.array_equal(np.array(image.getpalette()).reshape(-1, 3), PALETTE)
        assert np.array_equal(np.asarray(image.convert("RGB")), PALETTE[labels])


@pytest.mark.parametrize("wrong", [256, 1000, -1])
def test_ids_that_fit_no_palette_png(tmp_path: Path, wrong: int) -> None:
    labels = np.zeros((4, 4), np.int32)
    labels[2, 2] = wrong
    with pytest.raises(PromptError, match=rf"objects 1 to 255 .*; got object {wrong}\."):
        save_palette_png(tmp_path / "00000.png", labels)
    assert not (tmp_path / "00000.png").exists()


def test_a_palette_png_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"'00000\.png' cannot be written: No such file"):
        save_palette_png(tmp_path / "missing" / "00000.png", np.zeros((4, 4), np.uint8))
