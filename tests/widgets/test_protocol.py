"""Whatever a browser sends becomes a request or one clear error."""

from __future__ import annotations

import base64
import contextlib
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import PromptError, ProtocolError, Sam2Error
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import ObjectMask
from sam2_core.rle import Rle
from sam2_core.session import JobStatus, Progress
from sam2_core.session.commands import (
    AddPoint,
    Choose,
    ClearFrame,
    EditObject,
    LockFrame,
    PromptKind,
    Redo,
    RemoveObject,
    RemovePrompt,
    SetBox,
    SetMask,
    Track,
    Undo,
)
from sam2_core.tracking.policies import Direction
from widgets import protocol
from widgets.protocol import Ask, Hover, ShowCandidates, ShowFrame, ShowMasks, parse, parse_pick, reply_number, requests

WIDTH, HEIGHT = 4, 3
DISC = Rle(HEIGHT, WIDTH, np.array([2, 3, 7], "<u4").tobytes())
RLE = base64.b64encode(DISC.data).decode()
HERE = {"frame": 3, "obj": 2}
CLICK = {"op": "click", **HERE, "x": 0.25, "y": 1, "positive": False}
BOX = {"op": "box", **HERE, "x0": 0.1, "y0": 0.2, "x1": 0.3, "y1": 0.4}
MASK = {"op": "mask", **HERE, "rle": RLE}
EDIT = {"op": "edit_object", "obj": 2}


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        ({"op": "hello", "token": "x"}, Ask.HELLO),
        ({"op": "sync"}, Ask.SYNC),
        ({"op": "add_object"}, Ask.ADD_OBJECT),
        ({"op": "pause"}, Ask.PAUSE),
        ({"op": "resume"}, Ask.RESUME),
        ({"op": "cancel"}, Ask.CANCEL),
        (CLICK, AddPoint(2, 3, Point(0.25, 1.0, positive=False))),
        (BOX, SetBox(2, 3, Box(0.1, 0.2, 0.3, 0.4))),
        (MASK, SetMask(2, 3, DISC)),
        ({"op": "choose", **HERE, "candidate": 3}, Choose(2, 3, 2)),
        ({"op": "remove_prompt", **HERE, "kind": "point", "index": 1}, RemovePrompt(2, 3, PromptKind.POINT, 1)),
        ({"op": "remove_prompt", **HERE, "kind": "box"}, RemovePrompt(2, 3, PromptKind.BOX)),
        ({"op": "clear", **HERE}, ClearFrame(2, 3)),
        ({"op": "lock_frame", **HERE, "locked": True}, LockFrame(2, 3, locked=True)),
        ({**EDIT, "name": "a <b>", "color": "#AABBCC"}, EditObject(2, name="a <b>", colour="#aabbcc")),
        ({**EDIT, "hidden": True, "locked": False}, EditObject(2, hidden=True, locked=False)),
        ({"op": "remove_object", "obj": 2}, RemoveObject(2)),
        ({"op": "track", "direction": "both"}, Track()),
        (
            {"op": "track", "direction": "backward", "first": 2, "last": 9, "objects": [1, 4]},
            Track(Direction.BACKWARD, 2, 9, (1, 4)),
        ),
        ({"op": "undo"}, Undo()),
        ({"op": "redo"}, Redo()),
        ({**CLICK, "op": "hover"}, Hover(2, 3, Point(0.25, 1.0, positive=False))),
        ({"op": "masks", "first": 5, "last": 9}, ShowMasks(5, 9)),
        ({"op": "masks", "first": 0, "last": 10**9}, ShowMasks(0, 63)),
        ({"op": "candidates", **HERE}, ShowCandidates(2, 3)),
        ({"op": "frame", "frame": 3}, ShowFrame(3)),
    ],
)
def test_a_message_means_what_it_says(message: dict[str, object], request_: object) -> None:
    assert parse({"v": 1, **message}, WIDTH, HEIGHT) == request_


