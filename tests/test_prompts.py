"""Prompts: what can be meant gets through, and everything else is one clear error."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import PromptError, Sam2Error
from sam2_core.prompts import CANDIDATES, Box, Point, Prompt
from sam2_core.rle import Rle

inside = st.floats(0, 1)
anywhere = st.floats()
points = st.builds(Point, inside, inside, st.booleans())
MASK = Rle.encode(np.eye(4))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x0, x1 = sorted(draw(st.lists(inside, min_size=2, max_size=2, unique=True)))
    y0, y1 = sorted(draw(st.lists(inside, min_size=2, max_size=2, unique=True)))
    return Box(x0, y0, x1, y1)


@given(anywhere, anywhere)
def test_a_point_lies_inside_the_frame(x: float, y: float) -> None:
    if 0 <= x <= 1 and 0 <= y <= 1:
        assert (Point(x, y).x, Point(x, y).y) == (x, y)
    else:
        with pytest.raises(PromptError, match="must lie inside the frame, between 0 and 1; got"):
            Point(x, y)


def test_a_click_is_positive_unless_said_otherwise() -> None:
    assert Point(0.5, 0.5).positive
    assert not Point(0.5, 0.5, positive=False).positive


@given(anywhere, anywhere, anywhere, anywhere)
def test_a_box_lies_inside_the_frame_and_has_an_area(x0: float, y0: float, x1: float, y1: float) -> None:
    if 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1:
        assert Box(x0, y0, x1, y1) == Box(x0, y0, x1, y1)
    else:
        with pytest.raises(PromptError):
            Box(x0, y0, x1, y1)


@given(boxes())
def test_a_box_from_its_wrong_corner_says_what_came(box: Box) -> None:
    with pytest.raises(PromptError, match="from its top-left to its bottom-right corner"):
        Box(box.x1, box.y1, box.x0, box.y0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1e-9, 1 + 1e-9])
@pytest.mark.parametrize("place", range(4))
def test_each_side_of_a_box_is_checked(place: int, value: float) -> None:
    sides = [0.1, 0.2, 0.8, 0.9]
    sides[place] = value
    with pytest.raises(PromptError, match=rf"a box's {('x0', 'y0', 'x1', 'y1')[place]} must lie inside"):
        Box(*sides)


def test_a_prompt_says_something() -> None:
    with pytest.raises(PromptError, match="at least one point, a box or a mask; got none"):
        Prompt()
    with pytest.raises(PromptError):
        Prompt(candidate=1)


@given(st.lists(points, max_size=5), st.none() | boxes(), st.sampled_from([None, MASK]))
def test_points_box_and_mask_mix_freely(clicks: list[Point], box: Box | None, mask: Rle | None) -> None:
    if not clicks and box is None and mask is None:
        return
    prompt = Prompt(tuple(clicks), box, mask)
    assert prompt.label_count == len(clicks) + (2 if box else 0)


@given(st.integers())
def test_a_candidate_is_one_of_three(candidate: int) -> None:
    if 0 <= candidate < CANDIDATES:
        assert Prompt((Point(0, 0),), candidate=candidate).candidate == candidate
    else:
        with pytest.raises(PromptError, match=f"there are 3 candidates, numbered from 0; got {candidate}"):
            Prompt((Point(0, 0),), candidate=candidate)


@given(st.lists(points, max_size=4), st.none() | boxes(), points)
def test_another_click_comes_last_and_drops_the_choice(clicks: list[Point], box: Box | None, click: Point) -> None:
    before = Prompt(tuple(clicks), box, MASK, candidate=2)
    after = before.with_point(click)
    assert after == Prompt((*clicks, click), box, MASK)
    assert after.label_count == before.label_count + 1
    assert before.candidate == 2


def test_prompts_are_values() -> None:
    prompt = Prompt((Point(0.25, 0.5),))
    assert hash(prompt) == hash(Prompt((Point(0.25, 0.5),)))
    with pytest.raises(FrozenInstanceError):
        prompt.candidate = 1


def test_a_prompt_error_is_both_ours_and_a_value_error() -> None:
    assert issubclass(PromptError, Sam2Error)
    assert issubclass(PromptError, ValueError)
