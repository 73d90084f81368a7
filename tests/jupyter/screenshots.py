"""Take the notebook's picture of the documentation anew: ``python -m tests.jupyter.screenshots``.

With a folder's name, other states go there as well, to be looked at after a change of the widget.
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.browser.studio import CLIP, ROOT, browsing
from tests.jupyter.lab import LOOK_ON, Notebook, serving

IMAGE = ROOT / "docs" / "images" / "notebook.webp"
SETUP = f"""
from widgets import SegmentationWidget

SegmentationWidget._esm = str(SegmentationWidget._esm) + {LOOK_ON!r}
"""
SHOW = f"""from widgets import SegmentationWidget

widget = SegmentationWidget("{CLIP.name}")
widget"""
SAY = """widget.add_box(1, 66, (102, 38, 418, 422))
widget.add_click(1, 66, (145, 326), positive=False)
widget.add_box(2, 66, (530, 192, 845, 317))
widget.edit_object(1, name="rabbit")
widget.edit_object(2, name="boulders")
widget.track(first=52, last=80)
widget.wait()
widget.frame = 72"""
TABLE = 'widget.scores.groupby("object_id").area.describe().round()'


def take(tab: Notebook, path: Path) -> None:
    """A picture of all that the window shows."""
    tab.settle()
    tab.page.mouse.move(0, 0)
    tab.page.wait_for_timeout(1000)
    Image.open(io.BytesIO(tab.page.screenshot())).save(path, quality=90, method=6)


def tracked(browser: Browser, url: str, folder: Path, name: str, **context: Any) -> Notebook:
    """A notebook with two tracked objects."""
    tab = Notebook(browser, url, folder / f"{name}.ipynb", [SETUP, SHOW, SAY, TABLE], (854, 480), **context)
    tab.run(0)
    tab.run(1)
    tab.wait_for_canvas()
    tab.page.evaluate("jupyterapp.shell.currentWidget.content.widgets[0].hide()")
    tab.run(2)
    tab.run(3)
    tab.wait("window.painted === 72")
    tab.page.locator(".stage").first.scroll_into_view_if_needed()
    return tab


def main() -> None:
    """Take them."""
    found = chromium.find()
    if found is None:
        raise SystemExit(chromium.MISSING)
    with tempfile.TemporaryDirectory() as name, browsing(found) as browser:
        folder = Path(name)
        (folder / CLIP.name).write_bytes(CLIP.read_bytes())
        with serving(folder) as url:
            tab = tracked(browser, url, folder, "notebook", viewport={"width": 1280, "height": 1210})
            take(tab, IMAGE)
            if len(sys.argv) > 1:
                others(tab, Path(sys.argv[1]))


def others(tab: Notebook, folder: Path) -> None:
    """Dark, narrow, and what is left when the kernel is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    tab.page.evaluate("jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    take(tab, folder / "notebook-dark.webp")
    tab.page.set_viewport_size({"width": 860, "height": 1000})
    take(tab, folder / "notebook-narrow.webp")
    tab.save()
    tab.end_kernel()
    tab.load()
    tab.page.locator(".jp-OutputArea-output img").wait_for()
    tab.page.screenshot(path=folder / "notebook-without-kernel.png")


if __name__ == "__main__":
    main()
