"""The routes beside Gradio's: what they serve, to whom, and what not."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.proxies import Proxies
from app.results import make_file
from app.routes import PREFIX, export_url, routes, static_url
from sam2_core.config import POCKET
from sam2_core.errors import VideoError
from sam2_core.session import Session, SessionManager
from sam2_core.session.commands import AddObject
from tests.app.conftest import FRAMES
from tests.fakes import HEIGHT, WIDTH

HOVER = {"v": 1, "rid": 3, "op": "hover", "frame": 0, "obj": 1, "x": 0.3, "y": 0.5, "positive": True}


@pytest.fixture
def client(manager: SessionManager) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes(manager, Proxies()))) as made:
        yield made


def address(session: Session, path: str) -> str:
    return f"{PREFIX}/{session.token}/{path}"


@pytest.mark.parametrize(("name", "kind"), [("mask_canvas.js", "text/javascript"), ("mask_canvas.css", "text/css")])
def test_the_canvas_is_served_and_kept_for_ever(client: TestClient, name: str, kind: str) -> None:
    answer = client.get(static_url(name))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/protocol.py",
        "/static/x/..%2f..%2fapp.py",
        "/static/x/%2e%2e/app.py",
        "/nobody/frame/0.jpg",
        "/nobody/clip.mp4",
        "/nobody/export/x.zip",
        "/..%2f..%2fetc/frame/0.jpg",
        "//frame/0.jpg",
    ],
)
def test_nothing_else_is_there(client: TestClient, session: Session, path: str) -> None:
    assert client.get(PREFIX + path).status_code == 404
    assert session.token not in client.get(PREFIX + path).text


def test_a_frame_is_a_jpeg_for_its_visitor_alone(client: TestClient, session: Session) -> None:
    answer = client.get(address(session, f"frame/{FRAMES - 1}.jpg"))
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert Image.open(io.BytesIO(answer.content)).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(("frame", "status"), [(str(FRAMES), 422), ("-1", 404), ("x", 404), ("1e3", 404)])
def test_a_frame_that_is_not_there_is_one_sentence(
    client: TestClient, session: Session, frame: str, status: int
) -> None:
    answer = client.get(address(session, f"frame/{frame}.jpg"))
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_the_clip_is_made_once_and_answers_ranges(client: TestClient, session: Session) -> None:
    whole = client.get(address(session, "clip.mp4"))
    assert whole.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(whole.content)) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES
    made = (session.folder / "proxy.mp4").stat().st_mtime_ns
    part = client.get(address(session, "clip.mp4"), headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert (session.folder / "proxy.mp4").stat().st_mtime_ns == made


def test_whoever_goes_away_ends_the_making_of_a_clip_for_nobody(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, may_end = list[Path](), threading.Event()

    def make(_video: object, path: Path) -> None:
        made.append(path)
        assert may_end.wait(60)
        path.write_bytes(b"clip")

    monkeypatch.setattr("app.proxies.write_proxy", make)

    async def visits() -> list[Path]:
        proxies = Proxies()
        impatient, patient = (asyncio.create_task(proxies.of(session)) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
        late = asyncio.create_task(proxies.of(session))
        await asyncio.sleep(0)
        may_end.set()
        paths = list(await asyncio.gather(patient, late))
        assert proxies._making == {}
        return paths

    path = session.folder / "proxy.mp4"
    assert asyncio.run(visits()) == [path, path]
    assert made == [path]


def test_a_clip_that_could_not_be_made_is_tried_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_video: object, _path: Path) -> None:
        raise VideoError("the disk is full")

    async def visits() -> Path:
        proxies = Proxies()
        for _ in range(2):
            with pytest.raises(VideoError, match="the disk is full"):
                await proxies.of(session)
        monkeypatch.undo()
        return await proxies.of(session)

    monkeypatch.setattr("app.proxies.write_proxy", fail)
    assert asyncio.run(visits()).exists()


def test_a_clip_that_is_gone_is_one_sentence_and_leaves_nothing(
    client: TestClient, session: Session, clip: Path
) -> None:
    clip.unlink()
    answer = client.get(address(session, "clip.mp4"))
    assert answer.status_code == 422
    assert "not on the disk" in answer.text
    assert list(session.folder.glob("*proxy*")) == []


def test_a_file_to_take_home_has_its_name_and_no_other_is_there(client: TestClient, session: Session) -> None:
    make_file(session, "größe.json", lambda path: path.write_text("{}"))
    answer = client.get("/" + export_url(session, "größe.json"))
    assert answer.text == "{}"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''gr%C3%B6%C3%9Fe.json"
    for name in ("other.json", "..%2fsession.json", "..", "%2e%2e%2fsession.json", "*"):
        assert client.get(address(session, f"export/{name}")).status_code == 404


def test_hovering_changes_nothing(client: TestClient, session: Session) -> None:
    session.do(AddObject(1))
    before = session.revision
    (message,) = client.post(address(session, "hover"), content=json.dumps(HOVER)).json()
    assert (message["op"], message["rid"], message["obj"]) == ("hover", 3, 1)
    assert session.revision == before


@pytest.mark.parametrize(
    ("question", "status"),
    [
        (b" " * 4097, 413),
        (b"no json", 422),
        (b"[" * 4000, 422),
        (b"[]", 422),
        (b'{"v": 1, "op": "track", "direction": "both"}', 422),
    ],
)
def test_other_questions_are_refused(client: TestClient, session: Session, question: bytes, status: int) -> None:
    assert client.post(address(session, "hover"), content=question).status_code == status
    assert session.job is None


def test_a_question_that_cannot_be_answered_is_an_error_message(client: TestClient, session: Session) -> None:
    (message,) = client.post(address(session, "hover"), content=json.dumps({**HOVER, "frame": FRAMES})).json()
    assert (message["op"], message["rid"]) == ("error", 3)


def test_two_sessions_do_not_see_each_other(
    client: TestClient, session: Session, manager: SessionManager, clip: Path
) -> None:
    other = manager.open(clip, POCKET.name)
    make_file(session, "mine.json", lambda path: path.write_text("{}"))
    assert client.get(address(other, "export/mine.json")).status_code == 404
