"""The real server in a process of its own, and a browser in front of it."""

import base64
import contextlib
import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Browser, Download, Locator, Route, sync_playwright

from sam2_core.rle import Rle
from tests.browser.canvas_tab import PATIENCE, CanvasTab

ROOT = Path(__file__).resolve().parents[2]
CLIP = next((ROOT / "examples" / "clips").glob("*.mp4"))
"""The first example."""

_LOOK_ON = """
const { ask } = Link.prototype;
Link.prototype.ask = function (...question) { window.link = this; return ask.apply(this, question); };
const { forget } = Session.prototype;
Session.prototype.forget = function () { window.session = this; forget.call(this); };
addEventListener('painted', ({ detail }) => { window.painted = detail; window.paintedOf = session.token; });
window.hasPicture = () => { // a stage is painted empty at first
  const layer = document.querySelector('.mask-canvas-host').shadowRoot.querySelector('.layer');
  return layer.getContext('2d').getImageData(layer.width / 2, layer.height / 2, 1, 1).data[3] > 0;
};
"""
"""Appended to the canvas's module: it lets a test see what the canvas knows and what it waits for."""


class Server:
    """``python app.py`` on a port of its own; it can be killed and started again.

    Args:
        folder: takes its sessions, its log and its temporary files.
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "server.log"
        self._settings = {
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": str(folder / "gradio"),
            "MASKLET_SESSIONS": str(folder / "sessions"),
            "TMPDIR": str(folder),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",  # on a busy machine, threads that wait for each other hardly get on
        }
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("a") as output:
            self._process = subprocess.Popen(
                [sys.executable, "app.py"],
                cwd=ROOT,
                env={**os.environ, **self._settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url):
                return
            time.sleep(0.1)
        raise RuntimeError(f"app.py did not start:\n{self.log()}")

    def stop(self) -> None:
        """Ask it to end."""
        self._process.terminate()
        self._process.wait(PATIENCE)

    def kill(self) -> None:
        """End it at once, whatever it is doing: ``kill -9``."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def log(self) -> str:
        """All that it printed."""
        return self._log.read_text()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server that ends in the end."""
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class Studio(CanvasTab):
    """One tab with the studio, which is a browser of its own: nothing is shared with other tabs.

    Args:
        browser: opens the tab.
        url: of the studio.
        context: of the tab, such as ``color_scheme``.
    """

    def __init__(self, browser: Browser, url: str, width: int = 1280, height: int = 900, **context: Any) -> None:
        super().__init__(browser.new_page(viewport={"width": width, "height": height}, **context))
        self.page.route("**/mask_canvas.js", _look_on)
        self._url = url
        self._left = ""
        self.load()

    def load(self) -> None:
        """Open the page, or open it again."""
        self.page.goto(self._url)
        self.wait("window.link && document.body.dataset.masklet")
        self.settle()

    @property
    def start(self) -> Locator:
        """Where a clip is chosen."""
        return self.page.locator("#start")

    @property
    def toast(self) -> Locator:
        """A sentence of the page, beside those of the canvas."""
        return self.page.locator(".toast-body")

    @property
    def message(self) -> Locator:
        """A sentence of the canvas."""
        return self.page.locator(".message")

    def open_example(self, place: int = 0) -> None:
        """Choose an example and wait for its first frame."""
        self.page.locator("#examples .card").nth(place).click()
        self.wait_for_clip()

    def upload(self, *paths: Path, button: str = "#upload") -> None:
        """Choose files of one's own."""
        with self.page.expect_file_chooser() as choosing:
            self.page.locator(button).click()
        choosing.value.set_files(paths)

    def leave(self) -> None:
        """Go back to the choice of a clip."""
        self._left = self.known("token")
        self.page.locator("#leave").click()

    def wait_for_clip(self) -> None:
        """Wait for a clip's first frame."""
        self.wait(f"session.clip && ![undefined, '', '{self._left}'].includes(window.paintedOf) && hasPicture()")
        self.settle()

    def settle(self) -> None:
        self.wait("[...link.questions.values()].every(({ op }) => op === 'hover')")
        self.page.evaluate("new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)))")

    def go_to(self, frame: int) -> None:
        """Show a frame, with its masks."""
        field = self.page.get_by_label("Frame", exact=True)
        field.fill(str(frame))
        field.press("Enter")
        self.wait(f"window.painted === {frame}")
        self.settle()

    def set_range(self, first: int, last: int) -> None:
        """Limit tracking and playback to some frames."""
        self.go_to(first)
        self.press("i")
        self.go_to(last)
        self.press("o")

    def track(self, key: str = "t") -> None:
        """Track, to the end."""
        self.page.keyboard.press(key)
        self.finish_tracking()

    def finish_tracking(self) -> None:
        """Wait for the end of what has begun."""
        self.wait("!session.job")
        self.settle()

    @property
    def size(self) -> tuple[int, int]:
        clip = self.known("clip")
        return clip["width"], clip["height"]

    def known(self, path: str) -> Any:
        """Something that the canvas knows, such as ``objects``."""
        return self.page.evaluate(f"session.{path}")

    def said(self) -> dict[str, Any]:
        """What the user has told the session, as the canvas knows it."""
        return {name: self.known(name) for name in ("objects", "prompts", "lockedFrames")}

    def masks(self, frame: int) -> dict[int, Rle]:
        """What the canvas shows on a frame near the present one, by object."""
        runs = f"[...(session.masks.get({frame})?.runs ?? [])].map(([obj, runs]) => [obj, [...runs]])"
        return {obj: self._mask(counts) for obj, counts in self.page.evaluate(runs)}

    def candidates(self, obj: int, frame: int) -> list[Rle]:
        """What the canvas offers to choose from."""
        runs = self.known(f"candidates.get('{obj}:{frame}').map(({{ runs }}) => [...runs])")
        return [self._mask(counts) for counts in runs]

    def _mask(self, counts: list[int]) -> Rle:
        width, height = self.size
        return Rle(height, width, np.array(counts, "<u4").tobytes())

    def picture(self) -> npt.NDArray[np.int64]:
        """The frame as it is painted, with masks and without prompts, at the clip's size: ``[H, W, 3]``."""
        address = self.page.locator(".layer").first.evaluate("(canvas) => canvas.toDataURL()")
        stage = self.page.locator(".stage").bounding_box()
        assert stage
        image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB")
        corners = (*self.at((0, 0)), *self.at((1, 1)))
        box = tuple(value - stage[side] for value, side in zip(corners, ("x", "y", "x", "y"), strict=True))
        return np.asarray(image.resize(self.size, Image.Resampling.NEAREST, box=box)).astype(np.int64)

    def choose(self, menu: str, option: str) -> None:
        """Choose from a menu."""
        self.page.locator(f"{menu} input").click()
        self.page.get_by_role("option", name=option).click()

    def download(self, button: str) -> Download:
        """Press a button below the canvas and wait for the file."""
        with self.page.expect_download() as downloading:
            self.page.locator(button).click()
        return downloading.value


def _look_on(route: Route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text() + _LOOK_ON)
