"""The harness in a browser, in the words of someone who uses the canvas."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator

from tests.browser.studio import PATIENCE, ROOT

Place = tuple[float, float]
"""Fractions of the frame."""
RED_BALL: Place = (0.16, 0.68)
BLUE_BALL: Place = (0.82, 0.74)
YELLOW_BALL: Place = (0.38, 0.32)
"""Where the harness's balls are on its first frame."""
AROUND_BLUE: tuple[Place, Place] = ((0.75, 0.62), (0.89, 0.86))
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


class CanvasPage:
    """A canvas with its pretended host."""

    def __init__(self, browser: Browser, url: str, query: str = "", width: int = 1280, **context: Any) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 720}, **context)
        self.page.set_default_timeout(PATIENCE * 1000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{url}/tests/canvas/harness.html{query}")
        self.wait("window.painted?.length > 0")
        self.page.locator(".studio").focus()
        self.stage = self.page.locator(".stage")

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        self.page.wait_for_function(condition)

    def said(self, op: str) -> list[dict[str, Any]]:
        """Messages of one kind that the host got."""
        messages: list[dict[str, Any]] = self.page.evaluate("host.received")
        return [message for message in messages if message["op"] == op]

    def wait_for(self, op: str, count: int = 1) -> dict[str, Any]:
        """Wait for the n-th message of a kind."""
        self.wait(f"host.received.filter((message) => message.op === '{op}').length >= {count}")
        return self.said(op)[count - 1]

    def settle(self) -> None:
        """Wait until every question was answered and painted."""
        self.page.evaluate("settled()")

    def at(self, place: Place) -> Place:
        """CSS pixels of the page, while the frame fits the stage."""
        bounds = self.stage.bounding_box()
        assert bounds
        scale = min((bounds["width"] - 32) / 1280, (bounds["height"] - 32) / 720)
        return (
            bounds["x"] + bounds["width"] / 2 + (place[0] - 0.5) * 1280 * scale,
            bounds["y"] + bounds["height"] / 2 + (place[1] - 0.5) * 720 * scale,
        )

    def point(self, place: Place) -> None:
        """Move the mouse."""
        self.page.mouse.move(*self.at(place))

    def click(self, place: Place, **how: Any) -> None:
        """Click and wait for the answer."""
        self.page.mouse.click(*self.at(place), **how)
        self.settle()

    def drag(self, *places: Place) -> None:
        """Press, move, release, and wait for the answer."""
        self.point(places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(place), steps=4)
        self.page.mouse.up()
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys and wait for the answers."""
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def pixel(self, place: Place, layer: int = 0) -> tuple[int, ...]:
        """RGBA of what is painted: layer 0 has the picture with its masks, layer 1 prompts and previews."""
        return tuple(self.page.evaluate("place => pixelAt(...place)", [layer, *self.at(place)]))

    def wait_for_pixel(self, place: Place, layer: int, painted: bool) -> None:
        """Wait until something, or nothing, is painted at a place."""
        arguments = [layer, *self.at(place)]
        self.page.wait_for_function(f"place => (pixelAt(...place)[3] > 0) === {str(painted).lower()}", arg=arguments)

    def button(self, name: str) -> Locator:
        """The button whose label begins so."""
        return self.page.locator(f"button[aria-label^='{name}']:visible")

    def frame(self) -> int:
        """The number in the frame field."""
        return int(self.page.locator(".time-bar input").input_value())

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
