"""The widget as a researcher meets it: in JupyterLab, by mouse and by code, with the model that is shipped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.canvas_tab import PATIENCE, Place
from tests.browser.studio import CLIP, browsing
from tests.jupyter.lab import LOOK_ON, Notebook, serving

pytestmark = pytest.mark.browser
FRAMES, SIZE = 12, (427, 240)
RABBIT: Place = (0.36, 0.6)
GRASS: Place = (0.1, 0.9)
STONE: tuple[Place, Place] = ((0.62, 0.4), (0.99, 0.66))
Button = Literal["left", "middle", "right"]
SETUP = f"""
import numpy as np
from PIL import Image
from sam2_core.media import open_video
from widgets import SegmentationWidget

SegmentationWidget._esm = str(SegmentationWidget._esm) + {LOOK_ON!r}
with open_video({str(CLIP)!r}) as video:
    frames = np.stack([np.asarray(Image.fromarray(video[70 + i]).resize({SIZE})) for i in range({FRAMES})])
"""
SHOW = "w = SegmentationWidget(frames, height=600)\nw"
CELL = 2
"""Where tests write their code."""
CELLS = "jupyterapp.shell.currentWidget.content.widgets.map(({ model }) => [model.id, model.type])"
SELECTED_CELLS = """() => {
    const { content } = jupyterapp.shell.currentWidget;
    return content.widgets.flatMap((cell, index) => (content.isSelectedOrActive(cell) ? [index] : []));
}"""
STAND_IN = "img[class^=masklet-]"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("lab")
    with serving(folder) as address:
        yield address, folder


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing(chromium) as opened:
        yield opened


@pytest.fixture
def notebook(browser: Browser, url: tuple[str, Path], request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A notebook whose widget is on show."""
    address, folder = url
    tab = Notebook(browser, address, folder / f"{request.node.name}.ipynb", [SETUP, SHOW, "", ""], SIZE)
    tab.run(0)
    tab.run(1)
    tab.wait_for_canvas()
    yield tab
    tab.close()
    assert tab.errors == []


def shown(notebook: Notebook, frame: int, view: int = 0) -> dict[str, list[int]]:
    """Run lengths that a view has for a frame, by object."""
    masks = f"Object.fromEntries([...(sessions[{view}].masks.get({frame})?.runs ?? [])].map(([o, r]) => [o, [...r]]))"
    found: dict[str, list[int]] = notebook.page.evaluate(masks)
    return found


def read_back(notebook: Notebook, frame: int) -> dict[str, list[int]]:
    """Run lengths of the boolean arrays that a cell gets."""
    code = (
        "import json\nfrom sam2_core.rle import Rle\n"
        f"print(json.dumps({{o: Rle.encode(m[{frame}]).counts.tolist() for o, m in w.masks.items() if {frame} in m}}))"
    )
    found: dict[str, list[int]] = json.loads(notebook.run(CELL, code))
    return found


def value(notebook: Notebook, expression: str) -> Any:
    """Of a Python expression, computed in a cell."""
    return json.loads(notebook.run(CELL, f"import json; print(json.dumps({expression}))"))


def visible(notebook: Notebook) -> list[str]:
    """Addresses of the pictures in outputs that a reader sees."""
    seen = "(pictures) => pictures.filter((picture) => picture.checkVisibility()).map(({ src }) => src)"
    found: list[str] = notebook.page.locator(".jp-OutputArea-output img").evaluate_all(seen)
    return found


def wait_for_value(notebook: Notebook, expression: str, expected: Any) -> None:
    """What a view shows reaches the kernel a moment after it has come to rest."""
    deadline = time.monotonic() + PATIENCE
    while (found := value(notebook, expression)) != expected:
        assert time.monotonic() < deadline, found


