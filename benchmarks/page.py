"""What the page costs beyond the model's own time: ``python -m benchmarks.page``.

The page is served with a model that computes next to nothing and driven in headless Chromium, so that what remains is
the way from the mouse to the screen: browser, queue, session, disk, run lengths, paint.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.page import build_page
from app.settings import launch_options
from sam2_core.config import POCKET
from sam2_core.media import VideoWriter, open_video
from sam2_core.prompts import Point
from sam2_core.session import Limits, ModelPool, SessionManager
from sam2_core.session.commands import AddObject, AddPoint
from tests.browser import chromium
from tests.browser.canvas_tab import CanvasTab
from tests.browser.studio import CLIP, Studio, browsing
from tests.fakes import fake_model

SIZE = (1280, 720)
FRAMES = 120
CLICKS = 30
PLAY_SECONDS = 3.0
WATCH = """
window.times = [];
addEventListener('painted', ({ detail }) => times.push([detail, performance.now()]));
addEventListener('pointerup', () => { window.released = performance.now(); }, true);
"""


def make_clip(folder: Path) -> Path:
    """The example at 720p."""
    path = folder / "clips" / "clip.mp4"
    path.parent.mkdir()
    with open_video(CLIP) as video, VideoWriter(path, video.fps) as writer:
        for index in range(FRAMES):
            writer.write(np.asarray(Image.fromarray(video[index]).resize(SIZE)))
    return path


def click_to_painted(tab: CanvasTab) -> list[float]:
    """Milliseconds from the release of the button until the mask is painted, for one click after the other."""
    tab.click((0.5, 0.5))  # makes the object, and the first frame's features
    waits = []
    for number in range(CLICKS):
        tab.page.evaluate("times.length = 0")
        tab.page.mouse.click(*tab.at((0.2 + 0.6 * number / CLICKS, 0.3 + 0.4 * (number % 2))))  # never on a dot
        tab.wait("times.length")
        waits.append(float(tab.page.evaluate("times[0][1] - released")))
        tab.settle()
        time.sleep(0.1)  # no more prompts a second than a visitor may say
    return waits


def click_report(waits: list[float]) -> str:
    """For people to read."""
    slow = sorted(waits)[len(waits) * 9 // 10]
    return f"click to painted mask: median {statistics.median(waits):.0f} ms, nine of ten within {slow:.0f} ms"


def seconds_to_track(tab: Studio) -> float:
    """From the key to the last painted mask."""
    start = time.perf_counter()
    tab.track(".")
    return time.perf_counter() - start


def seconds_to_track_alone(manager: SessionManager, clip: Path) -> float:
    """The same without a page."""
    session = manager.open(clip, POCKET.name)
    session.do(AddObject(1))
    session.do(AddPoint(1, 0, Point(0.5, 0.5, True)))
    start = time.perf_counter()
    session.track().wait()
    return time.perf_counter() - start


def played_rate(tab: Studio) -> float:
    """Different frames painted in a second of playback."""
    tab.page.evaluate("times.length = 0")
    tab.page.keyboard.press("Space")
    tab.wait("times.length > 5")
    tab.page.wait_for_timeout(PLAY_SECONDS * 1000)
    times: list[Any] = tab.page.evaluate("times.slice(5)")
    (first, start), (last, end) = times[0], times[-1]
    assert last > first
    return 1000 * (len({frame for frame, _ in times}) - 1) / (end - start)


def main() -> None:
    """Measure and print."""
    found = chromium.find()
    if found is None:
        raise SystemExit(chromium.MISSING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder)
        manager = SessionManager(ModelPool(lambda *_, **__: fake_model()), Limits(), folder / "sessions")
        page = build_page(manager, folder)
        _, url, _ = page.queue().launch(prevent_thread_lock=True, quiet=True, **launch_options(manager))
        with browsing(found) as browser:
            tab = Studio(browser, url)
            tab.page.evaluate(WATCH)
            tab.open_example()
            print(click_report(click_to_painted(tab)))
            streamed, alone = seconds_to_track(tab), seconds_to_track_alone(manager, clip)
            print(
                f"tracking {FRAMES} frames: {1000 * (streamed - alone) / FRAMES:.1f} ms a frame for the page, "
                f"beside {1000 * alone / FRAMES:.1f} ms without one"
            )
            print(f"playback: {played_rate(tab):.1f} of {tab.known('clip.rate'):.1f} frames a second")
        page.close()
        manager.shut_down()


if __name__ == "__main__":
    main()
