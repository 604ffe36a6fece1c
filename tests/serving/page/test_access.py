"""By keyboard, on a phone, in the dark, with 500 features: anybody can use the page."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import Visit, barriers, visit
from tests.support.page import (
    Row,
    decision,
    example,
    field,
    press_score,
    score,
    strip,
    take_file,
    text_box,
)
from tests.support.server import Server


def test_the_keyboard_is_enough(opened: Visit) -> None:
    page = opened.page

    def tab_to(element: Locator) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if element.evaluate("element => element === document.activeElement"):
                outline = element.evaluate("element => getComputedStyle(element).outline")
                assert "solid 3px" in outline
                return
        raise AssertionError(f"Tab does not come to {element}")

    page.locator("body").focus()
    tab_to(example(page, "High-scoring"))
    page.keyboard.press("Enter")
    tab_to(page.get_by_role("button", name="Score", exact=True))
    page.keyboard.press("Enter")
    expect(decision(page)).to_have_text("Flag")
    tab_to(field(page, "V1"))
    # What is typed replaces the value, rounded or not.
    page.keyboard.type("1.5")
    page.keyboard.press("Enter")
    expect(page.locator("#scored")).to_have_text("2")
    assert opened.scored[-1]["dataframe_records"][0]["V1"] == 1.5
    tab_to(strip(page).last)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#scored")).to_have_text("3")
    assert len(opened.scored) == 3


def test_five_hundred_features_are_searched(browser: Browser, server: Server) -> None:
    names = [f"the_average_amount_that_this_card_paid_at_merchants_of_kind_{i}" for i in range(500)]
    described = server.get("/openapi.json").json()
    transaction = described["components"]["schemas"]["Transaction"]
    transaction["properties"] = {name: {"type": "number"} for name in names}
    with visit(browser, "about:blank", viewport={"width": 390, "height": 844}) as opened:
        page = opened.page
        page.route("**/openapi.json", lambda route: route.fulfill(json=described))
        page.goto(server.url)
        expect(page.locator("#grid input")).to_have_count(500)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.get_by_label("Search").fill("KIND_49")
        expect(page.locator("#grid input:visible")).to_have_count(11)
        expect(page.locator("#found")).to_have_text("11 of 500 fields")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all_in_the_scheme_that_it_asks_for(
    browser: Browser, server: Server, scheme: str
) -> None:
    size = {"width": 360, "height": 740}
    # With reduced motion the page scrolls at once, so that a place can be judged without a wait.
    looks: dict[str, Any] = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with visit(browser, f"{server.url}/", viewport=size, **looks) as opened:
        page = opened.page
        page.locator("summary").click()
        example(page, "High-scoring").click()
        score(page)
        expect(decision(page)).to_be_in_viewport()
        field(page, "Amount").fill("")
        field(page, "Amount").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("One field is not a number")
        expect(page.get_by_role("alert")).to_be_in_viewport()
        field(page, "Amount").fill("1")
        field(page, "Amount").press("Enter")
        expect(page.locator("#scored")).to_have_text("2")
        expect(decision(page)).to_be_in_viewport()
        text_box(page).fill('{"' + "a" * 200)
        press_score(page)
        expect(page.get_by_role("alert")).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
        assert brightness < 60 if scheme == "dark" else brightness > 200


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_from_using_the_page(
    browser: Browser, server: Server, rows: dict[str, Row], scheme: str
) -> None:
    looks: dict[str, Any] = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with visit(browser, f"{server.url}/", **looks) as opened:
        page = opened.page
        example(page, "High-scoring").click()
        field(page, "Amount").fill("1e308")
        score(page)
        take_file(page, "rows.jsonl", "\n".join(map(json.dumps, [*rows.values(), {"V1": 0}])))
        expect(page.locator("#rows tbody tr")).to_have_count(2)
        field(page, "V1").fill("")
        press_score(page)
        expect(page.get_by_role("alert")).to_contain_text("V1")
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert barriers(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") == width


def test_nothing_keeps_anybody_from_reading_the_documentation(
    browser: Browser, server: Server
) -> None:
    for width in (1_440, 390):
        with visit(browser, f"{server.url}/docs", viewport={"width": width, "height": 900}) as it:
            assert barriers(it.page) == []
            assert it.page.evaluate("document.documentElement.scrollWidth") <= width