def test_mouse_keys_and_code_see_the_same(notebook: Notebook) -> None:
    notebook.click(RABBIT)
    notebook.click(GRASS, button="right")
    assert notebook.page.locator(".lm-Menu").count() == 0
    points = "[[p.x, p.y, p.positive] for p in w.session.document.prompts(0)[1].points]"
    assert value(notebook, points) == [
        [pytest.approx(RABBIT[0], abs=0.01), pytest.approx(RABBIT[1], abs=0.01), True],
        [pytest.approx(GRASS[0], abs=0.01), pytest.approx(GRASS[1], abs=0.01), False],
    ]

    notebook.page.locator(".studio").first.focus()
    cells = notebook.cells
    notebook.press("b", "a", "x", "x", "d", "d", "c", "n")  # in command mode they would make and delete cells
    assert notebook.cells == cells
    notebook.drag(*STONE)
    assert value(notebook, "w.session.document.prompts(0)[2].box is not None")
    wait_for_value(notebook, "[w.selected, w.frame]", [2, 0])

    notebook.page.locator(".studio").first.focus()
    notebook.press("n")
    notebook.click((0.5, 0.3))
    notebook.press("2")
    assert value(notebook, "w.session.document.prompts(0)[3].candidate") == 1
    assert shown(notebook, 0) == read_back(notebook, 0)
    assert len(shown(notebook, 0)) == 3

    notebook.run(CELL, "w.remove_object(3); w.edit_object(2, name='stone'); w.frame = 6")
    notebook.settle()
    assert notebook.page.evaluate("sessions[0].objects.map(({ name }) => name)") == ["Object 1", "stone"]
    assert notebook.frame() == 6


@pytest.mark.parametrize("held", [[], ["Shift"]])
@pytest.mark.parametrize("button", ["left", "middle", "right"])
def test_every_press_takes_the_keys_from_jupyterlab(notebook: Notebook, button: Button, held: list[str]) -> None:
    notebook.page.locator(".jp-Cell .cm-content").nth(CELL).click()
    notebook.page.keyboard.press("Shift+Enter")  # the focus goes to the next cell, where x, b, m and z are commands
    notebook.wait(f"{CELLS}.length === 4 && document.activeElement.matches('.jp-Cell.jp-mod-active')")
    assert notebook.page.evaluate(SELECTED_CELLS) == [3]
    notebook.page.locator(".stage").scroll_into_view_if_needed()
    before = notebook.page.evaluate(CELLS)
    for key in held:
        notebook.page.keyboard.down(key)
    notebook.click((0.5, 0.3), button=button)
    for key in held:
        notebook.page.keyboard.up(key)
    assert notebook.page.evaluate(SELECTED_CELLS) == [1]
    notebook.press("x", "z", "m")
    for name in ("Clicks take away", "Outlines only"):
        expect(notebook.button(name)).to_have_attribute("aria-pressed", "true")
    notebook.press("b")
    expect(notebook.button("Brush")).to_have_attribute("aria-pressed", "true")
    assert notebook.page.evaluate(CELLS) == before


def test_tracking_a_correction_and_a_reload(notebook: Notebook) -> None:
    notebook.click(RABBIT)
    notebook.press("t")
    notebook.wait("sessions[0].job === null")
    assert value(notebook, "[w.progress.status.value, len(w.masks[1]), len(w.scores)]") == ["finished", FRAMES, FRAMES]
    notebook.page.locator(".studio").first.focus()
    notebook.press("End")
    notebook.wait(f"window.painted === {FRAMES - 1}")
    notebook.settle()
    before = shown(notebook, FRAMES - 1)
    assert before == read_back(notebook, FRAMES - 1)

    notebook.click(GRASS, button="right")
    corrected = shown(notebook, FRAMES - 1)
    assert corrected != before
    notebook.run(CELL, "w.track(); w.wait()")
    notebook.settle()
    assert shown(notebook, FRAMES - 1) == corrected == read_back(notebook, FRAMES - 1)

    said = value(notebook, "w.session.revision")
    notebook.wait(f"window.painted === {FRAMES - 1}")
    notebook.save()
    notebook.load()
    notebook.wait_for_canvas()
    notebook.wait(f"window.painted === {FRAMES - 1}")
    assert value(notebook, "w.session.revision") == said
    assert shown(notebook, FRAMES - 1) == corrected


