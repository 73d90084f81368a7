"""Take the pictures of the documentation anew: ``python -m tests.browser.screenshots``."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.browser import chromium
from tests.browser.studio import ROOT, Studio, browsing, serving

IMAGES = ROOT / "docs" / "images"
ON_IT = (0.28, 0.64)
ITS_BOX = (0.17, 0.35, 0.43, 0.79)
SIZE = {"width": 1280, "height": 860}


def take(page: Page, name: str) -> None:
    """One picture."""
    page.wait_for_timeout(800)  # transitions
    page.screenshot(path=IMAGES / f"{name}.png")


def main() -> None:
    """The start, three candidates, and a clip that was tracked."""
    found = chromium.find()
    if found is None:
        raise SystemExit(chromium.MISSING)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url, browsing(found) as browser:
        light = Studio(browser.new_page(viewport=SIZE), url)
        take(light.page, "start")
        light.open_example(0)
        light.click(*ON_IT)
        take(light.page, "candidates")
        dark = Studio(browser.new_page(viewport=SIZE, color_scheme="dark"), url)
        dark.open_example(0)
        dark.drag(*ITS_BOX)
        dark.page.locator("#track").click()
        dark.wait_for_status("Tracked")
        dark.page.locator("#ribbon .lane").click(position={"x": 260, "y": 10})
        dark.page.wait_for_function("document.querySelector('#slider input[type=number]').value > 20")
        take(dark.page, "tracked")


if __name__ == "__main__":
    main()