@pytest.mark.parametrize(
    "message",
    [
        None, [], "click", 7, {}, {"v": 1}, {"op": "sync"}, {"v": 2, "op": "sync"}, {"v": "1", "op": "sync"},
        {"v": True, "op": "sync"},
        *({"v": 1, "op": op} for op in ("", "use_model", "__class__", "x" * 10**6, None, 7, ["sync"], {}, "click")),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(message: object) -> None:
    with pytest.raises(ProtocolError):
        parse(message, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "message",
    [
        *({**CLICK, "x": x} for x in ("0.5", None, True, [0.5], -0.1, 1.1, math.nan, math.inf, -math.inf, 10**400)),
        *({**CLICK, "frame": frame} for frame in (-1, 1.0, "1", None, True, 10**7 + 1, 10**30, math.nan)),
        *({**CLICK, "obj": obj} for obj in (0, -1, 256, 1.0, "1", None, 10**30)),
        *({**CLICK, "positive": positive} for positive in (1, "true", None)),
        {**BOX, "x1": 0.1}, {**BOX, "x1": 0.05}, {**BOX, "y1": 2}, {**BOX, "y1": None},
        *({**MASK, "rle": rle} for rle in (None, 7, "", "AAAA", "!" + RLE, RLE + RLE, "é", RLE[:-4], "A" * 9_000_000)),
        *({"op": "choose", **HERE, "candidate": candidate} for candidate in (0, 4, "1", None)),
        *({"op": "remove_prompt", **HERE, "kind": kind} for kind in ("mouse", None, 1, ["point"])),
        *({**EDIT, "name": name} for name in ("", " ", "x" * 81, "a\nb", 7, "\x00")),
        *({**EDIT, "color": color} for color in ("red", "#12345", "#12345g", "url(x)", 7)),
        {**EDIT, "hidden": 1}, {**EDIT, "locked": "yes"},
        {"op": "lock_frame", **HERE}, {"op": "remove_object", "obj": 0},
        *({"op": "track", "direction": direction} for direction in ("up", None, 1)),
        {"op": "track", "direction": "both", "first": 9, "last": 2},
        *({"op": "track", "direction": "both", "objects": ids} for ids in ("1", [0], [1.5], [[1]], [1] * 1001, {})),
        {"op": "masks", "first": 0}, {"op": "masks", "first": "0", "last": 1}, {"op": "masks", "first": 10**10},
        {"op": "candidates", "frame": 0}, {"op": "frame", "frame": None},
    ],
    ids=lambda message: str(message)[:60],
)  # fmt: skip
def test_a_message_with_something_else_in_it_is_refused(message: dict[str, object]) -> None:
    with pytest.raises((ProtocolError, PromptError)) as error:
        parse({"v": 1, **message}, WIDTH, HEIGHT)
    assert len(str(error.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
OPS = st.sampled_from([*requests._ASKS, *requests._PARSERS, "mask"])
NAMES = st.sampled_from(
    ["token", "frame", "obj", "x", "y", "positive", "x0", "y0", "x1", "y1", "rle", "candidate", "kind", "index", "name",
     "color", "hidden", "locked", "direction", "first", "last", "objects"]
)  # fmt: skip


@given(JSON)
def test_any_json_is_a_request_or_an_error(message: Any) -> None:
    reply_number(message)
    with contextlib.suppress(Sam2Error):
        parse(message, WIDTH, HEIGHT)


@given(OPS, st.dictionaries(NAMES, JSON | st.integers(0, 9) | st.floats(0, 1)))
def test_any_fields_are_a_request_or_an_error(op: str, fields: dict[str, Any]) -> None:
    with contextlib.suppress(Sam2Error):
        parse({**fields, "v": 1, "op": op}, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("message", "number"), [({"rid": 7}, 7), ({"rid": "7"}, None), ({"rid": True}, None), ([], None)]
)
def test_an_answer_carries_the_number_of_the_question(message: object, number: int | None) -> None:
    assert reply_number(message) == number


@given(st.text() | st.integers() | st.none())
def test_a_pick_is_what_it_says(value: str | int | None) -> None:
    with contextlib.suppress(ProtocolError):
        assert parse_pick({"pick": value}) == int(value or "")


# From the host


def floats(text: str) -> list[float]:
    return [float(number) for number in np.frombuffer(base64.b64decode(text), "<f4")]


def test_results_and_candidates_carry_run_lengths() -> None:
    mask = ObjectMask(2, DISC, 0.123456, -3.98764)
    assert protocol.result_message(5, [mask]) == {
        "op": "results", "frame": 5, "masks": [{"obj": 2, "rle": DISC.data, "iou": 0.1235, "score": -3.9876}],
    }  # fmt: skip
    assert protocol.hover_message(5, mask) == {"op": "hover", "frame": 5, "obj": 2, "rle": DISC.data, "iou": 0.1235}
    for chosen, told in ((None, 0), (2, 3)):
        message = protocol.candidates_message(2, 5, [mask], chosen)
        assert (message["chosen"], message["masks"]) == (told, [{"rle": DISC.data, "iou": 0.1235}])


def test_bytes_travel_as_text_or_as_buffers() -> None:
    message = protocol.result_message(5, [ObjectMask(2, DISC, 0.5, 1.0), ObjectMask(3, DISC, 0.5, 1.0)])
    assert [mask["rle"] for mask in json.loads(protocol.to_json(message))["masks"]] == [RLE, RLE]
    lifted, buffers = protocol.with_buffers(message)
    assert [mask["rle_buffer"] for mask in lifted["masks"]] == [0, 1]
    assert buffers == [DISC.data, DISC.data]
    assert "rle" in message["masks"][0]
    assert protocol.with_buffers(protocol.frame_message(7, b"jpeg")) == (
        {"op": "frame", "frame": 7, "jpeg_buffer": 0}, [b"jpeg"],
    )  # fmt: skip


def test_what_is_not_a_number_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        protocol.to_json({"iou": math.nan})


def test_scores_have_a_gap_where_there_is_no_mask() -> None:
    masks = {frame: ObjectMask(2, DISC, 0.5 + frame / 8, -float(frame)) for frame in (2, 4)}
    message = protocol.score_fields(2, masks, range(2, 5))
    assert (message["obj"], message["first"]) == (2, 2)
    assert floats(message["iou"]) == pytest.approx([0.75, math.nan, 1.0], nan_ok=True)
    assert floats(message["score"]) == pytest.approx([-2, math.nan, -4], nan_ok=True)
    assert floats(protocol.score_fields(2, {}, range(0))["iou"]) == []


def test_a_prompt_is_all_that_was_said() -> None:
    prompt = Prompt((Point(0.1, 0.2), Point(0.3, 0.4, positive=False)), Box(0, 0, 0.5, 0.5), DISC)
    assert protocol.prompt_fields(2, 5, prompt) == {
        "obj": 2, "frame": 5, "points": [[0.1, 0.2, True], [0.3, 0.4, False]], "box": [0, 0, 0.5, 0.5], "mask": True,
        "candidate": 0,
    }  # fmt: skip


def test_progress_and_its_end() -> None:
    paused = Progress(JobStatus.PAUSED, 5, 20, 7, 2.5)
    assert protocol.progress_message(paused) == {
        "op": "progress", "done": 5, "total": 20, "frame": 7, "seconds": 2.5, "eta": 7.5, "paused": True,
    }  # fmt: skip
    assert protocol.progress_message(Progress(JobStatus.RUNNING))["eta"] is None
    assert protocol.done_message(Progress(JobStatus.CANCELLED)) == {"op": "done", "status": "cancelled"}
    assert protocol.done_message(Progress(JobStatus.FAILED, message="why"))["message"] == "why"


def test_an_error_begins_like_a_sentence() -> None:
    assert protocol.error_message(PromptError("a box has an area."))["message"] == "A box has an area."
    assert protocol.error_message(PromptError("'x.mp4' is empty."))["message"] == "'x.mp4' is empty."
    assert protocol.error_message(ProtocolError(""))["code"] == "ProtocolError"
