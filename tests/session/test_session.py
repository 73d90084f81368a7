"""One clip that someone works on: prompts, the way back, tracking that gives way."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sam2_core.errors import PromptError, SessionLimit, SessionNotFound
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.results import Masklet
from sam2_core.session import Session
from sam2_core.session.scheduler import Turns
from sam2_core.tracking.policies import Direction
from tests.tracking.toys import toy_clip, toy_model

HERE, THERE = Point(0.3, 0.4), Point(0.7, 0.6)
Open = Callable[..., Session]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens sessions on a toy clip."""
    sessions = []

    def make(frames: int = 8, most_objects: int = 3, turns: Turns | None = None) -> Session:
        folder = tmp_path / str(len(sessions))
        folder.mkdir()
        session = Session(
            "token", toy_clip(frames), folder, "pocket", toy_model(), turns or Turns(), most_objects=most_objects
        )
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


def tracked(session: Session) -> dict[int, Masklet]:
    """Track to the end; all masks."""
    for _ in session.track():
        pass
    return session.masklets()


def test_a_click_gives_a_mask_and_three_candidates(opened: Open) -> None:
    session = opened()
    session.add_point(1, 2, HERE)
    assert session.result(2)[1].mask.height == session.video.height
    assert session.prompts(2) == {1: Prompt(points=(HERE,))}
    assert session.prompted_frames() == {1: (2,)}
    candidates = session.candidates(1, 2)
    assert len(candidates) == 3
    assert session.result(2)[1].predicted_iou == max(c.predicted_iou for c in candidates)


def test_a_choice_among_candidates_is_the_mask(opened: Open) -> None:
    session = opened()
    session.add_point(1, 0, HERE)
    for k, candidate in enumerate(session.candidates(1, 0)):
        session.choose(1, 0, k)
        assert session.result(0)[1].predicted_iou == candidate.predicted_iou
        assert session.prompts(0)[1].candidate == k


def test_only_an_ambiguous_prompt_has_candidates(opened: Open) -> None:
    session = opened()
    assert session.candidates(1, 0) == ()
    session.set_box(1, 0, Box(0.2, 0.2, 0.6, 0.7))
    assert session.candidates(1, 0) == ()
    session.add_point(2, 0, HERE)
    session.add_point(2, 0, THERE)
    assert session.candidates(2, 0) == ()


def test_a_box_replaces_a_box_and_keeps_the_clicks(opened: Open) -> None:
    session = opened()
    session.add_point(1, 0, HERE)
    session.choose(1, 0, 2)
    session.set_box(1, 0, Box(0.1, 0.1, 0.5, 0.5))
    session.set_box(1, 0, Box(0.2, 0.2, 0.6, 0.7))
    assert session.prompts(0)[1] == Prompt(points=(HERE,), box=Box(0.2, 0.2, 0.6, 0.7))


def test_choosing_where_nothing_was_said_is_an_error(opened: Open) -> None:
    with pytest.raises(PromptError, match="click it first"):
        opened().choose(1, 0, 0)


# The way back -------------------------------------------------------------------------------------------------------


def test_every_step_can_be_undone_and_redone_exactly(opened: Open) -> None:
    session = opened()
    steps: list[Callable[[], object]] = [
        lambda: session.add_point(1, 0, HERE),
        lambda: session.choose(1, 0, 2),
        lambda: session.add_point(1, 0, Point(0.5, 0.5, positive=False)),
        lambda: session.set_box(2, 3, Box(0.2, 0.2, 0.6, 0.7)),
        lambda: tracked(session),
        lambda: session.add_point(1, 5, THERE),
        lambda: tracked(session),
        lambda: session.clear(2, 3),
        lambda: session.remove_object(1),
    ]
    states = [session.masklets()]
    for step in steps:
        step()
        states.append(session.masklets())
    for state in reversed(states[:-1]):
        session.undo()
        assert session.masklets() == state
    assert not session.can_undo
    for state in states[1:]:
        session.redo()
        assert session.masklets() == state
    assert not session.can_redo


def test_what_was_undone_leaves_no_trace(opened: Open) -> None:
    one, other = opened(), opened()
    for session, undone in ((one, Point(0.9, 0.9)), (other, Point(0.1, 0.8))):
        session.add_point(1, 2, HERE)
        tracked(session)
        session.add_point(1, 4, undone)
        tracked(session)
        session.undo()
        session.undo()
        session.add_point(1, 6, THERE)
    assert tracked(one) == tracked(other)


def test_a_failed_step_leaves_nothing_to_undo(opened: Open) -> None:
    session = opened(frames=4)
    with pytest.raises(PromptError):
        session.add_point(1, 4, HERE)
    assert not session.can_undo
    assert session.object_ids == ()


def test_something_new_ends_redo(opened: Open) -> None:
    session = opened()
    session.add_point(1, 0, HERE)
    session.undo()
    assert session.can_redo
    session.add_point(1, 0, THERE)
    assert not session.can_redo


def test_undo_with_nothing_to_undo_does_nothing(opened: Open) -> None:
    session = opened()
    session.undo()
    session.redo()
    assert session.masklets() == {}


# Objects ------------------------------------------------------------------------------------------------------------


def test_a_number_is_offered_until_it_is_used(opened: Open) -> None:
    session = opened()
    assert [session.new_object(), session.new_object()] == [1, 1]
    session.add_point(1, 0, HERE)
    assert session.new_object() == 2
    session.remove_object(1)
    assert session.new_object() == 2


