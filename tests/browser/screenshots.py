"""Take the pictures of the documentation anew: ``python -m tests.browser.screenshots``."""

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.browser import chromium
from tests.browser.studio import ROOT, Studio, browsing, serving

IMAGES = ROOT / "docs" / "images"
ON_IT = (0.28, 0.64)
ITS_BOX = (0.07, 0.34, 0.45, 0.84)
SIZE = {"width": 1280, "height": 860}


def take(page: Page, name: str) -> None:
    """One picture, with few enough colours to be small."""
    page.wait_for_timeout(800)  # transitions
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


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
        dark.page.keyboard.press("Shift+ArrowRight")
        dark.page.keyboard.press("Shift+ArrowRight")
        take(dark.page, "tracked")


if __name__ == "__main__":
    main()
