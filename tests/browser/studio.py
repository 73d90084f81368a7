"""The real server in a process of its own, and a browser in front of it."""

import base64
import contextlib
import io
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300  # seconds; a busy machine is slow, not broken


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """``python app.py``; its address. ``folder`` takes its log and its temporary files."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "server.log"
    settings = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "TMPDIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",  # on a busy machine, threads that wait for each other hardly get on
    }
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, server, log)
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url):
            return
        time.sleep(0.1)
    raise RuntimeError(f"app.py did not start:\n{log.read_text()}")


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class Studio:
    """One tab, in the words of someone who uses it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE * 1000)
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#examples .card")

    @property
    def cards(self) -> Locator:
        """The candidates."""
        return self.page.locator("#candidates .card")

    def open_example(self, place: int) -> None:
        """Choose an example and wait for its first frame."""
        self.page.locator("#examples .card").nth(place).click()
        self.page.wait_for_selector("#frame img[src^=data]")

    def address(self) -> str:
        """The data URL of the picture."""
        return self.page.locator("#frame img").get_attribute("src") or ""

    def picture(self) -> npt.NDArray[np.int64]:
        """What is shown, ``[H, W, 3]``."""
        jpeg = base64.b64decode(self.address().split(",")[1])
        return np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)

    def click(self, x: float, y: float, **how: str) -> None:
        """Click at fractions of the frame and wait for the answer."""
        before = self.address()
        bounds = self.page.locator("#frame img").bounding_box()
        assert bounds
        place = {"x": bounds["width"] * x, "y": bounds["height"] * y}
        self.page.locator("#frame img").click(position=place, **how)  # type: ignore[arg-type]
        self.page.wait_for_function("before => document.querySelector('#frame img').src !== before", arg=before)

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a box between fractions of the frame and wait for the answer."""
        before = self.address()
        bounds = self.page.locator("#frame img").bounding_box()
        assert bounds
        self.page.mouse.move(bounds["x"] + bounds["width"] * x0, bounds["y"] + bounds["height"] * y0)
        self.page.mouse.down()
        self.page.mouse.move(bounds["x"] + bounds["width"] * x1, bounds["y"] + bounds["height"] * y1, steps=4)
        self.page.mouse.up()
        self.page.wait_for_function("before => document.querySelector('#frame img').src !== before", arg=before)

    def wait_for_status(self, text: str) -> None:
        """Wait until the line under the picture says this."""
        self.page.wait_for_selector(f"#status:has-text('{text}')")

    def tracked_frames(self) -> int:
        """Columns of the first lane of the ribbon that are filled; a frame each in a short clip."""
        paths = [path.get_attribute("d") or "" for path in self.page.locator("#ribbon .lane >> nth=0 >> path").all()]
        return sum(int(length) for path in paths for length in re.findall(r"h(\d+)V", path))
