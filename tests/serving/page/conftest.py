"""The page in a browser, against a running server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import Visit, chromium, visit
from tests.support.page import Row, example
from tests.support.server import Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Visit]:
    with visit(browser, f"{server.url}/", permissions=["clipboard-read", "clipboard-write"]) as it:
        example(it.page, "Low-scoring").wait_for()
        yield it


@pytest.fixture
def page(opened: Visit) -> Page:
    return opened.page


@pytest.fixture(scope="module")
def rows(server: Server) -> dict[str, Row]:
    """The two examples of the server's description."""
    described = server.get("/openapi.json").json()
    content = described["paths"]["/invocations"]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"]
    return {name: examples[name]["value"]["dataframe_records"][0] for name in examples}
