"""Undo and redo are replay: whatever people do, the state is what the commands in force give by themselves."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sam2_core.errors import PromptError, SessionLimit
from sam2_core.prompts import Box, Point
from sam2_core.rle import Rle
from sam2_core.session import Limits, Session
from sam2_core.session.commands import (
    AddObject,
    AddPoint,
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
)
from sam2_core.session.history import START, Steps
from sam2_core.tracking import Direction
from tests.fakes import HEIGHT, WIDTH
from tests.session.working import HERE, THERE, click, session_in, tracked

FRAMES = 8
SMALL = Limits(commands_per_second=1e6, previews_per_second=1e6, history_bytes=40_000, objects=3)

objects = st.integers(1, 3)
frames = st.integers(0, FRAMES - 1)
points = st.builds(Point, st.floats(0, 1), st.floats(0, 1), st.booleans())
masks = st.integers(0, HEIGHT * WIDTH).map(
    lambda n: Rle(HEIGHT, WIDTH, b"".join(k.to_bytes(4, "little") for k in (n, HEIGHT * WIDTH - n)))
)
tracks = st.builds(
    Track,
    st.sampled_from(Direction),
    first=st.none() | st.integers(0, 3),
    last=st.none() | st.integers(4, FRAMES - 1),
    objects=st.none() | st.tuples(objects),
    frames=st.none() | st.integers(1, 6),
)
imports = st.builds(
    lambda object_id, given: ImportMasks(tuple(SetMask(object_id, frame, mask) for frame, mask in given.items())),
    objects,
    st.dictionaries(frames, masks, min_size=1, max_size=5),
)
edits = st.one_of(
    st.builds(AddPoint, objects, frames, points),
    st.builds(SetBox, objects, frames, st.just(Box(0.2, 0.2, 0.6, 0.7))),
    st.builds(SetMask, objects, frames, masks),
    st.builds(Choose, objects, frames, st.integers(0, 2)),
    st.builds(RemovePrompt, objects, frames, st.sampled_from(PromptKind), st.integers(0, 1)),
    st.builds(ClearFrame, objects, frames),
    st.builds(LockFrame, objects, frames, st.booleans()),
    st.builds(AddObject, objects),
    st.builds(EditObject, objects, name=st.sampled_from(["a", "b"]), locked=st.none() | st.booleans()),
    st.builds(RemoveObject, objects),
    imports,
)


def replayed(commands: list[Command], folder: Path) -> Session:
    """A session in which only these commands were ever given."""
    session = session_in(folder, FRAMES, limits=SMALL)
    for command in commands:
        session.do(command)
        session.wait_for_job()
    return session


class People(RuleBasedStateMachine):
    """Does anything at all; undo and redo wherever they are possible."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.session = session_in(Path(self.home.name) / "it", FRAMES, limits=SMALL)
        self.states = {START: self.session.document}

    def do(self, command: Command) -> None:
        try:
            self.session.do(command)
        except (PromptError, SessionLimit):
            return
        self.session.wait_for_job()
        self.states[self.session._editor.steps.last] = self.session.document

    @rule(command=edits)
    def edit(self, command: Command) -> None:
        self.do(command)

    @rule(command=tracks)
    def track(self, command: Track) -> None:
        self.do(command)

    @precondition(lambda self: self.session.can_undo)
    @rule()
    def undo(self) -> None:
        self.session.do(Undo())

    @precondition(lambda self: self.session.can_redo)
    @rule()
    def redo(self) -> None:
        self.session.do(Redo())

    @rule()
    def come_back_after_a_crash(self) -> None:
        self.session._editor.store.close()
        self.session = session_in(Path(self.home.name) / "it", FRAMES, limits=SMALL)

    @invariant()
    def the_state_is_the_one_after_the_last_step_in_force(self) -> None:
        assert self.session.document == self.states[self.session._editor.steps.last]

    def teardown(self) -> None:
        with replayed(list(self.session._editor.in_force()), Path(self.home.name) / "again") as again:
            assert again.document.results() == self.session.document.results()
            assert [s.prompts for s in again.document.objects.values()] == [
                s.prompts for s in self.session.document.objects.values()
            ]
        self.session.close()
        self.home.cleanup()


TestPeople = People.TestCase
TestPeople.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


def test_every_step_can_be_undone_and_redone(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    steps: list[Command] = [
        click(1, 0),
        Choose(1, 0, 2),
        click(1, 0, Point(0.5, 0.5, positive=False)),
        SetBox(2, 3, Box(0.2, 0.2, 0.6, 0.7)),
        Track(),
        EditObject(2, name="cat"),
        click(1, 5, THERE),
        Track(),
        LockFrame(1, 7, locked=True),
        ClearFrame(2, 3),
        RemoveObject(1),
    ]
    states = [session.document]
    for step in steps:
        session.do(step)
        session.wait_for_job()
        states.append(session.document)
    for state in reversed(states[:-1]):
        session.do(Undo())
        assert session.document == state
    assert not session.can_undo
    session.do(Undo())
    for state in states[1:]:
        session.do(Redo())
        assert session.document == state
    assert not session.can_redo
    session.do(Redo())


def test_something_new_ends_redo(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    session.do(click())
    session.do(Undo())
    assert session.can_redo
    session.do(click(point=THERE))
    assert not session.can_redo


def test_steps_follow_the_log() -> None:
    steps = Steps()
    commands: list[Command] = [click(), click(), Undo(), click(), Undo(), Undo(), Redo(), Undo(), Undo()]
    for number, command in enumerate(commands):
        steps.record(number, command)
    assert (steps.done, steps.undone, steps.last) == ([], [3, 0], START)


def test_earlier_states_are_bounded_in_bytes(tmp_path: Path) -> None:
    sizes = {}
    for most in (0, 10**9):
        limits = Limits(commands_per_second=1e6, history_bytes=most)
        session = session_in(tmp_path / str(most), 40, limits=limits)
        states = []
        for frame in range(6):
            session.do(click(1, frame * 5, HERE if frame % 2 else THERE))
            tracked(session)
            states.append(session.document)
        sizes[most] = len(session._editor._snapshots)
        for state in reversed(states[:-1]):
            session.do(Undo())
            session.do(Undo())
            assert session.document == state
        session.close()
    assert sizes == {0: 2, 10**9: 13}  # the empty one takes nothing, and the latest is in use anyway


@pytest.mark.parametrize("first", [THERE, HERE])
def test_what_was_undone_leaves_no_trace(tmp_path: Path, first: Point) -> None:
    one, other = session_in(tmp_path / "one"), session_in(tmp_path / "other")
    for session, undone in ((one, Point(0.9, 0.9)), (other, Point(0.1, 0.8))):
        session.do(click(1, 2, first))
        tracked(session)
        session.do(click(1, 4, undone))
        tracked(session)
        session.do(Undo())
        session.do(Undo())
        session.do(click(1, 6, THERE))
    assert tracked(one) == tracked(other)
