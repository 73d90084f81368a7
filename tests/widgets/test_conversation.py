"""What a canvas is told, and when."""

from pathlib import Path

from tests.session.working import click, session_in
from widgets.conversation import Conversation


def test_a_job_that_is_over_before_anyone_listens_is_told_whole(tmp_path: Path) -> None:
    with session_in(tmp_path, 5) as session:
        session.do(click())
        answers = Conversation(session).answer({"v": 1, "rid": 7, "op": "track", "direction": "both"})
        assert [(each["op"], each["rid"]) for each in next(answers)] == [("state", 7)]
        session.wait_for_job()
        told = [each for batch in answers for each in batch]
        assert {each["frame"] for each in told if each["op"] == "results"} == {0, 1, 2, 3, 4}
        assert [(each["op"], each.get("status")) for each in told[-2:]] == [("done", "finished"), ("state", None)]


def test_nothing_is_told_of_a_job_that_ended_long_ago(tmp_path: Path) -> None:
    with session_in(tmp_path, 5) as session:
        session.do(click())
        session.track().wait()
        (batch,) = Conversation(session).answer({"v": 1, "rid": 8, "op": "hello"})
        assert [each["op"] for each in batch] == ["state"]
