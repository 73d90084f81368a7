"""Whatever a browser sends becomes a prompt or one clear error."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import PromptError, ProtocolError
from sam2_core.prompts import Box, Point
from widgets.protocol import FramePrompt, parse_index, parse_prompt

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["frame", "x", "y", "x0", "y0", "x1", "y1", "positive"])


def test_a_click_and_a_box() -> None:
    click = {"frame": 3, "x": 0.25, "y": 1, "positive": False}
    assert parse_prompt(click) == FramePrompt(3, Point(0.25, 1.0, positive=False))
    box = {"frame": "4", "x0": 0.1, "y0": 0.2, "x1": 0.3, "y1": 0.4}
    assert parse_prompt(box) == FramePrompt(4, Box(0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize(
    "change",
    [{"x": "0.5"}, {"x": None}, {"x": True}, {"positive": 1}, {"frame": 1.5}, {"frame": "1e9"}, {"frame": 10**9}],
)
def test_a_message_with_something_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        parse_prompt({"frame": 0, "x": 0.5, "y": 0.5, "positive": True, **change})


@pytest.mark.parametrize("x", [math.nan, math.inf, -0.1, 1.1])
def test_a_click_beside_the_frame_is_refused(x: float) -> None:
    with pytest.raises(PromptError, match="inside the frame"):
        parse_prompt({"frame": 0, "x": x, "y": 0.5, "positive": True})


def test_a_box_without_area_is_refused() -> None:
    with pytest.raises(PromptError, match="has an area"):
        parse_prompt({"frame": 0, "x0": 0.5, "y0": 0.2, "x1": 0.5, "y1": 0.4})


@given(st.dictionaries(NAMES, JSON))
def test_any_json_is_a_prompt_or_an_error(message: dict[str, object]) -> None:
    with contextlib.suppress(ProtocolError, PromptError):
        assert isinstance(parse_prompt(message), FramePrompt)


@given(st.text() | st.integers())
def test_an_index_is_what_it_says(value: str | int) -> None:
    with contextlib.suppress(ProtocolError):
        assert parse_index({"pick": value}, "pick") == int(value)
