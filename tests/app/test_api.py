"""What scripts call, through the real client against a running server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from pycocotools import mask as coco

from app.page import build_page
from app.settings import launch_options
from sam2_core.session import ModelPool, SessionManager
from tests.app.conftest import FRAMES, load
from tests.fakes import HEIGHT, WIDTH

CLICK = {"object": 3, "points": [[10.0, 12, 1]]}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    manager = SessionManager(ModelPool(load), root=folder / "sessions")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        page: gr.Blocks = build_page(manager, folder)
        options = launch_options(manager)
        _, local, _ = page.queue().launch(prevent_thread_lock=True, server_name="127.0.0.1", quiet=True, **options)
        yield local
        page.close()
    manager.shut_down()


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


def pixels(answer: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The mask of an answer, as pycocotools reads it."""
    decoded: np.ndarray[Any, np.dtype[np.uint8]] = coco.decode(answer["segmentation"])
    return decoded


def test_a_picture_and_a_click_give_a_mask(client: Client, clip: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    Image.open(clip).convert("RGB").save(picture)
    (answer,) = client.predict(handle_file(str(picture)), [CLICK], api_name="/segment_image")
    assert answer["object"] == 3
    assert answer["predicted_iou"] == pytest.approx(0.8)
    assert pixels(answer).shape == (HEIGHT, WIDTH)
    assert pixels(answer)[12, 10] == 1


def test_a_video_and_a_box_give_masks_of_all_frames_as_they_come(client: Client, clip: Path) -> None:
    box = {"object": 1, "frame": 2, "box": [4, 8, 12, 16]}
    job = client.submit(handle_file(str(clip)), [box], direction="both", api_name="/track_video")
    job.result(60)
    answers = job.outputs()
    assert sorted({answer["frame"] for answer in answers}) == list(range(FRAMES))
    assert [answer["done"] for answer in answers] == list(range(1, len(answers) + 1))
    assert answers[-1]["total"] == len(answers)
    assert all(pixels(answer["masks"][0]).any() for answer in answers)


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([], {}, "1 to 200 objects"),
        ("click", {}, "1 to 200 objects"),
        ([7], {}, "a prompt is an object"),
        ([{"points": 5}], {}, "points are a list"),
        ([{"points": [[1, 2]]}], {}, "a point is"),
        ([{"points": [["1", 2, 1]]}], {}, "a point is"),
        ([{"points": [[1000, 2, 1]]}], {}, "inside the frame"),
        ([{"points": [[10**400, 2, 1]]}], {}, "a point is"),
        ([{"box": [5, 5, 5, 5]}], {}, "has an area"),
        ([{"object": 1}], {}, "at least one point"),
        ([{**CLICK, "object": 300}], {}, "from 1 to 255"),
        ([{**CLICK, "frame": FRAMES}], {}, f"from 0 to {FRAMES - 1}"),
        ([CLICK], {"model": "../../secret.pt"}, "no model of that name"),
        ([CLICK], {"model": ["pocket"]}, "no model of that name"),
        ([CLICK], {"direction": "up"}, "forward, backward or both"),
        ([CLICK], {"direction": ["both"]}, "forward, backward or both"),
    ],
)
def test_bad_input_is_one_sentence(
    client: Client, clip: Path, prompts: object, options: dict[str, object], message: str
) -> None:
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(str(clip)), prompts, api_name="/track_video", **options)


def test_a_file_that_is_no_picture_is_one_sentence(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("hello")
    with pytest.raises(AppError, match="neither a video"):
        client.predict(handle_file(str(path)), [CLICK], api_name="/segment_image")


@pytest.mark.parametrize(
    "file",
    [
        "{secret}",
        None,
        7,
        {"path": "{secret}"},
        {"path": "{secret}", "meta": {"_type": "gradio.FileData"}},
        {"path": "file://{secret}", "meta": {"_type": "gradio.FileData"}},
    ],
)
def test_no_file_of_the_server_can_be_named(url: str, clip: Path, file: Any) -> None:
    if isinstance(file, str):
        file = str(clip)
    elif isinstance(file, dict):
        file = {**file, "path": file["path"].replace("{secret}", str(clip))}
    started = httpx.post(f"{url}gradio_api/call/segment_image", json={"data": [file, [CLICK], "pocket"]})
    told = httpx.get(f"{url}gradio_api/call/segment_image/{started.json()['event_id']}", timeout=30)
    assert "event: error" in told.text
    assert "segmentation" not in told.text
