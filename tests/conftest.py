"""What every test may rely on: fixed seeds, the shared data where it is at hand, a browser where there is one."""

import random
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from tests.browser import chromium as browser

ROOT = Path(__file__).resolve().parents[1]

hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in tests/parity or tests/browser carries its folder's marker."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder in ("parity", "browser"):
            item.add_marker(folder)


def pytest_configure(config: pytest.Config) -> None:
    """Tests that run side by side share the cores."""
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Every test starts from the same random numbers."""
    random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For comparing with another process that has one thread: with two, sums in float32 end in other last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of specifications and data that may lie beside the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the shared data are not beside the repository (../shared)")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for ``playwright.chromium.launch(executable_path=...)``."""
    path = browser.find()
    if path is None:
        pytest.skip(browser.MISSING)
    return path
