"""One clip that someone works on: prompts, objects, the way back, tracking that gives way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sam2_core.errors import PromptError, SessionLimit, SessionNotFound
from sam2_core.prompts import Box, Point, Prompt
from sam2_core.rle import Rle
from sam2_core.session import JobStatus, Progress, Session
from sam2_core.session.commands import (
    AddObject,
    Choose,
    ClearFrame,
    Command,
    EditObject,
    ImportMasks,
    LockFrame,
    PromptKind,
    Redo,
    RemoveObject,
    RemovePrompt,
    SetBox,
    SetMask,
    Track,
    Undo,
    UseModel,
)
from sam2_core.session.limits import TokenBucket, cost
from sam2_core.session.prompt_edits import MOST_CLICKS
from sam2_core.session.scheduler import Turns
from sam2_core.tracking import Direction
from tests.fakes import HEIGHT, WIDTH, FakeModel, fake_clip, fake_model
from tests.session.working import HERE, LIMITS, THERE, click, session_in, tracked

Open = Callable[..., Session]
BOX = Box(0.2, 0.2, 0.6, 0.7)
SQUARE = np.zeros((HEIGHT, WIDTH), dtype=bool)
SQUARE[4:20, 6:22] = True


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens sessions on a fake clip."""
    sessions: list[Session] = []

    def make(frames: int = 8, **how: object) -> Session:
        sessions.append(session_in(tmp_path / str(len(sessions)), frames, **how))  # type: ignore[arg-type]
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


# Prompts ------------------------------------------------------------------------------------------------------------


def test_a_click_gives_a_mask_and_three_candidates(opened: Open) -> None:
    session = opened()
    session.do(click(1, 2))
    shown = session.document.result(2)[1]
    assert (shown.mask.height, shown.mask.width) == (HEIGHT, WIDTH)
    assert session.document.prompts(2) == {1: Prompt(points=(HERE,))}
    candidates = session.candidates(1, 2)
    assert len(candidates) == 3
    assert shown.predicted_iou == max(candidate.predicted_iou for candidate in candidates)


def test_a_choice_among_candidates_is_the_mask(opened: Open) -> None:
    session = opened()
    session.do(click())
    for k, candidate in enumerate(session.candidates(1, 0)):
        session.do(Choose(1, 0, k))
        assert session.document.result(0)[1] == candidate
        assert session.document.prompts(0)[1].candidate == k


def test_what_a_person_chose_is_visible_even_if_the_model_saw_nothing(opened: Open) -> None:
    session = opened(model=fake_model(score=-3.0))
    session.do(click())
    assert session.document.result(0)[1].mask.area == 0
    session.do(Choose(1, 0, 1))
    chosen = session.document.result(0)[1]
    assert chosen.mask.area > 0
    assert chosen.visible


def test_only_an_ambiguous_prompt_has_candidates(opened: Open) -> None:
    session = opened()
    assert session.candidates(1, 0) == ()
    session.do(SetBox(1, 0, BOX))
    assert session.candidates(1, 0) == ()
    session.do(click(2))
    session.do(click(2, point=THERE))
    assert session.candidates(2, 0) == ()
    for object_id in (1, 2):
        with pytest.raises(PromptError, match="only a single click has candidates"):
            session.do(Choose(object_id, 0, 0))
    with pytest.raises(PromptError, match="nothing was said about object 1 on frame 3"):
        session.do(Choose(1, 3, 0))


def test_a_box_replaces_a_box_and_keeps_the_clicks(opened: Open) -> None:
    session = opened()
    session.do(click())
    session.do(Choose(1, 0, 2))
    session.do(SetBox(1, 0, Box(0.1, 0.1, 0.5, 0.5)))
    session.do(SetBox(1, 0, BOX))
    assert session.document.prompts(0)[1] == Prompt(points=(HERE,), box=BOX)


