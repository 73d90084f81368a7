"""A real JupyterLab in a process of its own, and a notebook in it, in a browser."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser

from tests.browser.canvas_tab import PATIENCE, CanvasTab
from tests.browser.studio import ROOT

LOOK_ON = """
window.links ??= [];
window.sessions ??= [];
const { ask } = Link.prototype;
Link.prototype.ask = function (...question) {
  if (!window.links.includes(this)) window.links.push(this);
  return ask.apply(this, question);
};
const { forget } = Session.prototype;
Session.prototype.forget = function () {
  if (!window.sessions.includes(this)) window.sessions.push(this);
  forget.call(this);
};
addEventListener('painted', ({ detail }) => { window.painted = detail; });
"""
"""Appended to the canvas's module: it lets a test see what every view knows and what it waits for."""

_CELLS = "jupyterapp.shell.currentWidget.content.widgets"
_STATUS = "jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.status"
_OPTIONS = {
    "ServerApp.open_browser": "False",
    "ServerApp.allow_root": "True",
    "ServerApp.port_retries": "0",
    "IdentityProvider.token": "",
    "ServerApp.disable_check_xsrf": "True",
    "LabApp.expose_app_in_browser": "True",
    "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
}
_NOTIFICATIONS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """JupyterLab's address; its notebooks, settings and kernels live in ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = {
        **os.environ,
        **places,
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    settings = folder / "settings" / _NOTIFICATIONS
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"fetchNews": "false"}))  # nothing is asked; all else is as it comes
    options = [f"--{name}={value}" for name, value in _OPTIONS.items()]
    command = [sys.executable, "-m", "jupyterlab", f"--port={port}", f"--ServerApp.root_dir={folder}", *options]
    with (folder / "lab.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/api"):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"JupyterLab did not start:\n{(folder / 'lab.log').read_text()}")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Notebook(CanvasTab):
    """A notebook in JupyterLab whose first cell shows a widget.

    Args:
        browser: opens the tab.
        url: of JupyterLab.
        path: of the notebook, beneath JupyterLab's folder; it is written here.
        cells: their code.
        size: of the clip, in pixels.
        context: of the tab, such as ``viewport``.
    """

    def __init__(
        self, browser: Browser, url: str, path: Path, cells: Sequence[str], size: tuple[int, int], **context: Any
    ) -> None:
        super().__init__(browser.new_page(**{"viewport": {"width": 1280, "height": 1000}, **context}))
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, path)
        self._address = url
        self._size = size
        self.open(path)

    def open(self, path: Path) -> None:
        """Open a notebook beneath JupyterLab's folder."""
        self.path = path
        self._url = f"{self._address}/doc/tree/{path.name}"
        self.load()

    def load(self) -> None:
        """Open the notebook, or open it again, with its kernel."""
        self.page.goto(self._url)
        self.wait(f"window.{_STATUS.replace('.', '?.')} === 'idle'")

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def cells(self) -> int:
        """How many there are."""
        count: int = self.page.evaluate(f"{_CELLS}.length")
        return count

    def runs(self, cell: int) -> bool:
        """Whether a cell goes on; the kernel's status also tells of messages beside the cells."""
        running: bool = self.page.evaluate(_running(cell))
        return running

    def run(self, cell: int, code: str | None = None) -> str:
        """Run a cell, with new code if there is any, and wait for it; what it printed."""
        if code is not None:
            self._write(cell, code)
        self._activate(cell)
        self._command("notebook:run-cell")
        return self._finish(cell)

    def start(self, cell: int, code: str) -> None:
        """Run a cell that goes on for long, and wait until the kernel has begun."""
        self._write(cell, f"print('begun')\n{code}")
        self._activate(cell)
        self.page.evaluate("void jupyterapp.commands.execute('notebook:run-cell')")
        self.wait(f"{_running(cell)} && {_CELLS}[{cell}].model.outputs.length")  # before that, interrupts are lost

    def interrupt(self, cell: int) -> str:
        """Interrupt the cell that goes on; what it printed."""
        self._command("notebook:interrupt-kernel")
        return self._finish(cell)

    def save(self) -> None:
        """Write the notebook."""
        self._command("docmanager:save")

    def keep_widgets(self, *, kept: bool) -> None:
        """Whether widgets are saved with the notebook, which people can choose in JupyterLab's menu."""
        name = "@jupyter-widgets/jupyterlab-manager:saveWidgetState"
        self._command(name)
        self.wait(f"jupyterapp.commands.isToggled('{name}') === {str(kept).lower()}")

    def close(self) -> None:
        """End the kernel and close the tab."""
        self.end_kernel()
        self.page.close()

    def end_kernel(self) -> None:
        """All that the cells know is gone."""
        self.page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")

    def settle(self) -> None:
        """Wait until no view has anything more to ask, and all is painted."""
        self.wait("links.every(({ questions }) => [...questions.values()].every(({ op }) => op === 'hover'))")
        self.page.evaluate("new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)))")

    def wait_for_canvas(self) -> None:
        """Wait until a frame is painted."""
        self.wait("window.painted !== undefined")
        self.settle()

    def _command(self, name: str) -> None:
        self.page.evaluate("(name) => jupyterapp.commands.execute(name)", name)

    def _write(self, cell: int, code: str) -> None:
        self.page.evaluate(f"([cell, code]) => {_CELLS}[cell].model.sharedModel.setSource(code)", [cell, code])

    def _activate(self, cell: int) -> None:
        self.page.evaluate(f"jupyterapp.shell.currentWidget.content.activeCellIndex = {cell}")

    def _finish(self, cell: int) -> str:
        self.wait(f"!({_running(cell)})")
        outputs: list[dict[str, Any]] = self.page.evaluate(f"{_CELLS}[{cell}].model.outputs.toJSON()")
        return "".join(_text(output) for output in outputs)


def _running(cell: int) -> str:
    """JavaScript that tells whether a cell goes on."""
    return f"{_CELLS}[{cell}].inputArea.promptNode.textContent.includes('*')"


def _text(output: dict[str, Any]) -> str:
    """Of a cell's output."""
    text = output.get("text") or output.get("data", {}).get("text/plain") or "\n".join(output.get("traceback", []))
    return "".join(text)
