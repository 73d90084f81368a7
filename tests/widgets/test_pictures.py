"""Pictures for people: sizes, places and colours."""

import numpy as np
import pytest

from sam2_core.media import object_colour
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import FrameResult, ObjectMask
from sam2_core.rle import Rle
from widgets.pictures import annotated_frame, candidate_thumbnails, data_url, thumbnail

GREY = np.full((100, 200, 3), 128, np.uint8)


def mask(rows: slice, columns: slice, object_id: int = 1, shape: tuple[int, int] = (100, 200)) -> ObjectMask:
    pixels = np.zeros(shape, bool)
    pixels[rows, columns] = True
    return ObjectMask(object_id, Rle.encode(pixels), 0.9, 3.0)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((100, 200), (480, 960)),
        ((720, 1280), (720, 1280)),
        ((2160, 3840), (720, 1280)),
        ((1000, 10), (1000, 10)),
        ((1, 3000), (1, 1280)),
    ],
)
def test_a_frame_is_shown_at_a_size_that_suits_a_page(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert annotated_frame(np.zeros((*size, 3), np.uint8)).shape == (*shown, 3)


def test_a_mask_tints_its_own_pixels_only() -> None:
    picture = annotated_frame(GREY, FrameResult(0, (mask(slice(20, 60), slice(40, 80)),)))
    expected = (np.array(object_colour(1)) + 128) / 2
    assert np.allclose(picture[40 * 4 + 40, 60 * 4], expected, atol=2)  # 960 / 200 = 4.8 pixels for each
    assert (picture[400:, 600:] == 128).all()


def test_clicks_are_green_and_red_where_they_were_made() -> None:
    points = Point(0.25, 0.5), Point(0.75, 0.5, positive=False)
    picture = annotated_frame(GREY, None, {1: Prompt(points=points)})
    green, red = picture[240 - 8, 240].astype(int), picture[240 - 8, 720].astype(int)
    assert green[1] > 2 * green[0]
    assert red[0] > 2 * red[1]
    assert (picture[:200] == 128).all()
    assert (picture[240, 240] == 255).all()  # the sign


def test_a_box_is_drawn_in_its_objects_colour() -> None:
    picture = annotated_frame(GREY, None, {3: Prompt(box=Box(0.25, 0.25, 0.75, 0.75))})
    assert tuple(picture[240, 241]) == object_colour(3)
    assert (picture[240, 480] == 128).all()


def test_candidates_show_the_same_part_of_the_frame() -> None:
    candidates = mask(slice(40, 50), slice(100, 110)), mask(slice(30, 60), slice(90, 130))
    small, large = candidate_thumbnails(GREY, candidates)
    assert small.shape == large.shape == (144, 192, 3)
    assert 0 < (small != 128).any(axis=2).mean() < (large != 128).any(axis=2).mean() < 1


def test_candidates_may_be_empty_or_everything() -> None:
    nothing, everything = mask(slice(0, 0), slice(0, 0)), mask(slice(None), slice(None))
    assert [picture.shape for picture in candidate_thumbnails(GREY, [nothing])] == [(144, 192, 3)]
    assert [picture.shape for picture in candidate_thumbnails(GREY, [nothing, everything])] == [(144, 192, 3)] * 2


def test_candidates_of_a_tiny_frame() -> None:
    assert candidate_thumbnails(GREY[:1, :1], [mask(slice(0, 1), slice(0, 1), shape=(1, 1))])[0].shape == (144, 192, 3)


def test_thumbnails_keep_proportions() -> None:
    assert thumbnail(GREY, 50).shape == (25, 50, 3)
    assert data_url(GREY).startswith("data:image/jpeg;base64,/9j/")
