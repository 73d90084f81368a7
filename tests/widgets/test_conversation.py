"""One canvas and one session in conversation, on a fake model."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam2_core.rle import Rle
from sam2_core.session import Session
from tests.fakes import HEIGHT, WIDTH
from tests.session.working import session_in
from tests.widgets.test_protocol import JSON, NAMES, OPS
from widgets.conversation import NO_SESSION, Conversation
from widgets.protocol import Message, to_json

FRAMES = 20
CLICK = {"op": "click", "frame": 4, "obj": 1, "x": 0.3, "y": 0.5, "positive": True}
TRACK = {"op": "track", "direction": "both"}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with session_in(tmp_path, FRAMES) as made:
        yield made


def said(session: Session, **message: Any) -> list[Message]:
    """All answers."""
    batches = list(Conversation(session).answer({"v": 1, "rid": 5, **message}))
    text = to_json(batches)  # as they travel
    return [answer for batch in json.loads(text) for answer in batch]


def ops(answers: list[Message]) -> list[str]:
    return [answer["op"] for answer in answers]


def test_hello_is_answered_by_the_state(session: Session) -> None:
    (state,) = said(session, op="hello")
    assert (state["op"], state["v"], state["rid"], state["rev"]) == ("state", 1, 5, session.revision)
    assert state["clip"] == {
        "name": "fake", "width": WIDTH, "height": HEIGHT, "frames": FRAMES, "rate": 24.0, "still": False, "notice": "",
    }  # fmt: skip
    assert (state["objects"], state["job"], state["can_undo"]) == ([], None, False)
    assert state.keys() >= NO_SESSION.keys()


def test_a_click_gives_results_and_the_state(session: Session) -> None:
    results, state = said(session, **CLICK)
    assert (results["op"], results["frame"], results["rid"], state["rid"]) == ("results", 4, 5, 5)
    (mask,) = results["masks"]
    shown = Rle(HEIGHT, WIDTH, base64.b64decode(mask["rle"]))
    assert shown == session.document.result(4)[1].mask
    assert [(each["obj"], each["name"]) for each in state["objects"]] == [(1, "Object 1")]
    assert state["prompts"] == [
        {"obj": 1, "frame": 4, "points": [[0.3, 0.5, True]], "box": None, "mask": False, "candidate": 0}
    ]
    assert (state["can_undo"], state["scores"][0]["first"]) == (True, 4)


def test_masks_that_tracking_has_yet_to_reach_are_told(session: Session) -> None:
    assert said(session, **CLICK)[-1]["outdated"] == []
    assert said(session, **TRACK)[-1]["outdated"] == []
    corrected = said(session, **CLICK | {"frame": 10})[-1]
    assert corrected["outdated"] == [[1, 0, 3], [1, 5, 9], [1, 11, FRAMES - 1]]
    said(session, op="lock_frame", frame=7, obj=1, locked=True)
    assert said(session, op="sync")[-1]["outdated"] == [[1, 0, 3], [1, 5, 6], [1, 8, 9], [1, 11, FRAMES - 1]]
    assert said(session, **TRACK)[-1]["outdated"] == []


def test_scores_are_told_once_and_then_where_they_changed(session: Session) -> None:
    said(session, **CLICK)
    said(session, **TRACK)
    (everything,) = said(session, op="sync", rev=None)
    assert (everything["scores_since"], everything["scores"][0]["first"]) == (None, 0)
    known = everything["rev"]
    state = said(session, **{**CLICK, "frame": 7}, rev=known)[-1]
    (row,) = state["scores"]
    assert (state["scores_since"], row["first"], len(base64.b64decode(row["iou"]))) == (known, 7, 4)
    (nothing,) = said(session, op="edit_object", obj=1, name="cup", rev=state["rev"])
    assert nothing["scores"] == []
    cleared = said(session, op="remove_object", obj=1, rev=nothing["rev"])[-1]
    assert cleared["scores"] == []
    (undone,) = said(session, op="undo", rev=known)
    assert [np.isfinite(np.frombuffer(base64.b64decode(row["iou"]), "<f4")).sum() for row in undone["scores"]] == [
        FRAMES
    ]
    (other,) = said(session, op="undo", rev=10_000)  # of a server that was started anew
    assert other["scores_since"] is None


def test_candidates_and_the_choice_among_them(session: Session) -> None:
    said(session, **CLICK)
    (candidates,) = said(session, op="candidates", frame=4, obj=1)
    assert (candidates["chosen"], [mask["iou"] for mask in candidates["masks"]]) == (0, [0.6, 0.8, 0.7])
    results, _ = said(session, op="choose", frame=4, obj=1, candidate=3)
    assert results["masks"][0]["rle"] == candidates["masks"][2]["rle"]
    (again,) = said(session, op="candidates", frame=4, obj=1)
    assert again["chosen"] == 3
    said(session, **CLICK)
    (none,) = said(session, op="candidates", frame=4, obj=1)
    assert none["masks"] == []


def test_a_painted_mask_comes_back(session: Session) -> None:
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[8:16, 8:16] = True
    text = base64.b64encode(Rle.encode(pixels).data).decode()
    results, state = said(session, op="mask", frame=2, obj=1, rle=text)
    assert results["masks"][0]["iou"] == 1.0
    assert state["prompts"][0]["mask"] is True


def test_hovering_changes_nothing(session: Session) -> None:
    said(session, op="add_object")
    before = session.revision
    (hover,) = said(session, **{**CLICK, "op": "hover"})
    assert (hover["op"], hover["rid"], hover["obj"], hover["frame"]) == ("hover", 5, 1, 4)
    assert session.revision == before


def test_objects_are_added_and_edited(session: Session) -> None:
    (state,) = said(session, op="add_object")
    assert [each["obj"] for each in state["objects"]] == [1]
    (state,) = said(session, op="edit_object", obj=1, name="<b>", color="#FF0000", hidden=True)
    assert state["objects"] == [{"obj": 1, "name": "<b>", "color": "#ff0000", "hidden": True, "locked": False}]
    (state,) = said(session, op="undo")
    assert (state["objects"][0]["name"], state["can_redo"]) == ("Object 1", True)


def test_tracking_streams_every_frame_and_ends_with_the_state(session: Session) -> None:
    said(session, **CLICK)
    answers = said(session, **TRACK)
    assert ops(answers)[0] == "state"
    assert ops(answers)[-2:] == ["done", "state"]
    assert {answer["frame"] for answer in answers if answer["op"] == "results"} == set(range(FRAMES))
    done, state = answers[-2:]
    assert (done["status"], state["job"]) == ("finished", None)
    assert "rid" not in state
    scores = np.frombuffer(base64.b64decode(state["scores"][0]["iou"]), "<f4")
    assert (len(scores), np.isnan(scores).sum()) == (FRAMES, 0)
    revisions = [answer["rev"] for answer in answers if "rev" in answer]
    assert revisions == sorted(revisions)


def held(session: Session) -> tuple[threading.Event, Iterator[list[Message]]]:
    """Tracking that does not go on before the event is set."""
    gate, visit = threading.Event(), session._editor.tracker.visit

    def wait(*args: Any, **keywords: Any) -> Any:
        assert gate.wait(30)
        return visit(*args, **keywords)

    session._editor.tracker.visit = wait  # type: ignore[method-assign]
    return gate, Conversation(session).answer({"v": 1, "rid": 9, **TRACK})


def test_pause_resume_and_cancel(session: Session) -> None:
    said(session, **CLICK)
    gate, stream = held(session)
    assert next(stream)[0]["job"]["paused"] is False
    (state,) = said(session, op="pause")
    assert state["op"] == "state"
    gate.set()
    paused = next(m for batch in stream for m in batch if m["op"] == "progress" and m["paused"])
    assert 1 <= paused["done"] < FRAMES
    (error,) = said(session, **CLICK)
    assert (error["op"], error["code"]) == ("error", "PromptError")
    said(session, op="resume")
    said(session, op="cancel")
    ends = [m for batch in stream for m in batch if m["op"] == "done"]
    assert len(ends) == 1
    assert ends[0]["status"] in ("cancelled", "finished")


def test_whoever_comes_back_follows_the_tracking_that_goes_on(session: Session) -> None:
    said(session, **CLICK)
    gate, stream = held(session)
    assert next(stream)[0]["op"] == "state"
    del stream  # the page was reloaded
    back = Conversation(session).answer({"v": 1, "rid": 1, "op": "hello"})
    (state,) = next(back)
    assert state["job"] is not None
    gate.set()
    rest = [message for batch in back for message in batch]
    assert ops(rest)[-2:] == ["done", "state"]
    assert {m["frame"] for m in rest if m["op"] == "results"} == set(range(FRAMES))


def test_a_job_that_is_over_before_anyone_listens_is_told_whole(session: Session) -> None:
    said(session, **CLICK)
    answers = Conversation(session).answer({"v": 1, "rid": 7, **TRACK})
    assert [(each["op"], each["rid"]) for each in next(answers)] == [("state", 7)]
    session.wait_for_job()
    told = [each for batch in answers for each in batch]
    assert {each["frame"] for each in told if each["op"] == "results"} == set(range(FRAMES))
    assert [(each["op"], each.get("status")) for each in told[-2:]] == [("done", "finished"), ("state", None)]


def test_nothing_is_told_of_a_job_that_ended_long_ago(session: Session) -> None:
    said(session, **CLICK)
    session.track().wait()
    assert ops(said(session, op="hello")) == ["state"]


def test_masks_of_frames_that_are_there(session: Session) -> None:
    said(session, **CLICK)
    answers = said(session, op="masks", first=3, last=10**6)
    assert [answer["frame"] for answer in answers] == list(range(3, FRAMES))
    assert [len(answer["masks"]) for answer in answers] == [0, 1, *[0] * (FRAMES - 5)]
    assert session.playhead == 3


@pytest.mark.parametrize(
    "message",
    [
        None,
        {"v": 1, "op": "frame", "frame": FRAMES},
        {"v": 1, "op": "undone"},
        {"v": 1, **CLICK, "frame": FRAMES},
        {"v": 1, **TRACK},
        {"v": 1, "op": "choose", "frame": 0, "obj": 1, "candidate": 1},
        {"v": 1, "op": "remove_object", "obj": 4},
    ],
)
def test_what_cannot_be_done_is_one_error(session: Session, message: object) -> None:
    before = session.document
    ((error,),) = Conversation(session).answer(message)
    assert error["op"] == "error"
    assert error["message"]
    assert session.document is before


def test_pausing_nothing_is_harmless(session: Session) -> None:
    for op in ("pause", "resume", "cancel", "undo", "redo", "sync"):
        assert ops(said(session, op=op)) == ["state"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPS, st.dictionaries(NAMES, st.integers(0, 3) | st.floats(0, 1) | st.booleans() | JSON))
def test_nothing_but_messages_comes_back(session: Session, op: str, fields: dict[str, Any]) -> None:
    for batch in Conversation(session).answer({**fields, "v": 1, "op": op}):
        to_json(batch)
