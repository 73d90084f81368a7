"""What the notebook's widget costs beyond the model's own time: ``python -m benchmarks.widget``.

As ``benchmarks.page`` does for the page: a model that computes next to nothing, in real JupyterLab in headless
Chromium, so that what remains is the way from the mouse to the screen: browser, web socket, kernel, session, disk, run
lengths as buffers, paint.
"""

import json
import tempfile
import time
from pathlib import Path

from benchmarks.page import FRAMES, SIZE, WATCH, click_report, click_to_painted, make_clip
from tests.browser import chromium
from tests.browser.studio import browsing
from tests.jupyter.lab import LOOK_ON, Notebook, serving

SETUP = f"""
import time
from sam2_core.media import open_video
from sam2_core.session import Session
from tests.fakes import fake_model
from widgets import SegmentationWidget

SegmentationWidget._esm = str(SegmentationWidget._esm) + {LOOK_ON!r}


def session():
    return Session.alone(open_video("clips/clip.mp4"), "fake", fake_model())
"""
SHOW = "widget = SegmentationWidget(session())\nwidget"
ALONE = """
alone = session()
SegmentationWidget.add_click(SegmentationWidget(alone), 1, 0, (640, 360))
start = time.perf_counter()
alone.track().wait()
print(time.perf_counter() - start)
"""
CELL = 2


def seconds_to_track(tab: Notebook) -> float:
    """From the key to the last painted mask."""
    start = time.perf_counter()
    tab.page.keyboard.press(".")
    tab.wait("sessions[0].job === null")
    tab.settle()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    found = chromium.find()
    if found is None:
        raise SystemExit(chromium.MISSING)
    with tempfile.TemporaryDirectory() as name, browsing(found) as browser:
        folder = Path(name)
        make_clip(folder)
        with serving(folder) as url:
            tab = Notebook(browser, url, folder / "widget.ipynb", [SETUP, SHOW, ALONE], SIZE)
            tab.run(0)
            tab.run(1)
            tab.page.evaluate(WATCH)
            tab.wait_for_canvas()
            print(click_report(click_to_painted(tab)))
            streamed, alone = seconds_to_track(tab), float(json.loads(tab.run(CELL)))
            print(
                f"tracking {FRAMES} frames: {1000 * (streamed - alone) / FRAMES:.1f} ms a frame for the widget, "
                f"beside {1000 * alone / FRAMES:.1f} ms without one"
            )
            tab.close()


if __name__ == "__main__":
    main()
