"""Tracking does no more than it has to, goes on where it was stopped, and never looks at stale memories."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from sam2_core.prompts import Point
from sam2_core.rle import Rle
from sam2_core.session import JobStatus, Session
from sam2_core.session.commands import EditObject, LockFrame, SetMask, Track
from sam2_core.session.propagation import SAME_FRAMES
from sam2_core.session.scheduler import Turns
from sam2_core.tracking import Direction, Tracker
from tests.fakes import HEIGHT, WIDTH
from tests.session.working import THERE, click, session_in, tracked

FRAMES = 60
Visits = list[tuple[int, int, tuple[int, ...], tuple[int, ...]]]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    sessions: list[Session] = []

    def make(frames: int = FRAMES) -> Session:
        sessions.append(session_in(tmp_path / str(len(sessions)), frames))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


def visits(session: Session, command: Track | None = None) -> Visits:
    """Frame, direction, objects and kept objects of every frame-step of a job."""
    seen: Visits = []
    tracker = session._editor.tracker
    visit = tracker.visit

    def noted(frame: int, step: int, object_ids: Any, kept: Any = ()) -> Any:
        seen.append((frame, step, tuple(object_ids), tuple(kept)))
        return visit(frame, step, object_ids, kept)

    with mock.patch.object(tracker, "visit", noted):
        tracked(session, command)
    return seen


def frames(seen: Visits, step: int) -> list[int]:
    return [frame for frame, way, _, _ in seen if way == step]


def test_a_correction_is_tracked_outward_until_the_masks_are_as_they_were(opened: Callable[..., Session]) -> None:
    session = opened()
    session.do(click(1, 0))
    before = tracked(session)[1]
    session.do(click(1, 30, Point(0.1, 0.1)))
    seen = visits(session)
    after = session.document.masklets()[1]
    forward, backward = frames(seen, 1), frames(seen, -1)
    assert forward == list(range(30, 30 + len(forward)))
    assert backward == list(range(29, 29 - len(backward), -1))
    for way in (forward, backward):
        assert SAME_FRAMES < len(way) < 25
    assert after[31] != before[31]
    assert after[29] != before[29]
    untouched = set(range(FRAMES)) - set(forward) - set(backward)
    assert all(after[frame] is before[frame] for frame in untouched)


def test_only_the_corrected_object_is_tracked(opened: Callable[..., Session]) -> None:
    session = opened()
    session.do(click(1))
    session.do(click(2, 0, THERE))
    before = tracked(session)
    session.do(click(2, 30, Point(0.1, 0.1)))
    assert {ids for _, _, ids, _ in visits(session)} == {(2,)}
    assert session.document.masklets()[1] == before[1]


def test_two_corrections_have_two_sweeps(opened: Callable[..., Session]) -> None:
    session = opened()
    session.do(click(1))
    tracked(session)
    session.do(click(1, 10, Point(0.1, 0.1)))
    session.do(click(1, 45, Point(0.1, 0.1)))
    forward = frames(visits(session), 1)
    assert {10, 45} <= set(forward)
    assert 35 not in forward


def test_a_sweep_back_stops_at_what_this_job_has_made(opened: Callable[..., Session]) -> None:
    session = opened(20)
    session.do(click(1, 5))
    session.do(click(1, 12, THERE))
    seen = visits(session)
    assert frames(seen, 1) == list(range(5, 20))
    assert frames(seen, -1) == [4, 3, 2, 1, 0]


def test_a_new_object_alone_is_tracked(opened: Callable[..., Session]) -> None:
    session = opened(20)
    session.do(click(1))
    before = tracked(session)
    session.do(click(2, 10, THERE))
    assert {ids for _, _, ids, _ in visits(session)} == {(2,)}
    assert session.document.masklets()[1] == before[1]
    assert sorted(session.document.masklets()[2]) == list(range(20))


def test_objects_of_ones_choice(opened: Callable[..., Session]) -> None:
    session = opened(10)
    for object_id in (1, 2, 3):
        session.do(click(object_id))
    masklets = tracked(session, Track(objects=(1, 3)))
    assert {key: len(masklet) for key, masklet in masklets.items()} == {1: 10, 2: 1, 3: 10}
    assert len(tracked(session)[2]) == 10


def test_a_range_and_then_the_rest(opened: Callable[..., Session]) -> None:
    session = opened(20)
    session.do(click(1, 5))
    assert sorted(tracked(session, Track(first=3, last=8))[1]) == [3, 4, 5, 6, 7, 8]
    assert sorted(tracked(session, Track(Direction.FORWARD))[1]) == list(range(3, 20))
    assert sorted(tracked(session)[1]) == list(range(20))


def test_a_range_beyond_the_prompt(opened: Callable[..., Session]) -> None:
    session = opened(20)
    session.do(click(1, 2))
    assert sorted(tracked(session, Track(Direction.FORWARD, first=10, last=13))[1]) == [2, 10, 11, 12, 13]
    assert sorted(tracked(session, Track(Direction.FORWARD))[1]) == list(range(2, 20))


def test_going_on_begins_with_the_memory_of_the_frames_before(opened: Callable[..., Session]) -> None:
    session, whole = opened(20), opened(20)
    for each in (session, whole):
        each.do(click(1))
    tracked(session, Track(Direction.FORWARD, frames=9))
    assert sorted(session.document.masklets()[1]) == list(range(9))
    seen = visits(session, Track(Direction.FORWARD))
    assert [(frame, kept) for frame, _, _, kept in seen[:7]] == [*((f, (1,)) for f in range(3, 9)), (9, ())]
    assert frames(seen, 1) == list(range(3, 20))
    expected = tracked(whole)[1]
    found = session.document.masklets()[1]
    overlap = [(found[f].mask.decode() == expected[f].mask.decode()).mean() for f in range(20)]
    assert min(overlap) > 0.98


def test_a_correction_never_looks_at_memories_of_its_far_side(
    opened: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(40)
    session.do(click(1))
    tracked(session)
    session.do(SetMask(1, 20, Rle.encode(np.eye(HEIGHT, WIDTH) > 0)))
    looks: list[tuple[int, int, set[int]]] = []
    attended = Tracker._attended

    def noted(self: Tracker, track: Any, frame: int, step: int) -> Any:
        found = attended(self, track, frame, step)
        looks.append((frame, step, {index for index, _ in (*found.maps, *found.pointers)} - {0, 20}))
        return found

    monkeypatch.setattr(Tracker, "_attended", noted)
    tracked(session)
    assert {step for _, step, _ in looks} == {1, -1}
    for frame, step, recent in looks:
        assert recent <= (set(range(21, frame)) if step > 0 else set(range(frame + 1, 20)))


def test_a_locked_frame_is_kept_and_remembered(opened: Callable[..., Session]) -> None:
    locked, free = opened(20), opened(20)
    for session in (locked, free):
        session.do(click(1, 0, THERE))
        tracked(session)
    locked.do(LockFrame(1, 6, locked=True))
    kept = locked.document.result(6)[1]
    for session in (locked, free):
        session.do(click(1, 4, Point(0.1, 0.9)))
    seen = visits(locked)
    tracked(free)
    assert (6, 1, (1,), (1,)) in seen
    assert locked.document.result(6)[1] is kept
    assert free.document.result(6)[1] != kept


def test_an_object_that_is_locked_meanwhile_is_left_alone(tmp_path: Path) -> None:
    turns = Turns()
    with session_in(tmp_path, 20, turns=turns) as session:
        for object_id in (1, 2):
            session.do(click(object_id))
        with turns:  # so that tracking is in its first step, or before it
            job = session.track()
            session.do(EditObject(1, locked=True))
        assert job.wait().status is JobStatus.FINISHED
        assert set(session.document.objects[1].masklet) <= {0, 1}
        assert len(session.document.objects[2].masklet) == 20
        session.do(EditObject(1, locked=False))
        assert len(tracked(session)[1]) == 20  # it goes on where it was


# Jobs -----------------------------------------------------------------------------------------------------------------


def hold_after(session: Session, count: int, act: Callable[[], None]) -> None:
    """Act from within the job, after so many frames."""
    note, done = session.news.note, [0]

    def noted(frames: Any) -> None:
        note(frames)
        done[0] += 1
        if done[0] == count:
            act()

    session.news.note = noted  # type: ignore[method-assign]


def test_cancel_stops_before_the_next_frame_and_keeps_finished_masks(opened: Callable[..., Session]) -> None:
    session = opened(20)
    session.do(click(1))
    hold_after(session, 3, lambda: session.job.cancel() if session.job else None)
    progress = session.track().wait()
    assert (progress.status, progress.done, progress.frame_index) == (JobStatus.CANCELLED, 3, 2)
    assert sorted(session.document.masklets()[1]) == [0, 1, 2]
    assert not session.tracking
    assert sorted(tracked(session)[1]) == list(range(20))


def test_pause_and_resume_change_nothing(opened: Callable[..., Session]) -> None:
    session, whole = opened(20), opened(20)
    for each in (session, whole):
        each.do(click(1))
    hold_after(session, 5, lambda: session.job.pause() if session.job else None)
    seen = session.revision
    job = session.track()
    while job.progress.status is not JobStatus.PAUSED:
        seen = session.news.wait(seen, 10)
    assert (job.progress.done, job.progress.total) == (5, 20)
    assert sorted(session.document.masklets()[1]) == [0, 1, 2, 3, 4]
    assert session.tracking
    job.resume()
    assert job.wait().status is JobStatus.FINISHED
    assert session.document.masklets() == tracked(whole)


def test_a_paused_job_can_be_cancelled(opened: Callable[..., Session]) -> None:
    session = opened(20)
    session.do(click(1))
    hold_after(session, 2, lambda: session.job.pause() if session.job else None)
    job = session.track()
    while job.progress.status is not JobStatus.PAUSED:
        pass
    job.cancel()
    assert job.wait().status is JobStatus.CANCELLED


@pytest.mark.parametrize(("error", "message"), [(ValueError("x"), "a reason that is ours"), (None, "is closed")])
def test_a_job_that_fails_says_so_and_keeps_what_is_finished(
    opened: Callable[..., Session], error: Exception | None, message: str
) -> None:
    session = opened(200)
    session.do(click(1))

    def break_() -> None:
        if error is None:
            session._editor.tracker.features.forget()
            session.video.close()
        else:
            session._editor.tracker.visit = _raising(error)  # type: ignore[method-assign]

    hold_after(session, 4, break_)
    progress = session.track().wait()
    assert progress.status is JobStatus.FAILED
    assert message in progress.message
    assert sorted(session.document.masklets()[1]) == [0, 1, 2, 3]
    assert not session.tracking


def _raising(error: Exception) -> Callable[..., Any]:
    def visit(*_: object) -> None:
        raise error

    return visit


def test_the_total_shrinks_where_masks_are_as_they_were(opened: Callable[..., Session]) -> None:
    session = opened()
    session.do(click(1))
    tracked(session)
    session.do(click(1, 30, Point(0.1, 0.1)))
    job = session.track()
    progress = job.wait()
    assert progress.done == progress.total < FRAMES
    assert progress.eta == 0
