"""Nothing that was done is lost: torn files, killed processes, work that goes on after a restart."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from sam2_core.errors import ProjectError, SessionLimit
from sam2_core.results import ObjectMask
from sam2_core.rle import Rle
from sam2_core.session.commands import Choose, Command, Redo, Track, Undo, UseModel
from sam2_core.session.document import Change
from sam2_core.session.header import Header
from sam2_core.session.store import Store, StoreLimits
from sam2_core.tracking import Direction
from tests.fakes import FakeModel
from tests.session.working import HERE, LIMITS, THERE, click, session_in, tracked

HEADER = Header("clip", 10, 4, 6)
MASK = ObjectMask(3, Rle(4, 6, b"".join(n.to_bytes(4, "little") for n in (5, 7, 12))), 0.75, -1.5)
CHANGES = [Change(2, {3: MASK, 5: None}, 1, frozenset({3, 9})), Change(3, {3: MASK}, -1)]


def filled(folder: Path) -> Store:
    store = Store(folder, HEADER)
    store.add(UseModel("fake"))
    store.add(click(3, 2), Change(2, {3: MASK}))
    number = store.add(Track())
    for change in CHANGES:
        store.add_change(number, change)
    return store


def reread(folder: Path) -> tuple[list[object], list[list[Change]]]:
    store = Store(folder, HEADER)
    store.close()
    return list(store.commands), [list(store.changes(number)) for number in range(len(store.commands))]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    filled(tmp_path).close()
    commands, changes = reread(tmp_path)
    assert commands == [UseModel("fake"), click(3, 2), Track()]
    assert changes == [[], [Change(2, {3: MASK})], CHANGES]


@pytest.mark.parametrize("cut", [1, 3, 10, 30])
def test_a_torn_record_is_cut_off_and_the_rest_is_there(tmp_path: Path, cut: int) -> None:
    store = filled(tmp_path)
    store.close()
    masks = tmp_path / HEADER.masks_file
    os.truncate(masks, masks.stat().st_size - cut)
    commands, changes = reread(tmp_path)
    assert len(commands) == 3
    assert changes[2] == CHANGES[:1]
    again = Store(tmp_path, HEADER)
    again.add_change(2, CHANGES[1])
    again.close()
    assert reread(tmp_path)[1][2] == CHANGES


def test_a_torn_command_takes_its_masks_with_it(tmp_path: Path) -> None:
    store = Store(tmp_path, HEADER)
    store.add(UseModel("fake"))
    store.add(click(3, 2), Change(2, {3: MASK}))
    store.close()
    log = tmp_path / HEADER.commands_file
    os.truncate(log, log.stat().st_size - 1)
    commands, changes = reread(tmp_path)
    assert commands == [UseModel("fake")]
    assert changes == [[]]
    assert (tmp_path / HEADER.masks_file).stat().st_size == 0


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    filled(tmp_path).close()
    masks = tmp_path / HEADER.masks_file
    data = bytearray(masks.read_bytes())
    data[-3] ^= 1
    masks.write_bytes(data)
    assert reread(tmp_path)[1][2] == CHANGES[:1]


def test_damage_in_the_middle_costs_one_record(tmp_path: Path) -> None:
    filled(tmp_path).close()
    masks = tmp_path / HEADER.masks_file
    data = bytearray(masks.read_bytes())
    data[20] ^= 1
    masks.write_bytes(data)
    assert reread(tmp_path)[1] == [[], [], CHANGES]
    assert reread(tmp_path)[1] == [[], [], CHANGES]  # and was not made worse by reading it


def test_a_full_session_takes_nothing_half(tmp_path: Path) -> None:
    store = Store(tmp_path, HEADER)
    store.add(UseModel("fake"))
    store.close()
    store = Store(tmp_path, HEADER, StoreLimits(store_bytes(tmp_path) + 60))  # for the mask, and not for the command
    with pytest.raises(SessionLimit, match="used up its room"):
        store.add(click(3, 2), Change(2, {3: MASK}))
    assert store.count(1) == 0
    store.add(Undo())
    store.close()
    assert reread(tmp_path) == ([UseModel("fake"), Undo()], [[], []])


def test_what_the_disk_refuses_is_not_there_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)
    before = list(store.commands), store_bytes(tmp_path)

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(SessionLimit, match="No space left on device"):
            store.add(click(3, 2), Change(2, {3: MASK}))
    assert (store.commands, store_bytes(tmp_path)) == before
    store.add(Undo())
    store.close()
    assert reread(tmp_path)[0] == [*before[0], Undo()]


def test_what_could_not_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)
    before = store_bytes(tmp_path)
    monkeypatch.setattr("sam2_core.session.records.LARGEST_RECORD", 20)
    with pytest.raises(SessionLimit, match="20 bytes at most"):
        store.add(click(3, 2), Change(2, {3: MASK}))
    monkeypatch.setattr("sam2_core.session.store.LONGEST_LINE", 30)
    with pytest.raises(SessionLimit, match="30 bytes at most"):
        store.add(click(3, 2))
    assert store_bytes(tmp_path) == before
    store.close()


def store_bytes(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in (HEADER.commands_file, HEADER.masks_file))


def test_a_session_that_is_full_says_so_and_goes_on(tmp_path: Path) -> None:
    session = session_in(tmp_path, limits=replace(LIMITS, session_bytes=2_000))
    session.do(click())
    job = session.track()
    assert "used up its room" in job.wait().message
    shown = session.document
    session.close()
    again = session_in(tmp_path)
    assert again.document.results() == shown.results()
    assert len(tracked(again)[1]) == 20


def test_another_clip_is_refused(tmp_path: Path) -> None:
    session_in(tmp_path, 20).close()
    with pytest.raises(ProjectError, match=r"about 20 frames of 32 x 24 pixels, and the clip has 7"):
        session_in(tmp_path, 7)


def test_everything_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path: Path) -> None:
    """Prompts, a choice, tracking that was stopped, a correction, undo and redo: then more of the same."""
    first: list[Command] = [
        click(1, 3),
        Choose(1, 3, 0),
        Track(frames=6),
        click(2, 5, THERE),
        click(1, 9),
        click(1, 9, THERE),
        Undo(),
    ]
    then: list[Command] = [Redo(), Track(), click(2, 5), click(1, 15, THERE), Track(Direction.BACKWARD), Track()]
    whole, before = session_in(tmp_path / "whole"), session_in(tmp_path / "halves")
    for command in first:
        for session in (whole, before):
            session.do(command)
            session.wait_for_job()
    before._editor.store.close()  # and nothing else: the process is gone
    model = FakeModel()
    after = session_in(tmp_path / "halves", model=model)  # type: ignore[arg-type]
    assert after.document == whole.document
    assert model.encoded == []  # nothing is computed before it is needed
    for command in then:
        for session in (whole, after):
            session.do(command)
            session.wait_for_job()
        assert after.document == whole.document
    assert after.candidates(1, 3) == whole.candidates(1, 3) != ()


KILLED = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from sam2_core.session.commands import AddObject, EditObject
    from tests.session.working import THERE, click, session_in

    session = session_in(Path(sys.argv[1]), 400)
    session.do(click(1, 0))
    session.do(AddObject(2))
    session.do(EditObject(2, name="second"))
    session.do(click(2, 3, THERE))
    note = session.news.note

    def noted(frames):
        note(frames)
        for frame in frames:  # whoever looks on has seen these masks
            areas = [mask.mask.area for mask in session.document.result(frame).objects]
            print(frame, *areas, flush=True)
        time.sleep(0.005)

    session.news.note = noted
    session.track()
    session.wait_for_job()
    """
)


def test_killed_in_the_middle_of_tracking(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    seen += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    shown = {int(line.split()[0]): [int(area) for area in line.split()[1:]] for line in seen if line.endswith("\n")}
    assert 40 <= len(shown) < 400
    session = session_in(tmp_path, 400)
    assert [state.name for state in session.document.objects.values()] == ["Object 1", "second"]
    assert session.document.prompts(3)[2].points == (THERE,)
    for frame, areas in shown.items():
        assert [mask.mask.area for mask in session.document.result(frame).objects] == areas
    assert session.can_undo
    finished = session.document.masklets()[1]
    masklets = tracked(session)
    assert [sorted(masklets[key]) for key in (1, 2)] == [list(range(400))] * 2
    assert all(masklets[1][frame] == mask for frame, mask in finished.items() if frame < 3)
    session.do(Undo())
    session.do(Undo())
    assert {key: sorted(masklet) for key, masklet in session.document.masklets().items()} == {1: [0], 2: [3]}
    assert HERE in session.document.prompts(0)[1].points
