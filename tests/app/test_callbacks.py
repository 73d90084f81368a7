"""What the page does, without a browser: the callbacks on a real, tiny model."""

from __future__ import annotations

import csv
import errno
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from app.callbacks import NOT_THIS, THIS, Callbacks
from app.page import build_page
from app.results import write_results
from app.screen import Screen
from sam2_core.config import POCKET
from sam2_core.errors import CheckpointError, Sam2Error
from sam2_core.model import SAM2
from sam2_core.prompts import Point
from sam2_core.session import Limits, ModelPool, Session, SessionManager
from sam2_core.weights import Progress
from tests.tracking.toys import toy_model

FRAMES = 6
REQUEST = SimpleNamespace(session_hash="tab")
CLICK = {"frame": 2, "x": 0.3, "y": 0.4, "positive": True}
OTHER = "sam2-hiera-tiny"
MISSING = "sam2-hiera-large"


def load(name: str, *, progress: Progress | None = None) -> SAM2:
    """Two toys; everything else fails in the middle of its download."""
    if progress is not None:
        progress(1, 2)
    if name == MISSING:
        raise CheckpointError("the Hub cannot be reached")
    return toy_model(64 if name == POCKET.name else 96)


def said(**message: object) -> Any:
    """An event from the browser."""
    return SimpleNamespace(_data=message)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.gif"
    frames = [Image.new("RGB", (64, 48), (30 * k, 60, 90)) for k in range(FRAMES)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    return path


@pytest.fixture
def manager() -> Iterator[SessionManager]:
    made = SessionManager(ModelPool(load), Limits())
    yield made
    made.shut_down()


@pytest.fixture
def do(manager: SessionManager, clip: Path) -> Callbacks:
    return Callbacks(manager, [clip])


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr("gradio.Warning", lambda message, **_: told.append(message))
    return told


def open_clip(do: Callbacks) -> str:
    """Open the example; its token."""
    *_, last = do.open_example("", POCKET.name, said(pick="0"), REQUEST)
    assert isinstance(last[0], str)
    return last[0]


def is_skip(value: object) -> bool:
    return isinstance(value, dict) and value == {"__type__": "update"}


def test_the_page_builds(manager: SessionManager) -> None:
    page = build_page(manager)
    assert all(fn.api_visibility == "private" for fn in page.fns.values() if fn.targets[0][1] != "unload")


def test_opening_shows_the_first_frame(do: Callbacks, manager: SessionManager) -> None:
    reading, opened = do.open_example("", POCKET.name, said(pick="0"), REQUEST)
    assert "Reading the clip" in reading[4]
    token, start, studio, timeline, status, *rest = opened
    shown = Screen(*rest)
    assert manager.get(token).video.name == "clip.gif"
    assert (start["visible"], studio["visible"], timeline["visible"], status) == (False, True, True, "")
    assert shown.slider == {"__type__": "update", "value": 0, "maximum": FRAMES - 1}
    assert shown.view["frame"] == 0
    assert shown.view["picture"].startswith("data:image/jpeg;base64,")
    assert shown.current_object == 1


def test_opening_another_clip_ends_the_session_before(do: Callbacks, manager: SessionManager) -> None:
    first = open_clip(do)
    list(do.open_example(first, POCKET.name, said(pick="0"), REQUEST))
    assert len(manager) == 1


def test_an_upload_is_opened_and_its_name_never_becomes_html(
    do: Callbacks, clip: Path, tmp_path: Path, warnings: list[str]
) -> None:
    upload = tmp_path / "upload.gif"
    upload.write_bytes(clip.read_bytes())
    *_, opened = do.open_upload(str(upload), "", POCKET.name, REQUEST)
    assert opened[0]
    assert not upload.exists()
    broken = tmp_path / "<img src=x>.mp4"
    broken.write_bytes(b"no video")
    *_, cleared, told = do.open_upload(str(broken), "", POCKET.name, REQUEST)
    assert cleared[4] == ""
    assert is_skip(told)
    assert len(warnings) == 1
    assert "<img" not in warnings[0]
    assert "&lt;img" in warnings[0]


def test_a_click_shows_a_mask_its_scores_and_candidates(do: Callbacks, manager: SessionManager) -> None:
    token = open_clip(do)
    shown = do.prompt(token, 1, THIS, said(**CLICK))
    assert (shown.view["frame"], shown.slider, shown.current_object) == (2, 2, 1)
    assert "IoU" in shown.objects
    assert shown.candidates.count("data-pick") == 3
    assert shown.undo["interactive"]
    assert manager.get(token).prompts(2)[1].points == (Point(0.3, 0.4),)


@pytest.mark.parametrize(
    ("kind", "button", "positive"),
    [(THIS, True, True), (THIS, False, False), (NOT_THIS, True, False), (NOT_THIS, False, False)],
)
def test_a_click_is_negative_by_button_or_by_switch(
    do: Callbacks, manager: SessionManager, kind: str, button: bool, positive: bool
) -> None:
    token = open_clip(do)
    do.prompt(token, 1, kind, said(**{**CLICK, "positive": button}))
    assert manager.get(token).prompts(2)[1].points[0].positive is positive


def test_choose_undo_redo_clear(do: Callbacks, manager: SessionManager) -> None:
    token = open_clip(do)
    session = manager.get(token)
    do.prompt(token, 1, THIS, said(**CLICK))
    do.choose(token, 2, 1, said(pick="2"))
    assert session.prompts(2)[1].candidate == 2
    shown = do.undo(token, 2, 1)
    assert session.prompts(2)[1].candidate is None
    assert shown.redo["interactive"]
    do.redo(token, 2, 1)
    assert session.prompts(2)[1].candidate == 2
    assert do.clear(token, 2, 1).candidates == ""
    assert session.object_ids == ()


def test_objects_are_added_picked_and_removed(do: Callbacks, manager: SessionManager) -> None:
    token = open_clip(do)
    do.prompt(token, 1, THIS, said(**CLICK))
    shown = do.new_object(token, 2)
    assert shown.current_object == 2
    assert "no mask here yet" in shown.objects
    do.prompt(token, 2, THIS, said(**CLICK))
    assert do.pick_object(token, 2, said(pick="1")).current_object == 1
    assert do.remove_object(token, 2, 1, said(remove="1")).current_object == 2
    assert manager.get(token).object_ids == (2,)
    assert do.remove_object(token, 2, 2, said(remove="2")).current_object == 3


def test_going_to_a_frame_stays_within_the_clip(do: Callbacks) -> None:
    token = open_clip(do)
    assert Screen(*do.seek(token, 3, 1)[:9]).slider == 3
    assert Screen(*do.step(token, 3, 1, said(by=-10))[:9]).slider == 0
    assert Screen(*do.seek_in_ribbon(token, 1, said(frame=999))[:9]).slider == FRAMES - 1


def test_tracking_streams_and_comes_back(do: Callbacks, manager: SessionManager) -> None:
    token = open_clip(do)
    do.prompt(token, 1, THIS, said(**CLICK))
    first, *_, last = do.track(token, 2, 1, "both")
    assert (first[0]["visible"], first[1]["visible"]) == (False, True)
    assert f"frame 1 of {FRAMES}" in first[2]
    assert Screen(*first[3:]).view["frame"] == 2
    assert f"Tracked {FRAMES} frames" in last[2]
    assert Screen(*last[3:]).slider == 2
    assert sorted(manager.get(token).masklets()[1]) == list(range(FRAMES))


def test_cancel_keeps_what_is_finished(do: Callbacks, manager: SessionManager) -> None:
    token = open_clip(do)
    do.prompt(token, 1, THIS, said(**CLICK))
    steps = do.track(token, 2, 1, "both")
    next(steps)
    do.cancel(token)
    *_, last = steps
    assert "Cancelled" in last[2]
    assert sorted(manager.get(token).masklets()[1]) == [2]


def test_mistakes_are_told_in_one_sentence(do: Callbacks, warnings: list[str]) -> None:
    token = open_clip(do)
    assert is_skip(do.seek("ended", 0, 1))
    assert is_skip(do.prompt(token, 1, THIS, said(frame=0, x="left", y=0, positive=True)))
    assert is_skip(do.prompt(token, 0, THIS, said(**CLICK)))
    assert [is_skip(value) for value in do.track(token, 0, 1, "both")] == [True]
    assert len(warnings) == 4
    assert all(message[0].isupper() and message.endswith(".") for message in warnings)


def test_results_hold_every_frame_and_score(do: Callbacks, manager: SessionManager) -> None:
    token = open_clip(do)
    do.prompt(token, 1, THIS, said(**CLICK))
    list(do.track(token, 2, 1, "both"))
    *progress, (status, path) = do.download(token)
    assert status == ""
    assert all("Preparing the download" in values[0] for values in progress)
    assert Path(path).name == "clip-masklets.zip"
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == sorted(
            ["overlay.mp4", "scores.csv", *(f"masks/{index:05d}.png" for index in range(FRAMES))]
        )
        rows = list(csv.DictReader(io.StringIO(archive.read("scores.csv").decode())))
        image = Image.open(io.BytesIO(archive.read("masks/00003.png")))
        labels = np.asarray(image)
    session = manager.get(token)
    assert [(row["frame"], row["object_id"]) for row in rows] == [(str(index), "1") for index in range(FRAMES)]
    assert float(rows[3]["predicted_iou"]) == pytest.approx(session.result(3)[1].predicted_iou, abs=1e-5)
    assert image.mode == "P"
    assert np.array_equal(labels, session.result(3)[1].mask.decode().astype(np.uint8))


def test_results_are_written_once_for_each_state(do: Callbacks, manager: SessionManager) -> None:
    session: Session = manager.get(open_clip(do))
    writes: list[int] = []
    first = write_results(session, lambda done, _: writes.append(done))
    again = write_results(session, lambda done, _: writes.append(done))
    assert writes == list(range(1, FRAMES + 1))
    assert first == again
    session.add_point(1, 0, Point(0.5, 0.5))
    later = write_results(session, lambda *_: None)
    assert later.archive != first.archive
    assert not first.folder.exists()
    assert not first.archive.exists()


def test_a_full_disk_is_one_sentence(do: Callbacks, manager: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    session = manager.get(open_clip(do))
    full = OSError(errno.ENOSPC, "No space left on device", "/secret/place")
    monkeypatch.setattr("app.results.zipfile.ZipFile", Mock(side_effect=full))
    with pytest.raises(Sam2Error, match=r"^the results cannot be written: No space left on device; try again later\.$"):
        write_results(session, lambda *_: None)
    assert list(session.folder.glob("results-*")) == []


def test_playing_swaps_the_frame_for_the_overlay(do: Callbacks) -> None:
    token = open_clip(do)
    *_, (status, video, player, stop, frames, play) = do.play(token)
    assert status == ""
    assert Path(video).stat().st_size > 0
    assert [value["visible"] for value in (player, stop, frames, play)] == [True, True, "hidden", False]


def test_another_model_keeps_the_prompts_and_says_what_is_lost(do: Callbacks, manager: SessionManager) -> None:
    token = open_clip(do)
    do.prompt(token, 1, THIS, said(**CLICK))
    list(do.track(token, 2, 1, "both"))
    *_, (menu, current, banner, status, *rest) = do.change_model(OTHER, POCKET.name, token, 2, 1)
    assert (menu, current) == (OTHER, OTHER)
    assert "by Meta" in banner
    assert "track again" in status
    assert Screen(*rest).candidates.count("data-pick") == 3
    session = manager.get(token)
    assert session.model_name == OTHER
    assert sorted(session.masklets()[1]) == [2]


def test_a_model_that_cannot_be_had_leaves_all_as_it_was(
    do: Callbacks, manager: SessionManager, warnings: list[str]
) -> None:
    token = open_clip(do)
    do.prompt(token, 1, THIS, said(**CLICK))
    before = manager.get(token).masklets()
    *_, back, told = do.change_model(MISSING, POCKET.name, token, 2, 1)
    assert back[0] == POCKET.name
    assert is_skip(back[1])
    assert back[3] == ""
    assert is_skip(told)
    assert warnings == ["The Hub cannot be reached"]
    assert manager.get(token).masklets() == before
    assert manager.get(token).model_name == POCKET.name


def test_the_menu_going_back_changes_nothing(do: Callbacks) -> None:
    (values,) = do.change_model(POCKET.name, POCKET.name, "", 0, 1)  # Gradio clears what a generator never yields
    assert all(is_skip(value) for value in values)


def test_an_example_that_is_not_there_is_told(do: Callbacks, warnings: list[str]) -> None:
    assert [is_skip(values) for values in do.open_example("", POCKET.name, said(pick="7"), REQUEST)] == [True]
    assert warnings == ["There is no such example; reload the page."]


def test_a_model_is_chosen_before_there_is_a_clip(do: Callbacks) -> None:
    *_, (menu, current, _, status, *rest) = do.change_model(OTHER, POCKET.name, "", 0, 1)
    assert (menu, current, status) == (OTHER, OTHER, "")
    assert all(is_skip(value) for value in rest)


def test_leaving_ends_the_session(do: Callbacks, manager: SessionManager) -> None:
    token = open_clip(do)
    token, start, studio, _ = do.leave(token)
    assert (token, start["visible"], studio["visible"]) == ("", True, False)
    assert len(manager) == 0


def test_a_closed_tab_is_detached(do: Callbacks, manager: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    token = open_clip(do)
    detached: list[str | None] = []
    monkeypatch.setattr(manager, "detach", detached.append)
    do.unload(REQUEST)
    do.unload(REQUEST)
    assert detached == [token, None]
