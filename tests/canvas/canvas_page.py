"""The harness in a browser: the canvas with a host that only pretends."""

import functools
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser

from tests.browser.canvas_tab import PATIENCE, CanvasTab, Place
from tests.browser.studio import ROOT

RED_BALL: Place = (0.16, 0.68)
YELLOW_BALL: Place = (0.38, 0.32)
"""Where two of the harness's balls are on its first frame."""
AROUND_BLUE: tuple[Place, Place] = ((0.75, 0.62), (0.89, 0.86))
"""A box around the third."""
SKY: Place = (0.1, 0.1)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[str]:
    """The repository's files by HTTP, because a browser imports modules from nowhere else."""
    handler = functools.partial(_Quiet, directory=str(ROOT))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class CanvasPage(CanvasTab):
    """A canvas with its pretended host."""

    def __init__(self, browser: Browser, url: str, query: str = "", width: int = 1280, **context: Any) -> None:
        super().__init__(browser.new_page(viewport={"width": width, "height": 720}, **context))
        self.page.goto(f"{url}/tests/canvas/harness.html{query}")
        self.wait("window.painted?.length > 0")
        self.page.locator(".studio").focus()

    @property
    def size(self) -> tuple[int, int]:
        """Of the harness's clip."""
        return 1280, 720

    def settle(self) -> None:
        """Wait until every question was answered and painted."""
        self.page.evaluate("settled()")

    def said(self, op: str) -> list[dict[str, Any]]:
        """Messages of one kind that the host got."""
        messages: list[dict[str, Any]] = self.page.evaluate("host.received")
        return [message for message in messages if message["op"] == op]

    def wait_for(self, op: str, count: int = 1) -> dict[str, Any]:
        """Wait for the n-th message of a kind."""
        self.wait(f"host.received.filter((message) => message.op === '{op}').length >= {count}")
        return self.said(op)[count - 1]

    def wait_for_ink(self, place: Place, there: bool) -> None:
        """Wait until something, or nothing, lies over the picture at a place."""
        deadline = time.monotonic() + PATIENCE
        while (self.pixel(place, layer=1)[3] > 0) != there:
            assert time.monotonic() < deadline
            self.page.wait_for_timeout(20)

    def add_three_objects(self) -> None:
        """A click, a box, another click."""
        self.click(RED_BALL)
        self.press("n")
        self.drag(*AROUND_BLUE)
        self.press("n")
        self.click(YELLOW_BALL)

    def track(self) -> None:
        """Track both ways, to the end."""
        self.press("t")
        self.wait("host.received.some((message) => message.op === 'track') && !host.job")
        self.settle()
