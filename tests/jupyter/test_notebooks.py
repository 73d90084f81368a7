"""The notebooks of examples/ run, and what they keep of their last run can be read without a kernel."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

from tests.browser.studio import ROOT

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("[0-9]*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
LARGEST = 200_000


def outputs(notebook: Any) -> list[Any]:
    """Of all cells."""
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def pictures(notebook: Any) -> list[str]:
    """What a reader sees in place of each widget: the address of the picture before it."""
    shown = [output.get("data", {}) for output in outputs(notebook)]
    before = [earlier.get("text/html", "") for earlier, later in pairwise(shown) if WIDGET in later]
    found = [
        re.fullmatch(r'<img class="masklet-\w+" alt="[^"]+" src="([^"]+)" style="[^"]+">', html) for html in before
    ]
    return [match[1] for match in found if match]


def test_every_notebook_is_in_the_table() -> None:
    table = (EXAMPLES / "README.md").read_text()
    names = [path.stem for path in NOTEBOOKS]
    assert re.findall(r"^\| \[(\w+)\.ipynb\]\(\1\.ipynb\)", table, re.MULTILINE) == names
    assert len(names) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_it_ran(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert len(pictures(notebook)) == sum(WIDGET in output.get("data", {}) for output in outputs(notebook)) > 0
    assert [output for output in outputs(notebook) if output.output_type in ("error", "stderr")] == []
    assert "widgets" not in notebook.metadata  # the canvas itself, which would be most of the file
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_becomes_a_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    run = ExecutePreprocessor(timeout=600, store_widget_state=False)
    run.preprocess(notebook, {"metadata": {"path": str(EXAMPLES)}})
    page, _ = HTMLExporter().from_notebook_node(notebook)
    shown = pictures(notebook)
    assert shown
    assert all(picture in page for picture in shown)
    assert page.count('class="masklet-') == len(shown)
    assert "widget-view" not in page
