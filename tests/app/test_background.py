"""Work in a thread tells how far it is and hands on what it made, or what went wrong."""

import asyncio
import threading
import time

import pytest

from app.background import Background, Progress, in_words
from sam2_core.errors import CheckpointError


def test_progress_comes_while_the_work_goes_on() -> None:
    seen = threading.Event()

    def work(progress: object) -> str:
        assert callable(progress)
        progress(3, 10)
        assert seen.wait(10)
        return "made"

    background = Background(work)
    for progress in background.progress():
        if progress.done == 3:
            assert progress.fraction == pytest.approx(0.3)
            seen.set()
    assert background.result() == "made"


def test_an_error_reaches_whoever_wants_the_result() -> None:
    def work(_: object) -> None:
        raise CheckpointError("no such file")

    background = Background(work)
    for _ in background.progress():
        pass
    with pytest.raises(CheckpointError, match="no such file"):
        background.result()


def test_several_wait_in_an_event_loop() -> None:
    async def both() -> tuple[int, int]:
        background = Background(lambda _: 7)
        impatient = asyncio.ensure_future(background.finished())
        impatient.cancel()
        return await background.finished(), await background.finished()

    assert asyncio.run(both()) == (7, 7)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "a second"), (12.4, "12 seconds"), (89, "89 seconds"), (200, "3 minutes")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_time_that_is_left() -> None:
    began = time.monotonic() - 10
    assert Progress(20, 60, began).remaining() == "about 20 seconds left"
    assert Progress(0, 60, began).remaining() == ""
    assert Progress(60, 60, began).remaining() == ""
    assert Progress(0, 0).fraction == 0
