"""Commands as JSON: what is written is read, and nothing else is."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sam2_core.errors import ProjectError, PromptError
from sam2_core.prompts import Box, Point
from sam2_core.rle import Rle
from sam2_core.session.command_json import from_json, to_json
from sam2_core.session.commands import (
    AddPoint,
    Choose,
    Command,
    EditObject,
    PromptKind,
    Redo,
    RemovePrompt,
    SetBox,
    SetMask,
    Track,
    Undo,
    UseModel,
)
from sam2_core.tracking import Direction
from tests.session.test_history import edits, tracks


@given(st.one_of(edits, tracks, st.sampled_from([Undo(), Redo(), UseModel("pocket")])))
def test_what_is_written_is_read(command: Command) -> None:
    line = to_json(command)
    assert "\n" not in line
    assert from_json(line) == command


def test_a_line_is_for_people_too() -> None:
    assert to_json(AddPoint(1, 2, Point(0.25, 0.5, positive=False))) == (
        '{"do": "add_point", "object_id": 1, "frame_index": 2, "point": [0.25, 0.5, false]}'
    )


def test_a_command_as_python_is_itself() -> None:
    kinds: list[type] = [
        AddPoint,
        Box,
        Direction,
        EditObject,
        Point,
        PromptKind,
        RemovePrompt,
        Rle,
        SetBox,
        SetMask,
        Track,
    ]
    names = {kind.__name__: kind for kind in kinds}
    for command in (
        AddPoint(1, 2, Point(0.1, 1 / 3)),
        SetBox(1, 2, Box(0, 0, 0.5, 1)),
        SetMask(1, 2, Rle.empty(3, 4)),
        RemovePrompt(1, 2, PromptKind.BOX),
        EditObject(1, name="a 'quoted' \"name\""),
        Track(Direction.BACKWARD, objects=(1, 2)),
    ):
        assert eval(repr(command), names) == command


GOOD = json.loads(to_json(AddPoint(1, 2, Point(0.25, 0.5))))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "7",
        '"undo"',
        '{"do": "format_disk"}',
        '{"do": ["undo"]}',
        '{"do": "undo", "twice": true}',
        '{"do": "undo"',
        "[" * 100_000,
        json.dumps({**GOOD, "object_id": "1"}),
        json.dumps({**GOOD, "object_id": True}),
        json.dumps({**GOOD, "object_id": 0}),
        json.dumps({**GOOD, "object_id": 256}),
        json.dumps({**GOOD, "frame_index": -1}),
        json.dumps({**GOOD, "frame_index": 10**12}),
        json.dumps({**GOOD, "frame_index": 1.0}),
        json.dumps({**GOOD, "point": [0.5]}),
        json.dumps({**GOOD, "point": [0.5, 2.0, True]}),
        json.dumps({**GOOD, "point": [0.5, 0.5, 1]}),
        json.dumps({**GOOD, "point": {"x": 1}}),
        '{"do": "add_point", "object_id": 1, "frame_index": 2, "point": [NaN, 0.5, true]}',
        '{"do": "add_point", "object_id": 1, "frame_index": 2, "point": [1e999, 0.5, true]}',
        json.dumps({**GOOD, "point": [10**400, 0.5, True]}),
        json.dumps({"do": "set_box", "object_id": 1, "frame_index": 0, "box": [0.5, 0.5, 0.5, 0.6]}),
        json.dumps({"do": "set_mask", "object_id": 1, "frame_index": 0, "mask": [2, 2, "!!!!"]}),
        json.dumps({"do": "set_mask", "object_id": 1, "frame_index": 0, "mask": [2, 2, "AAAAAA=="]}),
        json.dumps({"do": "set_mask", "object_id": 1, "frame_index": 0, "mask": [10**6, 4294, "/////w=="]}),
        json.dumps({"do": "choose", "object_id": 1, "frame_index": 0, "candidate": 3}),
        json.dumps(
            {"do": "edit_object", "object_id": 1, "name": "x" * 81, "colour": None, "hidden": None, "locked": 1}
        ),
        json.dumps({"do": "remove_prompt", "object_id": 1, "frame_index": 0, "kind": "mouth", "index": 0}),
        json.dumps({"do": "track", "direction": "up", "first": 0, "last": 1, "objects": None, "frames": None}),
        json.dumps({"do": "track", "direction": "both", "first": 5, "last": 1, "objects": None, "frames": None}),
        json.dumps({"do": "track", "direction": "both", "first": 0, "last": 1, "objects": [0], "frames": None}),
        json.dumps({"do": "use_model", "name": "../../etc/passwd\n"}),
    ],
)
def test_everything_else_is_one_sentence(line: str) -> None:
    with pytest.raises(ProjectError, match="cannot be read"):
        from_json(line)


def test_a_huge_mask_is_refused_before_it_is_drawn() -> None:
    huge = Rle(60_000, 60_000, (3_600_000_000).to_bytes(4, "little"))
    with pytest.raises(PromptError, match="16,777,216 pixels at most"):
        SetMask(1, 0, huge)


def test_choices_count_from_0() -> None:
    with pytest.raises(PromptError, match="0 to 2; got 3"):
        Choose(1, 0, 3)
