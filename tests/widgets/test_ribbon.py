"""The score ribbon says where the model was unsure."""

import re

import pytest

from sam2_core.results import Masklet, ObjectMask
from sam2_core.rle import Rle
from widgets.ribbon import COLUMNS, score_ribbon

NOTHING = Rle.empty(1, 1)


def masklet(ious: dict[int, float], hidden: tuple[int, ...] = ()) -> Masklet:
    return {frame: ObjectMask(1, NOTHING, iou, -1.0 if frame in hidden else 1.0) for frame, iou in ious.items()}


def bars(html: str, kind: str) -> list[tuple[int, float, int]]:
    """``(column, height, columns)`` of every bar of the first lane."""
    path = re.search(rf'class="{kind}" d="([^"]*)"', html)
    assert path
    found = re.findall(r"M(\d+) 1V([\d.]+)h(\d+)V1z", path[1])
    assert path[1].count("M") == len(found)
    return [(int(column), round(1 - float(top), 2), int(count)) for column, top, count in found]


def test_bars_are_as_high_as_the_predicted_iou() -> None:
    html = score_ribbon({1: masklet({0: 0.5, 1: 0.5, 3: 1.0})}, {}, 4, 0)
    assert bars(html, "seen") == [(0, 0.5, 2), (3, 1.0, 1)]
    assert bars(html, "hidden") == []


def test_hidden_frames_are_marked_instead() -> None:
    html = score_ribbon({1: masklet({0: 0.5, 1: 0.9, 2: 0.5}, hidden=(1,))}, {}, 3, 0)
    assert bars(html, "seen") == [(0, 0.5, 1), (2, 0.5, 1)]
    assert bars(html, "hidden") == [(1, 1.0, 1)]


def test_a_bad_mask_is_still_seen() -> None:
    assert bars(score_ribbon({1: masklet({0: 0.0, 1: 3.0})}, {}, 2, 0), "seen") == [(0, 0.08, 1), (1, 1.0, 1)]


def test_a_long_video_shows_the_worst_of_each_column() -> None:
    count = 10 * COLUMNS
    ious = dict.fromkeys(range(count), 0.9) | {25: 0.3}
    html = score_ribbon({1: masklet(ious, hidden=(51,))}, {}, count, 0)
    assert bars(html, "seen") == [(0, 0.9, 2), (2, 0.3, 1), (3, 0.9, 2), (6, 0.9, COLUMNS - 6)]
    assert bars(html, "hidden") == [(5, 1.0, 1)]


@pytest.mark.parametrize(("frame", "left"), [(0, "12.500%"), (3, "87.500%")])
def test_prompts_and_playhead_stand_in_the_middle_of_their_frame(frame: int, left: str) -> None:
    html = score_ribbon({1: masklet({frame: 0.5})}, {1: (frame,)}, 4, frame)
    assert f'<i style="left:{left}"></i>' in html
    assert f'<b class="playhead" style="left:{left}"></b>' in html


def test_every_object_has_a_lane_and_no_object_an_empty_one() -> None:
    assert score_ribbon({1: {}, 4: {}}, {}, 3, 0).count('class="lane"') == 2
    assert score_ribbon({}, {}, 3, 0).count('class="lane"') == 1