def test_a_painted_mask_replaces_everything_and_clicks_refine_it(opened: Open) -> None:
    session = opened()
    session.do(click())
    session.do(SetMask(1, 0, Rle.encode(SQUARE)))
    given = session.document.result(0)[1]
    assert (given.predicted_iou, given.object_score) == (1.0, 10.0)
    assert given.mask == Rle.encode(SQUARE)
    session.do(click(point=THERE))
    assert session.document.prompts(0)[1] == Prompt(points=(THERE,), mask=Rle.encode(SQUARE))


def test_prompts_are_removed_one_by_one(opened: Open) -> None:
    session, other = opened(), opened()
    for each in (HERE, THERE, Point(0.5, 0.5)):
        session.do(click(point=each))
    session.do(SetBox(1, 0, BOX))
    session.do(RemovePrompt(1, 0, PromptKind.POINT, 1))
    session.do(RemovePrompt(1, 0, PromptKind.BOX))
    assert session.document.prompts(0)[1].points == (HERE, Point(0.5, 0.5))
    with pytest.raises(PromptError, match="2 clicks here"):
        session.do(RemovePrompt(1, 0, PromptKind.POINT, 2))
    with pytest.raises(PromptError, match="no box was given"):
        session.do(RemovePrompt(1, 0, PromptKind.BOX))
    session.do(RemovePrompt(1, 0, PromptKind.POINT, 1))
    other.do(click())
    assert session.document.result(0) == other.document.result(0)
    session.do(RemovePrompt(1, 0, PromptKind.POINT))
    assert session.document.result(0).objects == ()
    assert list(session.document.objects) == [1]


def test_clearing_a_correction_brings_the_tracked_mask_back(opened: Open) -> None:
    session = opened()
    session.do(click())
    before = tracked(session)
    session.do(click(1, 4, THERE))
    assert session.document.masklets() != before
    session.do(ClearFrame(1, 4))
    assert session.document.masklets() == before


def test_a_preview_is_the_mask_that_the_click_gives(opened: Open) -> None:
    session = opened()
    session.do(click())
    before, revision = session.document, session.revision
    shown = session.preview(1, 0, THERE)
    fresh = session.preview(2, 3, THERE)
    assert session.document is before
    assert session.revision == revision
    session.do(click(1, 0, THERE))
    session.do(click(2, 3, THERE))
    assert session.document.result(0)[1] == shown
    assert session.document.result(3)[2] == fresh


def test_prompts_that_do_not_fit_change_nothing(opened: Open) -> None:
    session = opened(frames=4)
    for command, message in (
        (click(1, 4), "frames 0 to 3; got frame 4"),
        (ClearFrame(1, 0), "there is no object 1"),
        (RemoveObject(7), "there is no object 7"),
        (UseModel("pocket"), "Session.use"),
    ):
        with pytest.raises(PromptError, match=message):
            session.do(command)
    assert not session.can_undo
    assert not session.document.objects


def test_prompts_have_a_speed_limit(opened: Open) -> None:
    session = opened(limits=type(LIMITS)(commands_per_second=0.001, previews_per_second=0.001))
    session.do(click())
    with pytest.raises(SessionLimit, match=r"commands come faster than 0\.001 a second"):
        session.do(click())
    session.preview(1, 0, HERE)
    with pytest.raises(SessionLimit, match="previews come faster"):
        session.preview(1, 0, HERE)


@pytest.mark.parametrize(
    "command",
    [
        click(),
        AddObject(2),
        EditObject(1, name="x"),
        LockFrame(1, 0, locked=True),
        RemoveObject(1),
        ImportMasks((SetMask(3, 0, Rle.empty(HEIGHT, WIDTH)),)),
        Track(),
        Undo(),
        Redo(),
    ],
)
def test_whatever_people_do_has_its_cost(opened: Open, command: Command) -> None:
    session = opened(limits=type(LIMITS)(commands_per_second=0.5))
    session.do(click())
    with pytest.raises(SessionLimit, match="commands come faster"):
        session.do(command)


def test_what_costs_more_makes_the_next_wait_longer() -> None:
    now = [0.0]
    bucket = TokenBucket(2, "commands", lambda: now[0])
    bucket.take()
    bucket.take(cost(Track()))
    with pytest.raises(SessionLimit):
        bucket.take()
    now[0] = 1.0
    with pytest.raises(SessionLimit):
        bucket.take()
    now[0] = 1.5
    bucket.take()