def test_an_id_is_never_given_twice(opened: Open) -> None:
    session = opened()
    first = session.new_object()
    session.add_point(first, 0, HERE)
    session.remove_object(first)
    session.add_point(7, 0, HERE)
    assert (first, session.new_object()) == (1, 8)


def test_objects_are_limited(opened: Open) -> None:
    session = opened(most_objects=2)
    session.add_point(1, 0, HERE)
    session.add_point(2, 0, HERE)
    with pytest.raises(SessionLimit, match="2 objects"):
        session.add_point(3, 0, HERE)
    with pytest.raises(SessionLimit):
        session.new_object()
    session.remove_object(1)
    session.add_point(3, 0, HERE)
    with pytest.raises(SessionLimit, match="numbered up to 255"):
        opened().add_point(256, 0, HERE)


# Tracking -----------------------------------------------------------------------------------------------------------


def test_tracking_counts_its_frames_and_fills_the_clip(opened: Open) -> None:
    session = opened(frames=6)
    session.add_point(1, 2, HERE)
    steps = list(session.track())
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6]
    assert {step.total for step in steps} == {6}
    assert [step.result.frame_index for step in steps] == [2, 3, 4, 5, 1, 0]
    assert sorted(session.masklets()[1]) == [0, 1, 2, 3, 4, 5]
    assert [result.objects[0].object_id for result in session.results()] == [1] * 6


def test_forward_leaves_the_past_alone(opened: Open) -> None:
    session = opened(frames=6)
    session.add_point(1, 2, HERE)
    assert len(list(session.track(Direction.FORWARD))) == 4
    assert sorted(session.masklets()[1]) == [2, 3, 4, 5]


def test_cancel_stops_before_the_next_frame_and_keeps_finished_masks(opened: Open) -> None:
    session = opened()
    session.add_point(1, 0, HERE)
    seen = []
    for step in session.track():
        seen.append(step.result[1])
        if step.done == 3:
            session.cancel()
    assert len(seen) == 3
    assert list(session.masklets()[1].values()) == seen
    assert not session.tracking
    assert len(tracked(session)[1]) == 8


def test_a_correction_stays_when_tracked_again(opened: Open) -> None:
    session = opened()
    session.add_point(1, 0, HERE)
    before = tracked(session)[1]
    session.add_point(1, 4, THERE)
    corrected = session.result(4)[1]
    after = tracked(session)[1]
    assert after[4] == corrected
    assert after[3] != before[3]
    assert after[5] != before[5]


def test_nothing_else_changes_while_tracking(opened: Open) -> None:
    session = opened()
    session.add_point(1, 0, HERE)
    steps = session.track()
    next(steps)
    for change in (
        lambda: session.add_point(1, 0, THERE),
        lambda: session.clear(1, 0),
        session.undo,
        session.redo,
        lambda: next(session.track()),
        lambda: session.use("pocket", toy_model()),
    ):
        with pytest.raises(PromptError, match="tracking is going on"):
            change()
    assert session.result(0)[1] == session.masklets()[1][0]
    steps.close()  # as when the page is left
    assert not session.tracking
    session.add_point(1, 0, THERE)


def test_tracking_nothing_is_an_error_and_changes_nothing(opened: Open) -> None:
    session = opened()
    with pytest.raises(PromptError, match="nothing to track yet"):
        next(session.track())
    assert not session.tracking
    assert not session.can_undo


def test_two_sessions_on_one_device_take_turns_and_do_not_meet(opened: Open) -> None:
    alone = opened(frames=12)
    alone.add_point(1, 0, HERE)
    expected = tracked(alone)
    turns, order = Turns(), []
    pair = [opened(frames=12, turns=turns) for _ in range(2)]
    both = threading.Barrier(2)

    def work(session: Session) -> None:
        session.add_point(1, 0, HERE)
        both.wait()
        order.extend(session for _ in session.track())

    threads = [threading.Thread(target=work, args=(session,)) for session in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [session.masklets() for session in pair] == [expected, expected]
    halves = order[:12]
    assert min(halves.count(session) for session in pair) >= 3  # neither had to wait for the other's end


# Models and the end -------------------------------------------------------------------------------------------------


def test_another_model_answers_the_same_prompts(opened: Open, tmp_path: Path) -> None:
    session = opened()
    session.add_point(1, 2, HERE)
    session.choose(1, 2, 1)
    tracked(session)
    other = toy_model(96)
    session.use("other", other)
    assert session.model_name == "other"
    assert session.prompts(2) == {1: Prompt(points=(HERE,))}
    assert sorted(session.masklets()[1]) == [2]
    assert not session.can_undo
    fresh = Session("t", toy_clip(8), tmp_path / "fresh", "other", other, Turns())
    fresh.add_point(1, 2, HERE)
    assert session.result(2) == fresh.result(2)


def test_the_revision_grows_with_every_change(opened: Open) -> None:
    session = opened(frames=3)
    revisions = [session.revision]
    for change in (lambda: session.add_point(1, 0, HERE), lambda: tracked(session), session.undo, session.redo):
        change()
        revisions.append(session.revision)
    assert revisions == sorted(set(revisions))
    session.result(0)
    assert session.revision == revisions[-1]


def test_a_closed_session_says_so_and_its_folder_is_gone(opened: Open) -> None:
    session = opened()
    session.add_point(1, 0, HERE)
    steps = session.track()
    next(steps)
    session.close()
    assert list(steps) == []
    assert not session.folder.exists()
    with pytest.raises(SessionNotFound, match="choose the clip again"):
        session.add_point(1, 0, THERE)
