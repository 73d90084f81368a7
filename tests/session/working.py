"""Sessions on a fake model and a fake clip, and words for what people do in them."""

from __future__ import annotations

from pathlib import Path

from sam2_core.media import Video
from sam2_core.model import SAM2
from sam2_core.prompts import Point
from sam2_core.results import Masklet
from sam2_core.session import Limits, Session
from sam2_core.session.commands import AddPoint, Track
from sam2_core.session.header import Header
from sam2_core.session.scheduler import Turns
from sam2_core.session.store import Store, StoreLimits
from tests.fakes import fake_clip, fake_model

HERE, THERE = Point(0.3, 0.5), Point(0.9, 0.9)
LIMITS = Limits(commands_per_second=10_000, previews_per_second=10_000)


def session_in(
    folder: Path,
    frames: int = 20,
    *,
    limits: Limits = LIMITS,
    turns: Turns | None = None,
    model: SAM2 | None = None,
    video: Video | None = None,
) -> Session:
    """A session that is kept in a folder, or the one that was kept there."""
    folder.mkdir(exist_ok=True, parents=True)
    video = video or fake_clip(frames)
    store = Store(folder, Header.of(video, folder), StoreLimits(limits.session_bytes, limits.log_bytes))
    session = Session("token", video, store, model or fake_model(), turns or Turns(), limits)
    session.begin_with("fake")
    return session


def click(object_id: int = 1, frame_index: int = 0, point: Point = HERE) -> AddPoint:
    return AddPoint(object_id, frame_index, point)


def tracked(session: Session, command: Track | None = None) -> dict[int, Masklet]:
    """Track to the end; all masks."""
    progress = session.track(command).wait()
    assert progress.message == ""
    return session.document.masklets()
