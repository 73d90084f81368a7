"""What the page does, without a browser: the callbacks on fake models."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from PIL import Image

from app.callbacks import Callbacks
from app.page import build_page
from sam2_core.config import POCKET
from sam2_core.prompts import Point
from sam2_core.session import Limits, ModelPool, Session, SessionManager
from sam2_core.session.commands import AddPoint, Undo
from tests.app.conftest import FRAMES, MISSING, OTHER, load
from widgets.protocol import Message

REQUEST: Any = SimpleNamespace(session_hash="tab")
CLICK = {"v": 1, "op": "click", "frame": 2, "obj": 1, "x": 0.3, "y": 0.5, "positive": True}
HERE = AddPoint(1, 0, Point(0.3, 0.5))


def event(**data: object) -> Any:
    """As Gradio passes it on."""
    return SimpleNamespace(_data=data)


def said(do: Callbacks, token: str, message: Mapping[str, object]) -> list[Message]:
    """All answers to one message of the canvas."""
    answers = do.said(event(token=token, message={"rid": 7, **message}), REQUEST)
    return [each for value in answers for each in messages(value, token)]


def messages(value: str, token: object) -> list[Message]:
    """What the canvas is told about a session."""
    told = json.loads(value)
    assert told["token"] == token
    found: list[Message] = told["messages"]
    return found


def ops(messages: list[Message]) -> list[str]:
    return [message["op"] for message in messages]


def is_skip(value: object) -> bool:
    return value == {"__type__": "update"}


def opened(values: tuple[Any, ...]) -> str:
    """The token of the session that the canvas is shown."""
    (state,) = messages(values[0], None)
    assert state["op"] == "state"
    assert isinstance(state["token"], str)
    return state["token"]


def uploaded(clip: Path, name: str = "upload.gif") -> str:
    return shutil.copy(clip, clip.with_name(name))


# The canvas


def test_a_click_is_answered_with_masks_and_state(do: Callbacks, session: Session) -> None:
    answers = said(do, session.token, CLICK)
    assert ops(answers) == ["results", "state"]
    assert {answer["rid"] for answer in answers} == {7}
    assert [mask["obj"] for mask in answers[0]["masks"]] == [1]


def test_tracking_streams_to_its_end(do: Callbacks, session: Session) -> None:
    said(do, session.token, CLICK)
    answers = said(do, session.token, {"v": 1, "op": "track", "direction": "both"})
    assert ops(answers)[-2:] == ["done", "state"]
    assert {answer["frame"] for answer in answers if answer["op"] == "results"} == set(range(FRAMES))


@pytest.mark.parametrize("data", [{}, {"token": 7}, {"token": ["x"], "message": None}, {"message": {"v": 1}}])
def test_a_canvas_without_a_session_is_shown_none(do: Callbacks, data: dict[str, object], warnings: list[str]) -> None:
    answers = [messages(value, data.get("token")) for value in do.said(event(**data), REQUEST)]
    assert [(message["op"], message["clip"]) for (message,) in answers] == [("state", None)]
    assert len(warnings) == ("token" in data)


def test_an_ended_session_is_told_once_and_forgotten(do: Callbacks, warnings: list[str]) -> None:
    (state,) = said(do, "x" * 32, {"v": 1, "op": "hello"})
    assert (state["op"], state["token"], state["rid"]) == ("state", "", 7)
    assert warnings == ["This session has ended, after a long pause; open the clip again."]


def test_while_all_places_are_taken_a_session_is_not_forgotten(clip: Path, tmp_path: Path, warnings: list[str]) -> None:
    manager = SessionManager(ModelPool(load), Limits(sessions=1), tmp_path / "one")
    resting = manager.open(clip, POCKET.name).token
    manager.detach(resting)
    manager._sessions[resting].touched -= 3600
    manager.open(clip, POCKET.name)
    (error,) = said(Callbacks(manager, []), resting, {"v": 1, "op": "hello"})
    assert (error["op"], error["code"], error["rid"]) == ("error", "SessionLimit", 7)
    assert len(warnings) == 1
    manager.shut_down()


def test_a_closed_tab_is_detached(
    do: Callbacks, session: Session, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(do, session.token, {"v": 1, "op": "hello"})
    detached: list[str | None] = []
    monkeypatch.setattr(manager, "detach", detached.append)
    do.unload(REQUEST)
    do.unload(REQUEST)
    assert detached == [session.token, None]


def test_a_reloaded_page_shows_what_suits_its_session(do: Callbacks, session: Session) -> None:
    formats, status, model, current, banner = do.attach(session.token, "")
    assert ("Overlay video", "overlay") in formats["choices"]
    assert ("Overlay picture", "overlay-picture") not in formats["choices"]
    assert (status, model["value"], current) == ("", POCKET.name, POCKET.name)
    assert "not SAM 2.1" in banner
    assert do.attach(session.token, "coco")[0]["value"] == "coco"  # which was chosen before
    assert do.attach(session.token, "overlay-picture")[0]["value"] == formats["value"]  # not for this clip
    assert all(map(is_skip, do.attach("", "")))


# Clips


def test_opening_an_example(do: Callbacks, manager: SessionManager) -> None:
    reading, last = do.open_example("", POCKET.name, event(pick="0"))
    assert "Reading the clip" in reading[1]
    assert manager.get(opened(last)).video.name == "a red square.gif"
    assert last[1] == ""


def test_opening_another_clip_ends_the_session_before(do: Callbacks, session: Session, manager: SessionManager) -> None:
    list(do.open_example(session.token, POCKET.name, event(pick="0")))
    assert len(manager) == 1


def test_an_example_that_is_not_there_is_told(do: Callbacks, warnings: list[str]) -> None:
    (values,) = do.open_example("", POCKET.name, event(pick="7"))
    assert is_skip(values[0])
    assert warnings == ["There is no such example; reload the page."]


def test_a_broken_upload_leaves_the_session_and_its_name_never_becomes_html(
    do: Callbacks, session: Session, manager: SessionManager, tmp_path: Path, warnings: list[str]
) -> None:
    broken = tmp_path / "<img src=x>.mp4"
    broken.write_bytes(b"no video")
    *_, cleared = do.open_upload(session.token, [str(broken)], POCKET.name)
    assert is_skip(cleared[0])
    assert cleared[1] == ""
    assert len(warnings) == 1
    assert "&lt;img" in warnings[0]
    assert "<img" not in warnings[0]
    assert manager.get(session.token) is session
    assert not broken.exists()


def test_pictures_become_a_clip_in_the_order_that_people_expect(
    do: Callbacks, manager: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    for number in (10, 9, 2):
        Image.new("RGB", (32, 24), (number, 0, 0)).save(tmp_path / f"shot {number}.png")
    paths = [str(tmp_path / f"shot {number}.png") for number in (10, 9, 2)]
    *_, last = do.open_upload("", paths, POCKET.name)
    video = manager.get(opened(last)).video
    assert [int(frame[0, 0, 0]) for frame in video] == [2, 9, 10]
    assert video.name == "3 pictures"
    assert video.frame_names == ("shot 2.png", "shot 9.png", "shot 10.png")
    assert list(temporary.iterdir()) == []


def test_a_project_brings_its_pictures_along(do: Callbacks, manager: SessionManager, tmp_path: Path) -> None:
    for number in (1, 2):
        Image.new("RGB", (32, 24), (number, 0, 0)).save(tmp_path / f"{number}.PNG")
    *_, last = do.open_upload("", [str(tmp_path / "2.PNG"), str(tmp_path / "1.PNG")], POCKET.name)
    token = opened(last)
    list(do.save_project(token))
    project = manager.get(token).folder / "exports" / "2_pictures-project.zip"
    *_, last = do.open_project(token, uploaded(project, "p.zip"))
    video = manager.get(opened(last)).video
    assert [int(frame[0, 0, 0]) for frame in video] == [1, 2]
    assert video.name == "2 pictures"
    assert video.frame_names == ("1.PNG", "2.PNG")
    manager._rest(opened(last))
    assert manager.get(opened(last)).video.frame_names == ("1.PNG", "2.PNG")


def test_pictures_of_one_name_from_different_folders_are_all_there(
    do: Callbacks, manager: SessionManager, tmp_path: Path
) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (32, 24)).save(tmp_path / folder / "shot.png")
    *_, last = do.open_upload("", [str(tmp_path / folder / "shot.png") for folder in "abc"], POCKET.name)
    assert sorted(manager.get(opened(last)).video.frame_names) == ["shot (2).png", "shot (3).png", "shot.png"]


def test_a_picture_of_another_size_is_called_by_its_name(do: Callbacks, tmp_path: Path, warnings: list[str]) -> None:
    Image.new("RGB", (32, 24)).save(tmp_path / "dawn.png")
    Image.new("RGB", (24, 32)).save(tmp_path / "dusk.png")
    list(do.open_upload("", [str(tmp_path / "dusk.png"), str(tmp_path / "dawn.png")], POCKET.name))
    assert warnings == [
        "All pictures of one clip have one size; &#x27;dawn.png&#x27; is 32 x 24 and &#x27;dusk.png&#x27; is 24 x 32."
    ]


def test_a_video_among_pictures_is_not_dropped_in_silence(
    do: Callbacks, manager: SessionManager, clip: Path, warnings: list[str]
) -> None:
    list(do.open_upload("", [uploaded(clip, "a.png"), uploaded(clip, "b.mp4")], POCKET.name))
    assert len(manager) == 0
    assert "only if all of them are pictures" in warnings[0]


def test_all_pictures_count_for_the_size_of_an_upload(clip: Path, tmp_path: Path, warnings: list[str]) -> None:
    size = clip.stat().st_size
    manager = SessionManager(ModelPool(load), Limits(upload_bytes=2 * size), tmp_path / "small")
    do = Callbacks(manager, [])
    list(do.open_upload("", [uploaded(clip, f"{k}.png") for k in range(3)], POCKET.name))
    assert len(manager) == 0
    assert "a clip may have" in warnings[0].lower()
    manager.shut_down()


def test_a_project_is_saved_and_opened(do: Callbacks, session: Session, manager: SessionManager) -> None:
    session.do(HERE)
    *_, link = do.save_project(session.token)
    assert f"gradio_api/masklet/{session.token}/export/a_red_square-project.zip" in link
    upload = session.folder / "exports" / "a_red_square-project.zip"
    *_, last = do.open_project("", uploaded(upload, "p.zip"))
    assert manager.get(opened(last)).document == session.document


# Masks in and out


def test_an_export_is_a_link_and_the_file_before_it_is_gone(do: Callbacks, session: Session) -> None:
    session.do(HERE)
    for name, file in (("coco", "a_red_square-coco.json"), ("davis", "a_red_square-davis.zip")):
        *_, link = do.export(session.token, name)
        assert f'href="gradio_api/masklet/{session.token}/export/{file}"' in link
        assert [path.name for path in (session.folder / "exports").iterdir()] == [file]


def test_nothing_to_export_is_said(do: Callbacks, session: Session, warnings: list[str]) -> None:
    *_, cleared = do.export(session.token, "coco")
    assert cleared == ""
    assert warnings == ["There is no mask to export yet; click an object first."]


def test_a_format_that_is_not_there_is_said(do: Callbacks, session: Session, warnings: list[str]) -> None:
    assert list(do.export(session.token, "../secret")) == [""]
    assert "there is no export format" in warnings[0].lower()


def test_an_export_is_bounded(clip: Path, tmp_path: Path, warnings: list[str]) -> None:
    manager = SessionManager(ModelPool(load), Limits(session_bytes=3000), tmp_path / "small")
    session = manager.open(clip, POCKET.name)
    session.do(HERE)
    (session.folder / "exports").mkdir()
    (session.folder / "exports" / ".large.partial").write_bytes(bytes(4000))
    assert list(Callbacks(manager, []).export(session.token, "cutout"))[-1] == ""
    assert "choose another format" in warnings[0]
    manager.shut_down()


def test_a_full_disk_is_one_sentence(
    do: Callbacks, session: Session, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/secret/place")
    monkeypatch.setattr(Session, "save_project", Mock(side_effect=full))
    assert list(do.save_project(session.token))[-1] == ""
    assert warnings == ["&#x27;a_red_square-project.zip&#x27; cannot be written: No space left on device."]


def test_the_script_is_python(do: Callbacks, session: Session) -> None:
    session.do(HERE)
    *_, link = do.save_script(session.token)
    assert "a_red_square.py" in link
    script = (session.folder / "exports" / "a_red_square.py").read_text()
    compile(script, "script", "exec")
    assert "AddPoint(object_id=1" in script


def test_an_export_comes_back_as_new_objects_in_one_step(do: Callbacks, session: Session) -> None:
    session.do(HERE)
    session.track().wait()
    list(do.export(session.token, "sav"))
    exported = uploaded(session.folder / "exports" / "a_red_square-sav.json", "masks.json")
    *_, (value, status) = do.import_masks(session.token, exported)
    assert f"Imported masks: {FRAMES}, new objects: 1." in status
    (state,) = messages(value, session.token)
    assert [each["obj"] for each in state["objects"]] == [1, 2]
    mine, theirs = session.document.masklets().values()
    assert [mask.mask for mask in theirs.values()] == [mine[frame].mask for frame in range(FRAMES)]
    session.do(Undo())
    assert list(session.document.objects) == [1]


def test_masks_that_cannot_be_read_are_one_sentence(
    do: Callbacks, session: Session, tmp_path: Path, warnings: list[str]
) -> None:
    path = tmp_path / "masks.json"
    path.write_text("[1, 2")
    *_, cleared = do.import_masks(session.token, str(path))
    assert is_skip(cleared[0])
    assert cleared[1] == ""
    assert len(warnings) == 1


# Models


def test_another_model_answers_anew(do: Callbacks, session: Session) -> None:
    session.do(HERE)
    *_, (menu, current, banner, status, value) = do.change_model(session.token, OTHER, POCKET.name)
    assert (menu["value"], current, status) == (OTHER, OTHER, "")
    assert "by Meta" in banner
    (state,) = messages(value, session.token)
    assert state["model"] == {"name": OTHER, "note": ""}
    assert session.model_name == OTHER


def test_a_model_that_cannot_be_had_leaves_all_as_it_was(do: Callbacks, session: Session, warnings: list[str]) -> None:
    *_, last = do.change_model(session.token, MISSING, POCKET.name)
    assert last[0] == POCKET.name
    assert last[3] == ""
    assert is_skip(last[1])
    (told,) = warnings
    assert told.startswith(f"The model {MISSING} cannot be had right now; choose pocket")
    assert session.model_name == POCKET.name


def test_the_menu_going_back_changes_nothing(do: Callbacks) -> None:
    (values,) = do.change_model("", POCKET.name, POCKET.name)  # Gradio clears what a generator never yields
    assert all(map(is_skip, values))


def test_a_model_is_chosen_before_there_is_a_clip(do: Callbacks) -> None:
    *_, (menu, current, _, status, value) = do.change_model("", OTHER, POCKET.name)
    assert (menu["value"], current, status) == (OTHER, OTHER, "")
    assert is_skip(value)


# The page


def test_scripts_see_two_endpoints(manager: SessionManager) -> None:
    info = build_page(manager).get_api_info()
    assert info is not None
    assert sorted(info["named_endpoints"]) == ["/segment_image", "/track_video"]
    image, _, model = info["named_endpoints"]["/segment_image"]["parameters"]
    assert (image["python_type"]["type"], model["parameter_default"]) == ("filepath", "pocket")
    (answer,) = info["named_endpoints"]["/segment_image"]["returns"]
    assert "segmentation" in answer["type"]["items"]["properties"]
