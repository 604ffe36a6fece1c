"""A headless Chromium for tests, and what a page did in it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium; skips the test where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """An open page, every address that it asked for, and what it complained about."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    @property
    def scored(self) -> list[dict[str, Any]]:
        """The bodies that the page posted to `/invocations`."""
        posted = [request for request in self.requests if request.method == "POST"]
        return [json.loads(request.post_data or "") for request in posted]


def barriers(page: Page) -> list[str]:
    """What axe finds that keeps somebody from using the page as it is now; skips without axe."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return [
        f"{violation['id']}: {node['target']}"
        for violation in axe.run(page).response["violations"]
        for node in violation["nodes"]
    ]


@contextlib.contextmanager
def visit(browser: Browser, url: str, **context: Any) -> Iterator[Visit]:
    """Opens a page with cookies and storage of its own."""
    opened = browser.new_context(**context)
    visited = Visit(opened.new_page())
    visited.page.goto(url)
    yield visited
    opened.close()
