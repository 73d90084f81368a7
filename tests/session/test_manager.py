"""Who may open a session, how it is found, when it ends."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_core.config import POCKET
from sam2_core.errors import CheckpointError, SessionLimit, SessionNotFound, VideoError
from sam2_core.media import MediaLimits
from sam2_core.model import SAM2
from sam2_core.prompts import Point
from sam2_core.session import Limits, ModelPool, Session, SessionManager
from sam2_core.weights import Progress
from tests.tracking.toys import toy_model


def load(name: str, *, progress: Progress | None = None) -> SAM2:
    """The toy for ``pocket``, an error for everything else."""
    del progress
    if name != POCKET.name:
        raise CheckpointError("the Hub cannot be reached")
    return toy_model()


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
    first.add_point(1, 0, Point(0.5, 0.5))
    assert second.object_ids == ()
    assert second.masklets() == {}
    assert first.folder != second.folder
    assert manager.models.get("pocket") is manager.models.get("pocket")


def test_an_upload_moves_and_is_deleted_with_its_session(managers: list[SessionManager], upload: Path) -> None:
    manager = manager_with(managers)
    session = manager.ingest(upload, "pocket")
    assert not upload.exists()
    assert [path.name for path in session.folder.iterdir()] == ["moving.gif"]
    assert len(session.video) == 5
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
    assert list(places.iterdir()) == []


def test_an_upload_that_is_gone_is_one_sentence(managers: list[SessionManager], tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="upload it again"):
        manager_with(managers).ingest(tmp_path / "gone.mp4", "pocket")


def test_a_model_that_cannot_be_had_opens_nothing(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers)
    with pytest.raises(CheckpointError, match="cannot be reached"):
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


def test_a_place_that_nobody_uses_makes_room(managers: list[SessionManager], picture: Path) -> None:
    manager = manager_with(managers, Limits(sessions=1, idle_seconds=60))
    idle = manager.open(picture, "pocket")
    age(idle, 61)
    fresh = manager.open(picture, "pocket")
    assert manager.get(fresh.token) is fresh
    with pytest.raises(SessionNotFound):
        manager.get(idle.token)


def test_bytes_and_frames_are_limited(managers: list[SessionManager], upload: Path) -> None:
    size, kept = upload.stat().st_size, upload.read_bytes()
    with pytest.raises(SessionLimit, match="cut it or scale it down"):
        manager_with(managers, Limits(upload_bytes=size - 1)).ingest(upload, "pocket")
    assert not upload.exists()
    upload.write_bytes(kept)
    with pytest.raises(VideoError, match="more than 4 frames"):
        manager_with(managers, Limits(media=MediaLimits(frames=4))).ingest(upload, "pocket")
    manager = manager_with(managers, Limits(total_bytes=2 * size - 1))
    upload.write_bytes(kept)
    manager.ingest(upload, "pocket")
    upload.write_bytes(kept)
    with pytest.raises(SessionLimit, match="no room for more clips"):
        manager.ingest(upload, "pocket")


def test_a_page_that_was_left_ends_sooner_unless_someone_comes_back(
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
    with pytest.raises(SessionNotFound):
        manager.get(left.token)
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
        return toy_model()

    pool = ModelPool(slow)
    threads = [threading.Thread(target=pool.get, args=("pocket",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["pocket"]
