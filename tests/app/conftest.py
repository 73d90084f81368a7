"""A manager of sessions on fake models, and a clip on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.callbacks import Callbacks
from sam2_core.config import POCKET
from sam2_core.errors import CheckpointError
from sam2_core.model import SAM2
from sam2_core.session import ModelPool, Session, SessionManager
from sam2_core.weights import Progress
from tests.fakes import fake_clip, fake_model

FRAMES = 8
OTHER, MISSING = "sam2.1-hiera-tiny", "sam2-hiera-large"


def load(name: str, *, progress: Progress | None = None) -> SAM2:
    """Fakes for all names but one, which fails in the middle of its download."""
    if progress is not None:
        progress(1, 2)
    if name == MISSING:
        raise CheckpointError("the Hub cannot be reached")
    return fake_model()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "a red square.gif"
    first, *others = [Image.fromarray(frame) for frame in fake_clip(FRAMES)]
    first.save(path, save_all=True, append_images=others, duration=40)
    return path


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SessionManager]:
    made = SessionManager(ModelPool(load), root=tmp_path / "sessions")
    yield made
    made.shut_down()


@pytest.fixture
def session(manager: SessionManager, clip: Path) -> Session:
    return manager.open(clip, POCKET.name)


@pytest.fixture
def do(manager: SessionManager, clip: Path) -> Callbacks:
    return Callbacks(manager, [clip])


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr("gradio.Warning", lambda message, **_: told.append(message))
    return told
