"""Whatever is uploaded opens a session in which a click gives a mask, or is refused in one sentence."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from av.codec.codec import UnknownCodecError

from app.callbacks import Callbacks
from sam2_core.config import POCKET
from sam2_core.media import encode_jpeg, open_video, write_proxy
from sam2_core.rle import Rle
from sam2_core.session import Limits, ModelPool, Session, SessionManager
from tests.app.uploads import UPLOADS, Upload
from widgets.conversation import Conversation
from widgets.protocol import Message

SENTENCE = re.compile(r"[A-Z'&][^\n<>]{20,250}\.")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture(scope="module")
def manager(root: Path) -> Iterator[SessionManager]:
    made = SessionManager(ModelPool(), Limits(), root)
    yield made
    made.shut_down()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the page says."""
    sentences: list[str] = []
    monkeypatch.setattr("gradio.Warning", lambda sentence, **_: sentences.append(sentence))
    return sentences


def answer(session: Session, op: str, **fields: object) -> list[Message]:
    return [each for batch in Conversation(session).answer({"v": 1, "op": op, **fields}) for each in batch]


@pytest.mark.parametrize("upload", [pytest.param(upload, id=kind) for kind, upload in UPLOADS.items()])
def test_an_upload_is_ready_for_masks_or_one_sentence(
    upload: Upload, manager: SessionManager, root: Path, told: list[str], tmp_path: Path
) -> None:
    path = tmp_path / upload.name
    try:
        upload.make(path)
    except UnknownCodecError:
        pytest.skip(f"FFmpeg was built here without an encoder for {upload.name}")
    *_, opened = Callbacks(manager, []).open_upload("", [str(path)], POCKET.name)
    if upload.size is None:
        assert len(told) == 1
        assert SENTENCE.fullmatch(told[0])
        assert not path.exists()
        assert list(root.glob("[!.]*")) == []
        return

    assert told == []
    (state,) = json.loads(opened[0])["messages"]
    assert bool(state["clip"]["notice"]) == bool(upload.notice)
    assert upload.notice in state["clip"]["notice"]
    height, width = upload.size
    assert (state["clip"]["height"], state["clip"]["width"], state["clip"]["name"]) == (height, width, upload.name)
    session = manager.get(state["token"])
    last = len(session.video) - 1
    if upload.frames is not None:
        assert last == upload.frames - 1
    assert encode_jpeg(session.video[last]).startswith(b"\xff\xd8")
    answer(session, "add_object")
    result, *_ = answer(session, "click", obj=1, frame=last, x=0.5, y=0.5, positive=True)
    assert Rle(height, width, result["masks"][0]["rle"]).decode().shape == (height, width)
    if not session.video.is_image:
        write_proxy(session.video, tmp_path / "proxy.mp4")
        with open_video(tmp_path / "proxy.mp4") as proxy:
            assert len(proxy) == last + 1
    manager.close(session.token)
