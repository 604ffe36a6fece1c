"""What a person finds on the page, and does there."""

from __future__ import annotations

import re

from playwright.sync_api import FilePayload, Locator, Page, expect

Row = dict[str, float]

# No machine is this slow.
expect.set_options(timeout=60_000)


def example(page: Page, kind: str) -> Locator:
    """The button that fills in an example of this kind."""
    return page.get_by_role("button", name=f"{kind} example")


def text_box(page: Page) -> Locator:
    """Where a transaction is pasted."""
    return page.get_by_label("Paste JSON or CSV")


def field(page: Page, name: str) -> Locator:
    """A number's field."""
    return page.get_by_role("spinbutton", name=name, exact=True)


def press_score(page: Page) -> None:
    """Presses Score, without waiting."""
    page.get_by_role("button", name="Score", exact=True).click()


def score(page: Page) -> None:
    """Presses Score and waits until the answer is shown."""
    with page.expect_response("**/invocations"):
        press_score(page)
    expect(page.locator("#score")).not_to_have_attribute("aria-disabled", "true")


def decision(page: Page) -> Locator:
    """Pass or Flag."""
    return page.locator("#decision")


def strip(page: Page) -> Locator:
    """The buttons of the last predictions."""
    return page.get_by_role("list", name="Last predictions").get_by_role("button")


def paste(page: Page, text: str) -> None:
    """Pastes from the clipboard."""
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    text_box(page).press("Control+v")


def number(figure: str) -> float:
    """A figure as the page writes it."""
    return float(figure.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def take_file(page: Page, name: str, text: str, encoding: str = "utf-8") -> None:
    """Chooses a file and scores its rows."""
    content = FilePayload(name=name, mimeType="text/plain", buffer=text.encode(encoding))
    page.locator("#file").set_input_files(content)
    page.get_by_role("button", name=re.compile("^Score .*rows$")).click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