def test_two_views_and_a_busy_kernel(notebook: Notebook) -> None:
    notebook.run(3, "w")
    notebook.wait("sessions.length === 2 && sessions[1].clip")
    notebook.start(CELL, "import time; time.sleep(600)")
    notebook.click(RABBIT)
    notebook.wait("sessions[1].masks.get(0)?.runs.size === 1")
    assert shown(notebook, 0, view=0) == shown(notebook, 0, view=1)
    notebook.press("t")
    notebook.wait("sessions.every(({ job }) => job === null)")
    notebook.settle()
    assert notebook.runs(CELL)
    notebook.interrupt(CELL)
    assert value(notebook, "len(w.masks[1])") == FRAMES


def test_an_interrupt_ends_tracking_between_two_frames(notebook: Notebook) -> None:
    x, y = RABBIT[0] * SIZE[0], RABBIT[1] * SIZE[1]
    notebook.run(CELL, f"w.add_click(1, 0, ({x}, {y})); w.track(); w.session.job.pause()")
    notebook.start(CELL, "w.wait()")
    assert "KeyboardInterrupt" in notebook.interrupt(CELL)
    assert value(notebook, "[w.progress.status.value, w.tracking]") == ["cancelled", False]
    notebook.wait("sessions[0].job === null")


def test_a_notebook_without_a_kernel_shows_the_last_picture(notebook: Notebook) -> None:
    notebook.run(3, "w")
    notebook.wait("sessions.length === 2 && sessions[1].clip")
    first = value(notebook, "w._still")
    notebook.click(RABBIT)
    notebook.run(CELL, "w._take_still()")  # which comes by itself, a moment after the last change
    last = value(notebook, "w._still")
    assert last != first
    notebook.wait(f"[...document.querySelectorAll('{STAND_IN}')].every(({{ src }}) => src === '{last}')")
    assert visible(notebook) == []
    notebook.save()
    notebook.end_kernel()
    notebook.load()
    notebook.wait(f"document.querySelector('{STAND_IN}')?.naturalWidth > 0")
    assert visible(notebook) == [last, last]
    assert notebook.page.locator(".studio").count() == 0


def test_a_notebook_that_was_handed_on_shows_its_picture(notebook: Notebook) -> None:
    """Nobody trusts it: JupyterLab cleans the HTML of its outputs."""
    last = value(notebook, "w._still")
    notebook.save()
    notebook.end_kernel()
    copy = notebook.path.with_stem("handed-on")
    copy.write_text(notebook.path.read_text().replace("height=600", "height=601"))
    notebook.open(copy)
    notebook.wait(f"document.querySelector('{STAND_IN}')?.naturalWidth > 0")
    assert visible(notebook) == [last]
    assert not notebook.page.evaluate("jupyterapp.shell.currentWidget.content.widgets[1].model.trusted")


def test_a_notebook_that_keeps_its_widgets_shows_the_picture_once(notebook: Notebook) -> None:
    notebook.keep_widgets(kept=True)
    notebook.click(RABBIT)
    notebook.run(CELL, "w._take_still()")
    last = value(notebook, "w._still")
    notebook.save()
    notebook.save()  # JupyterLab gathers the widgets' state while it saves, and may be too late for the first
    notebook.end_kernel()
    notebook.load()
    notebook.wait("document.querySelector('.jp-OutputArea-output img:not([class])')?.naturalWidth > 0")
    assert visible(notebook) == [last]
    assert not notebook.page.locator(".studio").is_visible()
    notebook.keep_widgets(kept=False)


def test_a_widget_that_was_closed_leaves_its_picture(notebook: Notebook) -> None:
    notebook.run(CELL, "w.frame = 3; w.close()")
    notebook.wait(f"document.querySelector('{STAND_IN}').checkVisibility()")
    assert visible(notebook) == [value(notebook, "w._still")]
    assert notebook.page.locator(STAND_IN).get_attribute("alt") == "Frame 3 of array with its masks"
    assert notebook.page.locator(".studio").count() == 0
