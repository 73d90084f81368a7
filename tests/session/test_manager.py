"""Who may open a session, how it is found, when it rests, when it ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2_core.config import POCKET
from sam2_core.errors import CheckpointError, SessionLimit, SessionNotFound, VideoError
from sam2_core.media import MediaLimits, Video
from sam2_core.model import SAM2
from sam2_core.session import Limits, ModelPool, Session, SessionManager
from sam2_core.session.commands import AddObject, Undo
from sam2_core.session.folder_lock import FolderLock
from sam2_core.session.store import Store
from sam2_core.weights import Progress
from tests.fakes import fake_model
from tests.session.working import click, tracked


def load(name: str, *, progress: Progress | None = None) -> SAM2:
    """A fake for ``pocket``, an error for everything else."""
    del progress
    if name != POCKET.name:
        raise CheckpointError("the Hub cannot be reached")
    return fake_model()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).save(path)
    return path


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A clip of five frames, as it lies in the upload cache."""
    path = tmp_path / "cache" / "moving.gif"
    path.parent.mkdir()
    frames = [Image.new("RGB", (32, 24), (40 * k, 0, 0)) for k in range(5)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    return path


@pytest.fixture
def managers() -> Iterator[list[SessionManager]]:
    made: list[SessionManager] = []
    yield made
    for manager in made:
        manager.shut_down()


def manager_with(managers: list[SessionManager], limits: Limits | None = None) -> SessionManager:
    managers.append(SessionManager(ModelPool(load), limits))
    return managers[-1]


def noting(close: Callable[[Any], None], seen: list[object]) -> Callable[[Any], None]:
    """The same function, which notes what it closes."""

    def noted(self: object) -> None:
        seen.append(self)
        close(self)

    return noted


def age(session: Session, seconds: float) -> None:
    """As if nobody had touched it for so long."""
    session.touched -= seconds


def test_a_session_is_found_by_its_token_only(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers)
    first, second = manager.open(picture, "pocket"), manager.open(picture, "pocket")
    assert manager.get(first.token) is first
    assert manager.get(second.token) is second
    assert first.token != second.token
    assert len(first.token) >= 32
    for token in (None, "", "guess", first.token[:-1]):
        with pytest.raises(SessionNotFound, match="open the clip again"):
            manager.get(token)


def test_two_sessions_on_the_same_clip_share_the_model_and_nothing_else(
    managers: list[SessionManager], picture: Path
) -> None:
    manager = manager_with(managers)
    first, second = manager.open(picture, "pocket"), manager.open(picture, "pocket")
    first.do(click())
    assert list(first.document.objects) == [1]
    assert not second.document.objects
    assert first.folder != second.folder
    assert manager.models.get("pocket") is manager.models.get("pocket")


def test_an_upload_moves_and_is_deleted_with_its_session(managers: list[SessionManager], upload: Path) -> None:
    manager = manager_with(managers)
    session = manager.ingest(upload, "pocket")
    assert not upload.exists()
    assert (session.folder / "media").is_file()
    assert (session.video.name, len(session.video)) == ("moving.gif", 5)
    manager.close(session.token)
    assert not session.folder.exists()


def test_an_example_stays_where_it_is(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers)
    manager.close(manager.open(picture, "pocket").token)
    assert picture.exists()


@pytest.mark.parametrize("content", [b"", b"not a video at all", b"\x89PNG\r\n\x1a\n broken"])
def test_a_broken_upload_is_one_sentence_and_leaves_nothing(
    managers: list[SessionManager], tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tmp_path / "places"
    places.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(places))
    manager = manager_with(managers)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    with pytest.raises(VideoError, match=r"broken\.mp4") as raised:
        manager.ingest(broken, "pocket")
    assert str(tmp_path) not in str(raised.value)
    assert len(manager) == 0
    (root,) = places.iterdir()
    assert list(root.glob("[!.]*")) == []
    manager.shut_down()
    assert list(places.iterdir()) == []


def test_an_upload_that_is_gone_is_one_sentence(managers: list[SessionManager], tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="upload it again"):
        manager_with(managers).ingest(tmp_path / "gone.mp4", "pocket")


def test_a_model_that_cannot_be_had_opens_nothing(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers)
    with pytest.raises(CheckpointError, match="sam2.1-hiera-tiny cannot be had right now; choose pocket"):
        manager.open(picture, "sam2.1-hiera-tiny")
    with pytest.raises(CheckpointError, match="no model of that name"):
        manager.open(picture, str(picture))  # a path is not a name
    assert len(manager) == 0


def test_sessions_are_limited(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(sessions=2))
    first, _ = manager.open(picture, "pocket"), manager.open(picture, "pocket")
    with pytest.raises(SessionLimit, match="all 2 places are taken"):
        manager.open(picture, "pocket")
    manager.close(first.token)
    manager.open(picture, "pocket")


def test_a_session_that_nobody_uses_goes_to_rest_and_comes_back(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(idle_seconds=60))
    idle, used = manager.open(picture, "pocket"), manager.open(picture, "pocket")
    idle.do(click())
    age(idle, 61)
    manager.sweep()
    assert len(manager) == 1
    back = manager.get(idle.token)
    assert back is not idle
    assert back is manager.get(idle.token)
    assert (back.token, back.document, back.video.name) == (idle.token, idle.document, "picture.png")
    assert manager.get(used.token) is used


def test_whoever_was_away_longest_makes_room(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(sessions=3))
    away, longer, busy = (manager.open(picture, "pocket") for _ in range(3))
    age(away, 100)
    age(longer, 200)
    age(busy, 10)
    manager.open(picture, "pocket")
    assert set(manager._sessions) > {away.token, busy.token}
    assert len(manager) == 3
    assert manager.get(longer.token).token == longer.token  # and now the other one rests
    assert away.token not in manager._sessions


def test_whoever_rests_too_long_has_ended(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(idle_seconds=60, kept_seconds=600))
    gone = manager.open(picture, "pocket")
    age(gone, 61)
    manager.sweep()
    for path in (gone.folder, *gone.folder.iterdir()):
        os.utime(path, (1e9, 1e9))
    manager.sweep()
    assert not gone.folder.exists()
    with pytest.raises(SessionNotFound, match="open the clip again"):
        manager.get(gone.token)


def test_whoever_comes_back_while_the_session_goes_to_rest_waits_for_it(
    managers: list[SessionManager], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = manager_with(managers, Limits(idle_seconds=60))
    session = manager.open(picture, "pocket")
    closing, may_end, found = threading.Event(), threading.Event(), list[Session]()
    close = session.close

    def slow_close() -> None:
        closing.set()
        may_end.wait(10)
        close()

    monkeypatch.setattr(session, "close", slow_close)
    age(session, 61)
    resting = threading.Thread(target=manager.sweep)
    resting.start()
    assert closing.wait(10)
    coming = threading.Thread(target=lambda: found.append(manager.get(session.token)))
    coming.start()
    coming.join(0.1)
    assert found == []  # two must never write the same files
    may_end.set()
    coming.join()
    resting.join()
    assert found[0] is not session


def test_only_sessions_are_deleted_from_the_root(managers: list[SessionManager], tmp_path: Path) -> None:
    folder, file = tmp_path / "holiday", tmp_path / "letter.txt"
    folder.mkdir()
    file.write_text("dear")
    for path in (folder, file):
        os.utime(path, (1e9, 1e9))
    managers.append(SessionManager(ModelPool(load), Limits(kept_seconds=600), root=tmp_path))
    managers[0].sweep()
    assert folder.exists()
    assert file.exists()


def test_sessions_survive_a_restart(managers: list[SessionManager], upload: Path, tmp_path: Path) -> None:
    managers.append(SessionManager(ModelPool(load), root=tmp_path / "root"))
    session = managers[0].ingest(upload, "pocket")
    session.do(click(1, 2))
    masklets = tracked(session)
    managers[0].shut_down()
    managers.append(SessionManager(ModelPool(load), root=tmp_path / "root"))
    back = managers[1].get(session.token)
    assert (back.video.name, back.model_name) == ("moving.gif", "pocket")
    assert back.document.masklets() == masklets
    back.do(click(1, 0))
    assert sorted(tracked(back)[1]) == [0, 1, 2, 3, 4]
    managers[1].close(session.token)
    assert list((tmp_path / "root").glob("[!.]*")) == []


def test_two_who_come_back_at_once_find_one_session(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(idle_seconds=60))
    session = manager.open(picture, "pocket")
    age(session, 61)
    manager.sweep()
    found: list[Session] = []
    threads = [threading.Thread(target=lambda: found.append(manager.get(session.token))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_tokens_are_neither_paths_nor_on_the_disk(managers: list[SessionManager], upload: Path, tmp_path: Path) -> None:
    managers.append(SessionManager(ModelPool(load), root=tmp_path / "root"))
    session = managers[0].ingest(upload, "pocket")
    for token in ("..", "/", "../root", session.folder.name, "\0", "x" * 100_000):
        with pytest.raises(SessionNotFound):
            managers[0].get(token)
    content = b"".join(path.read_bytes() for path in session.folder.rglob("*") if path.is_file())
    assert session.token.encode() not in content
    assert session.token not in str(session.folder)
    assert session.folder.stat().st_mode & 0o077 == 0


def test_a_full_disk_makes_room_by_ending_those_that_rest(managers: list[SessionManager], upload: Path) -> None:
    kept = upload.read_bytes()
    manager = manager_with(managers, Limits(idle_seconds=60))
    resting = manager.ingest(upload, "pocket")
    age(resting, 61)
    upload.write_bytes(kept)
    used = manager.ingest(upload, "pocket")
    taken = sum(path.stat().st_size for path in used.folder.parent.rglob("*") if path.is_file())
    manager.limits = Limits(total_bytes=taken, idle_seconds=60)
    upload.write_bytes(kept)
    third = manager.ingest(upload, "pocket")
    assert not resting.folder.exists()
    assert used.folder.exists()
    assert third.folder.exists()


def test_opening_that_fails_midway_leaves_nothing_open(
    managers: list[SessionManager], upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    managers.append(SessionManager(ModelPool(load), root=tmp_path / "root"))
    closed: list[object] = []
    stores: list[object] = []
    for kind, seen in ((Video, closed), (Store, stores)):
        monkeypatch.setattr(kind, "close", noting(kind.close, seen))
    with pytest.raises(CheckpointError):
        managers[0].ingest(upload, "sam2.1-hiera-tiny")
    assert len(stores) == 1
    assert len(closed) == 2  # once looked at, once opened
    assert list((tmp_path / "root").glob("[!.]*")) == []
    assert len(managers[0]) == 0


def test_bytes_and_frames_are_limited(managers: list[SessionManager], upload: Path) -> None:
    size, kept = upload.stat().st_size, upload.read_bytes()
    with pytest.raises(SessionLimit, match="cut it or scale it down"):
        manager_with(managers, Limits(upload_bytes=size - 1)).ingest(upload, "pocket")
    assert not upload.exists()
    upload.write_bytes(kept)
    with pytest.raises(VideoError, match="more than 4 frames"):
        manager_with(managers, Limits(media=MediaLimits(frames=4))).ingest(upload, "pocket")
    manager = manager_with(managers, Limits(total_bytes=2 * size - 1))  # and nobody rests
    upload.write_bytes(kept)
    manager.ingest(upload, "pocket")
    upload.write_bytes(kept)
    with pytest.raises(SessionLimit, match="no room for more clips"):
        manager.ingest(upload, "pocket")


def test_a_page_that_was_left_rests_sooner_unless_someone_comes_back(
    managers: list[SessionManager], picture: Path
) -> None:
    manager = manager_with(managers, Limits(idle_seconds=100, detached_seconds=10))
    left, back, used = (manager.open(picture, "pocket") for _ in range(3))
    manager.detach(left.token)
    manager.detach(back.token)
    manager.get(back.token)
    for session in (left, back, used):
        age(session, 11)
    manager.sweep()
    assert len(manager) == 2
    assert left.token not in manager._sessions
    assert manager.get(back.token) is back
    assert manager.get(used.token) is used
    manager.detach("unknown")
    manager.detach(None)


def test_many_threads_open_one_place_each(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(sessions=4))
    outcomes: list[str] = []

    def visit() -> None:
        try:
            outcomes.append(manager.open(picture, "pocket").token)
        except SessionLimit:
            outcomes.append("full")

    threads = [threading.Thread(target=visit) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("full") == 8
    assert len(set(outcomes)) == 5
    assert len(manager) == 4


def test_a_model_is_loaded_once_however_many_ask() -> None:
    loads = []

    def slow(name: str, *, progress: Progress | None = None) -> SAM2:
        del progress
        loads.append(name)
        return fake_model()

    pool = ModelPool(slow)
    threads = [threading.Thread(target=pool.get, args=("pocket",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["pocket"]


def test_models_that_somebody_uses_and_those_asked_for_last_are_kept() -> None:
    loads: list[str] = []

    def noted(name: str, *, progress: Progress | None = None) -> SAM2:
        del progress
        loads.append(name)
        return fake_model()

    pool = ModelPool(noted, kept=1)
    used = pool.get("pocket")
    pool.get("sam2.1-hiera-tiny")
    pool.get("sam2.1-hiera-small")
    assert pool.get("pocket") is used
    assert loads == ["pocket", "sam2.1-hiera-tiny", "sam2.1-hiera-small"]
    pool.get("sam2.1-hiera-small")  # nobody has used it since
    assert loads[3:] == ["sam2.1-hiera-small"]


def test_a_model_that_cannot_be_had_says_what_a_visitor_can_do(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CheckpointError) as raised:
        ModelPool(load).get("sam2-hiera-large")
    assert str(raised.value) == (
        "the model sam2-hiera-large cannot be had right now; choose pocket, which needs no download, or try again "
        "later. The program's log says why."
    )
    assert "the Hub cannot be reached" in caplog.text


# One budget, one folder, nobody waits for somebody else ---------------------------------------------------------------


def test_a_session_that_wakes_slowly_keeps_nobody_waiting(
    managers: list[SessionManager], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = manager_with(managers, Limits(idle_seconds=60))
    slow, quick, third = (manager.open(picture, "pocket") for _ in range(3))
    for session in (slow, quick):
        age(session, 61)
    manager.sweep()
    waking, may_go_on = threading.Event(), threading.Event()
    get, first = manager.models.get, [True]

    def slow_once(name: str) -> SAM2:
        if first:
            first.clear()
            waking.set()
            assert may_go_on.wait(60)
        return get(name)

    monkeypatch.setattr(manager.models, "get", slow_once)
    coming = threading.Thread(target=manager.get, args=(slow.token,))
    coming.start()
    assert waking.wait(60)
    assert manager.get(quick.token).token == quick.token
    assert manager.get(third.token) is third
    manager.close(third.token)
    may_go_on.set()
    coming.join()
    assert {slow.token, quick.token} == set(manager._sessions)


def test_a_session_that_is_used_again_does_not_go_to_rest(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(idle_seconds=60))
    session = manager.open(picture, "pocket")
    age(session, 61)
    ((token, since),) = manager._away(detached=60, idle=60)
    manager.get(session.token)
    manager._rest(token, since)
    assert manager.get(session.token) is session


def test_a_token_that_nobody_has_sends_nobody_to_rest(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(sessions=1))
    away = manager.open(picture, "pocket")
    age(away, 200)
    with pytest.raises(SessionNotFound):
        manager.get("guess")
    assert len(manager) == 1


def test_features_of_all_sessions_share_their_room(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(features_bytes=1))
    sessions = [manager.open(picture, "pocket") for _ in range(3)]
    for session in sessions:
        session.do(click())
    assert len(manager.memory.features._kept) == 1
    manager.close(sessions[2].token)
    assert manager.memory.features.nbytes == 0


def test_earlier_states_of_all_sessions_share_their_room(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(history_bytes=40_000))
    first, second = (manager.open(picture, "pocket") for _ in range(2))
    for session in (first, second):
        for _ in range(8):
            session.do(click())
    assert 0 < manager.memory.history.nbytes <= 40_000
    assert len(first._editor._snapshots) < len(second._editor._snapshots)  # whoever was at work longest ago gives way
    while first.can_undo:
        first.do(Undo())
    assert first.document.objects == {}
    for session in (first, second):
        manager.close(session.token)
    assert manager.memory.history.nbytes == 0


def test_when_the_memory_of_all_is_used_up_nobody_gets_more_until_somebody_rests(
    managers: list[SessionManager], picture: Path
) -> None:
    manager = manager_with(managers, Limits(work_bytes=8_000, commands_per_second=1e6))
    away, busy = manager.open(picture, "pocket"), manager.open(picture, "pocket")
    while not manager.memory.full:
        away.do(click())
    with pytest.raises(SessionLimit, match="memory that all visitors share is used up"):
        away.do(click())
    with pytest.raises(SessionLimit, match="memory that all visitors share"):
        busy.do(click())
    busy.do(AddObject(1))  # which takes nothing
    with pytest.raises(SessionLimit, match="memory that all visitors share"):
        manager.open(picture, "pocket")
    age(away, 200)
    manager.sweep()
    busy.do(click())
    assert away.token not in manager._sessions


def test_a_folder_has_one_manager(managers: list[SessionManager], tmp_path: Path) -> None:
    managers.append(SessionManager(ModelPool(load), root=tmp_path))
    with pytest.raises(SessionLimit, match="another program works in .* already; end it, or choose another folder"):
        SessionManager(ModelPool(load), root=tmp_path)
    managers[0].shut_down()
    managers.append(SessionManager(ModelPool(load), root=tmp_path))


HOLDER = """
import sys, time
from pathlib import Path
from sam2_core.session.folder_lock import FolderLock

lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_a_killed_process_holds_no_folder(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(SessionLimit, match="another program"):
        FolderLock(tmp_path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    FolderLock(tmp_path).release()
