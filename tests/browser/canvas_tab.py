"""A page with the canvas on it, in the words of someone who uses it."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

PATIENCE = 120  # seconds; a busy machine is slow, not broken
MARGIN = 16  # CSS pixels around a frame that fits the stage
Place = tuple[float, float]
"""Fractions of the frame."""

expect.set_options(timeout=PATIENCE * 1000)


class CanvasTab:
    """Mouse and keys on the canvas; a subclass knows when the canvas has settled, and what it shows.

    Args:
        page: still empty.
    """

    def __init__(self, page: Page) -> None:
        page.set_default_timeout(PATIENCE * 1000)
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def settle(self) -> None:
        """Wait until every question was answered and painted."""
        raise NotImplementedError

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the clip, in pixels."""
        raise NotImplementedError

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        self.page.wait_for_function(condition)

    def at(self, place: Place) -> Place:
        """CSS pixels of the page, while the frame fits the stage."""
        bounds = self.page.locator(".stage").first.bounding_box()
        assert bounds
        width, height = self.size
        scale = min((bounds["width"] - 2 * MARGIN) / width, (bounds["height"] - 2 * MARGIN) / height)
        return (
            bounds["x"] + bounds["width"] / 2 + (place[0] - 0.5) * width * scale,
            bounds["y"] + bounds["height"] / 2 + (place[1] - 0.5) * height * scale,
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
        pixel = """(canvas, [x, y]) => {
            const { left, top } = canvas.getBoundingClientRect();
            const ratio = canvas.width / canvas.clientWidth;
            return [...canvas.getContext('2d').getImageData((x - left) * ratio, (y - top) * ratio, 1, 1).data];
        }"""
        return tuple(self.page.locator(".layer").nth(layer).evaluate(pixel, self.at(place)))

    def button(self, name: str) -> Locator:
        """The canvas's button whose label begins so."""
        return self.page.locator(f"button[aria-label^='{name}']:visible")

    def frame(self) -> int:
        """The number in the frame field."""
        return int(self.page.get_by_label("Frame", exact=True).input_value())
