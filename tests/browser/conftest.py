"""One server and one browser for all tests of the page; each test opens tabs of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.studio import Server, Studio, browsing, serving

Open = Callable[..., Studio]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as started:
        yield started
        assert "Traceback" not in started.log()


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing(chromium) as opened:
        yield opened


@pytest.fixture
def studio(browser: Browser, server: Server) -> Iterator[Open]:
    """Opens tabs; in the end, none of them may have seen an error in its scripts."""
    tabs: list[Studio] = []

    def make(**context: Any) -> Studio:
        tabs.append(Studio(browser, server.url, **context))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.page.close()
    assert [tab.errors for tab in tabs] == [[]] * len(tabs)