def test_whoever_works_alone_need_not_wait() -> None:
    with Session.alone(fake_clip(4), "fake", fake_model()) as session:
        for _ in range(MOST_CLICKS):
            session.do(click())
        with pytest.raises(PromptError, match="100 clicks on a frame; take some back"):
            session.do(click())


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    bucket = TokenBucket(2, "prompts", lambda: now[0])
    for _ in range(4):
        bucket.take()
    with pytest.raises(SessionLimit):
        bucket.take()
    now[0] = 0.5
    bucket.take()
    with pytest.raises(SessionLimit):
        bucket.take()


def test_a_model_that_fails_leaves_no_trace(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    session, other = opened(), opened()
    for each in (session, other):
        each.do(click())
    before = session.document

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(session._editor.tracker.model, "decode", fail)
        with pytest.raises(RuntimeError):
            session.do(click(point=THERE))
    assert session.document is before
    for each in (session, other):
        each.do(click(point=THERE))
    assert tracked(session) == tracked(other)


SPECKS = Rle.encode(np.random.default_rng(0).random((HEIGHT, WIDTH)) > 0.7)
"""No model could draw this: every pixel is its own."""


def test_a_painted_mask_is_shown_pixel_by_pixel_whatever_happens(tmp_path: Path) -> None:
    session = session_in(tmp_path, 8)

    def shown() -> Rle:
        return session.document.result(3)[1].mask

    session.do(click(1, 3))
    session.do(SetMask(1, 3, SPECKS))
    assert shown() == SPECKS
    tracked(session)
    assert shown() == SPECKS
    session.do(click(1, 3, THERE))  # now it is the model's answer, which begins with the mask
    assert shown() != SPECKS
    session.do(RemovePrompt(1, 3, PromptKind.POINT))
    assert shown() == SPECKS
    for _ in range(4):
        session.do(Undo())
    assert shown() != SPECKS
    for _ in range(4):
        session.do(Redo())
    assert shown() == SPECKS
    session.close()
    session = session_in(tmp_path, 8)
    assert shown() == SPECKS
    session.do(click(1, 5))
    tracked(session)
    assert shown() == SPECKS
    session.use("other", fake_model())
    assert shown() == SPECKS
    session.close()


# Objects ------------------------------------------------------------------------------------------------------------


def test_objects_have_names_and_colours_and_keep_their_number(opened: Open) -> None:
    session = opened()
    session.do(AddObject(session.document.next_object_id))
    session.do(EditObject(1, name="the dog", colour="#00ff7f", hidden=True))
    session.do(EditObject(1, hidden=False))
    dog = session.document.objects[1]
    assert (dog.name, dog.colour, dog.hidden, dog.locked) == ("the dog", "#00ff7f", False, False)
    session.do(RemoveObject(1))
    assert session.document.next_object_id == 2
    with pytest.raises(PromptError, match="there is no object 1, and new ones are numbered upward; the next one is 2"):
        session.do(AddObject(1))
    session.do(click(session.document.next_object_id))
    assert session.document.objects[2].name == "Object 2"


def test_a_number_is_never_given_twice_whatever_the_model(opened: Open) -> None:
    session = opened(limits=type(LIMITS)(objects=2, commands_per_second=1e6))
    for object_id in (1, 2):
        session.do(AddObject(object_id))
    session.do(RemoveObject(2))
    session.do(AddObject(3))
    session.do(RemoveObject(3))
    session.use("other", fake_model())
    assert session.document.next_object_id == 4
    session.do(click(4))
    session.do(Undo())
    assert session.document.next_object_id == 4
    session.close()
    again = session_in(session.folder, 8)
    assert again.document.next_object_id == 4
    with pytest.raises(PromptError, match="there is no object 3, and new ones are numbered upward; the next one is 4"):
        again.do(AddObject(3))
    again.use("third", fake_model())
    assert again.document.next_object_id == 4
    again.close()


def test_prompts_are_limited(opened: Open) -> None:
    session = opened(limits=type(LIMITS)(prompts=2, commands_per_second=1e6))
    session.do(click(1, 0))
    session.do(click(1, 1))
    session.do(click(1, 1))
    with pytest.raises(SessionLimit, match="prompts on 2 frames of objects; clear some first"):
        session.do(click(1, 2))
    session.do(ClearFrame(1, 0))
    session.do(click(1, 2))


@pytest.mark.parametrize("name", ["", " ", "x" * 81, "two\nlines", "\x00"])
def test_names_are_short_and_printable(name: str) -> None:
    with pytest.raises(PromptError, match="1 to 80 characters, all printable"):
        EditObject(1, name=name)


@pytest.mark.parametrize("colour", ["red", "#12345", "#GGGGGG", "#AABBCC", "url(x)"])
def test_colours_are_hexadecimal(colour: str) -> None:
    with pytest.raises(PromptError, match="like #1f77b4"):
        EditObject(1, colour=colour)


def test_objects_are_limited(opened: Open) -> None:
    session = opened(limits=type(LIMITS)(objects=2))
    session.do(click(1))
    session.do(AddObject(2))
    for command in (click(3), AddObject(3)):
        with pytest.raises(SessionLimit, match="2 objects at a time"):
            session.do(command)
    session.do(RemoveObject(1))
    session.do(click(3))
    with pytest.raises(PromptError, match="numbered 1 to 255"):
        click(256)


def test_a_locked_object_is_left_alone(opened: Open) -> None:
    session = opened()
    session.do(click(1))
    session.do(click(2, 0, THERE))
    session.do(EditObject(1, locked=True))
    with pytest.raises(PromptError, match="Object 1 is locked"):
        session.do(click(1, 3))
    masklets = tracked(session)
    assert (sorted(masklets[1]), sorted(masklets[2])) == ([0], list(range(8)))
    session.do(EditObject(1, locked=False))
    assert sorted(tracked(session)[1]) == list(range(8))


# Tracking -----------------------------------------------------------------------------------------------------------


def test_tracking_counts_its_frames_and_fills_the_clip(opened: Open) -> None:
    session = opened(frames=6)
    session.do(click(1, 2))
    progress = session.track().wait()
    assert (progress.status, progress.done, progress.total) == (JobStatus.FINISHED, 6, 6)
    assert sorted(session.document.objects[1].masklet) == [0, 1, 2, 3, 4, 5]
    assert [result.objects[0].object_id for result in session.document.results()] == [1] * 6


def test_nothing_but_properties_changes_while_tracking(opened: Open) -> None:
    session = opened()
    session.do(click())
    with session._turns:  # nobody gets the device now
        job = session.track()
        job.pause()
        assert session.tracking
        refused: list[Command] = [click(point=THERE), ClearFrame(1, 0), AddObject(2), Undo(), Redo(), Track()]
        for command in refused:
            with pytest.raises(PromptError, match="tracking is going on"):
                session.do(command)
        with pytest.raises(PromptError, match="tracking is going on"):
            session.use("fake", fake_model())
    job.resume()
    session.do(EditObject(1, name="seen"))
    assert job.wait().status is JobStatus.FINISHED
    assert session.document.objects[1].name == "seen"
    session.do(Undo())
    assert session.document.objects[1].name == "Object 1"
    assert sorted(session.document.objects[1].masklet) == list(range(8))
    session.do(Undo())
    assert sorted(session.document.objects[1].masklet) == [0]


def test_a_correction_stays_when_tracked_again(opened: Open) -> None:
    session = opened()
    session.do(click())
    before = tracked(session)[1]
    session.do(click(1, 4, THERE))
    corrected = session.document.result(4)[1]
    after = tracked(session)[1]
    assert after[4] == corrected
    assert after[3] != before[3]
    assert after[5] != before[5]


def test_tracking_nothing_is_an_error_and_changes_nothing(opened: Open) -> None:
    session = opened()
    with pytest.raises(PromptError, match="nothing to track yet"):
        session.track()
    session.do(AddObject(1))
    with pytest.raises(PromptError, match="nothing to track yet"):
        session.track()
    session.do(click(1))
    tracked(session)
    with pytest.raises(PromptError, match="nothing has changed since these frames were tracked"):
        session.track()
    assert not session.tracking


def test_what_locked_frames_rest_on_is_not_taken_back(opened: Open) -> None:
    session = opened()
    session.do(click())
    tracked(session)
    session.do(LockFrame(1, 5, locked=True))
    with pytest.raises(PromptError, match="Object 1 has locked frames, which rest on this prompt; unlock them first"):
        session.do(ClearFrame(1, 0))
    session.do(LockFrame(1, 5, locked=False))
    session.do(ClearFrame(1, 0))
    assert not session.document.objects[1].masklet


def test_another_model_leaves_locked_frames_as_they_are(opened: Open) -> None:
    session = opened()
    session.do(click())
    tracked(session)
    for frame in (0, 5):
        session.do(LockFrame(1, frame, locked=True))
    kept = {frame: session.document.result(frame)[1].mask for frame in (0, 5)}
    session.use("other", fake_model(score=2.0))
    state = session.document.objects[1]
    assert state.locked_frames == {0, 5}
    assert {frame: state.masklet[frame].mask for frame in state.masklet} == kept


def test_a_locked_frame_is_kept_and_its_neighbours_react(opened: Open) -> None:
    free, locked = opened(frames=12), opened(frames=12)
    for session in (free, locked):
        session.do(click())
        tracked(session)
        session.do(SetMask(1, 6, Rle.encode(SQUARE)))
        session.do(LockFrame(1, 6, locked=True))
    kept = locked.document.result(6)[1]
    with pytest.raises(PromptError, match="Object 1 is locked on frame 6"):
        locked.do(click(1, 6))
    free.do(LockFrame(1, 6, locked=False))
    for session in (free, locked):
        session.do(click(1, 3, THERE))
        tracked(session)
    assert locked.document.result(6)[1] == kept


def test_a_frame_without_a_mask_cannot_be_locked(opened: Open) -> None:
    session = opened()
    session.do(click())
    with pytest.raises(PromptError, match="no mask on frame 2"):
        session.do(LockFrame(1, 2, locked=True))


def test_a_tracked_frame_can_be_locked(opened: Open) -> None:
    session = opened(frames=12)
    session.do(click())
    tracked(session)
    session.do(LockFrame(1, 6, locked=True))
    kept = session.document.result(6)[1]
    session.do(click(1, 5, THERE))
    after = tracked(session)[1]
    assert after[6] == kept
    assert after[4] != kept


def test_two_sessions_on_one_device_take_turns_and_do_not_meet(opened: Open) -> None:
    alone = opened(frames=12)
    alone.do(click())
    expected = tracked(alone)
    turns = Turns()
    pair = [opened(frames=12, turns=turns) for _ in range(2)]
    order: list[Session] = []
    for session in pair:
        session.do(click())
        step = session._advance

        def noted(propagation: object, session: Session = session, step: Callable[..., object] = step) -> object:
            order.append(session)
            return step(propagation)

        session._advance = noted  # type: ignore[method-assign, assignment]
    with turns:  # both jobs stand in line before the first frame
        jobs = [session.track() for session in pair]
        while len(turns._waiting) < 3:
            pass
    for job in jobs:
        assert job.wait().status is JobStatus.FINISHED
    assert [session.document.masklets() for session in pair] == [expected, expected]
    assert min(order[:12].count(session) for session in pair) >= 3  # neither had to wait for the other's end


def test_many_threads_at_one_session_lose_nothing(opened: Open) -> None:
    session = opened(limits=type(LIMITS)(objects=16, commands_per_second=10_000))
    for object_id in range(1, 9):
        session.do(AddObject(object_id))

    def work(object_id: int) -> None:
        for frame in range(6):
            session.do(click(object_id, frame))
            session.preview(object_id, frame, THERE)

    threads = [threading.Thread(target=work, args=(object_id,)) for object_id in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key: sorted(masklet) for key, masklet in session.document.masklets().items()} == {
        object_id: list(range(6)) for object_id in range(1, 9)
    }
    assert len(session._editor.store.commands) == 1 + 8 + 8 * 6


# News, idle moments, models, the end --------------------------------------------------------------------------------


def test_news_say_which_frames_changed(opened: Open) -> None:
    session = opened(frames=6)
    seen = session.revision
    session.do(click(1, 2))
    assert session.news.frames_since(seen) == (2,)
    seen = session.revision
    session.do(EditObject(1, name="x"))
    assert session.news.frames_since(seen) == ()
    assert session.revision == seen + 1
    tracked(session, Track(Direction.FORWARD))
    assert session.news.frames_since(seen) == (2, 3, 4, 5)
    seen = session.revision
    session.do(Undo())
    assert session.news.frames_since(seen) == (3, 4, 5)
    assert session.news.wait(session.revision, 0.01) == session.revision


def test_whoever_waits_hears_of_a_change(opened: Open) -> None:
    session = opened()
    seen, heard = session.revision, []
    thread = threading.Thread(target=lambda: heard.append(session.news.wait(seen, 10)))
    thread.start()
    session.do(click())
    thread.join()
    assert heard == [seen + 1]


def test_frames_around_the_playhead_are_encoded_in_idle_moments(opened: Open) -> None:
    model = FakeModel()
    session = opened(frames=8, model=model)
    session.playhead = 4
    while session.encode_ahead():
        pass
    assert len(model.encoded) == 8
    session.do(click(1, 5))
    assert len(model.encoded) == 8  # it was there already


def test_idle_work_gives_way(opened: Open) -> None:
    turns = Turns()
    session = opened(turns=turns)
    with turns:
        assert not session.encode_ahead()
    session.do(click())
    session.track().wait()
    assert session.encode_ahead() in (True, False)


def test_another_model_answers_the_same_prompts(opened: Open) -> None:
    session, fresh = opened(), opened(model=fake_model(score=2.0))
    session.do(click(1, 2))
    session.do(Choose(1, 2, 1))
    session.do(EditObject(1, name="ball"))
    tracked(session)
    session.use("other", fake_model(score=2.0))
    fresh.do(click(1, 2))
    assert session.model_name == "other"
    assert session.document.prompts(2) == {1: Prompt(points=(HERE,))}
    assert session.document.objects[1].name == "ball"
    assert session.document.results() == fresh.document.results()
    assert not session.can_undo
    session.do(click(1, 3))
    session.do(Undo())
    assert not session.can_undo
    assert tracked(session) == tracked(fresh)


def test_a_model_that_cannot_answer_leaves_all_as_it_was(opened: Open) -> None:
    session = opened()
    session.do(click(1, 2))
    before = session.document
    broken = fake_model()
    broken.decode = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        session.use("broken", broken)
    assert session.document is before
    assert session.model_name == "fake"
    session.do(click(1, 3))
    assert sorted(path.name for path in session.folder.iterdir()) == ["commands-0.jsonl", "masks-0.bin", "session.json"]


def test_nothing_begins_while_a_session_closes(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened()
    session.do(click())
    job = session.track()
    wait = job.wait

    def wait_and_track() -> Progress:
        progress = wait()
        with pytest.raises(SessionNotFound, match="has ended"):
            session.track()
        return progress

    monkeypatch.setattr(job, "wait", wait_and_track)
    session.close()
    assert session.job is job
    assert not session.tracking


def test_a_closed_session_says_so_and_its_work_stays(opened: Open) -> None:
    session = opened()
    session.do(click())
    session.close()
    with pytest.raises(SessionNotFound, match="open the clip again"):
        session.do(click(point=THERE))
    assert (session.folder / "session.json").exists()
    session.close()


def test_a_session_of_its_own_leaves_nothing_behind() -> None:
    with Session.alone(fake_clip(4), "fake", fake_model()) as session:
        session.do(click())
        assert sorted(tracked(session)[1]) == [0, 1, 2, 3]
        folder = session.folder
    assert not folder.exists()
