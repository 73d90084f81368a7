"""Take the pictures of the documentation anew: ``python -m tests.browser.screenshots``.

With a folder's name, all states of the page go there instead, to be looked at after a change of its style.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.browser.studio import ROOT, Studio, browsing, serving

IMAGES = ROOT / "docs" / "images"
MIDDLE = 66
BUNNY = (0.35, 0.6)
AROUND_BUNNY = ((0.12, 0.08), (0.49, 0.88))
BESIDE_BUNNY = ((0.17, 0.68), (0.17, 0.5), (0.18, 0.14), (0.215, 0.58))
AROUND_STONE = ((0.62, 0.4), (0.99, 0.66))
STROKE = ((0.04, 0.72), (0.1, 0.62), (0.13, 0.75))


def prompted(tab: Studio) -> Studio:
    """Two objects on a frame in the middle."""
    tab.open_example()
    tab.go_to(MIDDLE)
    tab.drag(*AROUND_BUNNY)
    for place in BESIDE_BUNNY:
        tab.click(place, button="right")
    tab.press("n")
    tab.drag(*AROUND_STONE)
    return tab


def tracked(tab: Studio) -> Studio:
    """The same through the whole clip."""
    prompted(tab).track()
    tab.go_to(MIDDLE + 6)
    tab.press("Escape")
    return tab


def start(tab: Studio) -> None:
    """Nothing was chosen yet."""


def candidates(tab: Studio) -> None:
    """One click may mean three things."""
    tab.open_example()
    tab.go_to(MIDDLE)
    tab.click(BUNNY)


def progress(tab: Studio) -> None:
    """Tracking goes on."""
    prompted(tab).page.keyboard.press("t")
    tab.wait("session.job?.done > 20")


def brush(tab: Studio) -> None:
    """A stroke has just been painted."""
    prompted(tab).press("n", "b")
    tab.drag(*STROKE)


def keys(tab: Studio) -> None:
    """All keys on a sheet."""
    tab.open_example()
    tab.press("?")


def error(tab: Studio) -> None:
    """The host refuses, and so does the page."""
    tracked(tab).press("Home")
    tab.page.evaluate("link.ask('click', { frame: 9999, obj: 1, x: 0.5, y: 0.5, positive: true })")
    tab.choose("#model", "sam2.1-hiera-tiny")
    tab.toast.wait_for()


def picture(tab: Studio) -> None:
    """A picture has no timeline."""
    tab.open_example(1)
    tab.click((0.5, 0.4))


DARK = {"color_scheme": "dark"}
NARROW = {"width": 800, "height": 720}
DOCUMENTED: dict[str, tuple[Callable[[Studio], object], dict[str, Any]]] = {
    "start": (start, {}),
    "candidates": (candidates, {}),
    "tracked": (tracked, {}),
    "dark": (tracked, DARK),
    "narrow": (tracked, NARROW),
}
OTHERS: dict[str, tuple[Callable[[Studio], object], dict[str, Any]]] = {
    "start-dark": (start, DARK),
    "start-narrow": (start, NARROW),
    "candidates-narrow": (candidates, NARROW),
    "progress": (progress, {}),
    "progress-narrow": (progress, NARROW),
    "brush": (brush, {}),
    "keys": (keys, {}),
    "keys-narrow": (keys, NARROW),
    "error": (error, {}),
    "error-dark": (error, DARK),
    "picture": (picture, {}),
    "low": (tracked, {"height": 640}),
    "wide": (tracked, {"width": 1920, "height": 1080}),
}


def take(
    browser: Browser, url: str, folder: Path, name: str, state: Callable[[Studio], object], **context: Any
) -> None:
    """One picture of a tab of its own."""
    tab = Studio(browser, url, **({"height": 860} | context))
    state(tab)
    tab.page.mouse.move(0, 0)
    tab.page.wait_for_timeout(500)  # transitions
    Image.open(io.BytesIO(tab.page.screenshot())).save(folder / f"{name}.webp", quality=90, method=6)
    tab.page.close()


def main() -> None:
    """Take them."""
    found = chromium.find()
    if found is None:
        raise SystemExit(chromium.MISSING)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    states = DOCUMENTED | OTHERS if len(sys.argv) > 1 else DOCUMENTED
    with tempfile.TemporaryDirectory() as temporary, serving(Path(temporary)) as server, browsing(found) as browser:
        for name, (state, context) in states.items():
            take(browser, server.url, folder, name, state, **context)


if __name__ == "__main__":
    main()
