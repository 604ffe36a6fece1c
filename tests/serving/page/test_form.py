"""One transaction in the form: its score, its reasons and what was scored before."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import Visit, visit
from tests.support.page import (
    Row,
    decision,
    example,
    field,
    number,
    press_score,
    score,
    strip,
    take_file,
    text_box,
)
from tests.support.server import Server, serving
from tests.support.typed_table import typed_table


def predicted(server: Server, row: Row) -> dict[str, Any]:
    answer = server.post({"dataframe_records": [row], "params": {"explain": 8}})
    prediction: dict[str, Any] = answer.json()["predictions"][0]
    return prediction


@pytest.mark.parametrize(
    ("kind", "name", "word"), [("Low-scoring", "low", "Pass"), ("High-scoring", "high", "Flag")]
)
def test_the_examples_show_what_the_server_predicts(
    page: Page, server: Server, rows: dict[str, Row], kind: str, name: str, word: str
) -> None:
    example(page, kind).click()
    score(page)
    expected = predicted(server, rows[name])
    expect(decision(page)).to_have_text(word)
    expect(page.locator("#level")).to_have_text(f"{expected['risk_level']} risk")
    share = float(str(page.get_by_role("meter").get_attribute("aria-valuenow")))
    assert share == pytest.approx(expected["fraud_probability"] * 100)
    shown = page.locator("#percent").inner_text()
    assert float(shown.strip("<>% ")) == pytest.approx(share, rel=0.06)


@pytest.mark.parametrize(("kind", "name"), [("Low-scoring", "low"), ("High-scoring", "high")])
def test_reasons_are_bars_to_the_side_they_push_to(
    page: Page, server: Server, rows: dict[str, Row], kind: str, name: str
) -> None:
    example(page, kind).click()
    score(page)
    reasons = predicted(server, rows[name])["reasons"]
    lines = page.get_by_role("table").locator("tbody tr")
    expect(lines).to_have_count(len(reasons))
    largest = max(abs(reason["contribution"]) for reason in reasons)
    for line, reason in zip(lines.all(), reasons, strict=True):
        pushed = reason["contribution"]
        assert line.get_by_role("rowheader").inner_text().split("\n")[0] == reason["feature"]
        bar, track = line.locator("i").bounding_box(), line.locator(".bar").bounding_box()
        assert bar
        assert track
        assert bar["width"] == pytest.approx(track["width"] / 2 * abs(pushed) / largest, abs=0.1)
        edge = bar["x"] if pushed > 0 else bar["x"] + bar["width"]
        assert edge == pytest.approx(track["x"] + track["width"] / 2, abs=0.1)
        figure = line.get_by_role("cell").last.inner_text()
        assert number(figure) == pytest.approx(pushed, abs=0.005)
    # With the base value and what is not shown they add up to the score.
    ends = page.locator("#reasons tfoot td:last-child").all_inner_texts()
    others, base, total = map(number, ends)
    probability = predicted(server, rows[name])["fraud_probability"]
    assert total == pytest.approx(math.log(probability / (1 - probability)), abs=0.005)
    shown = sum(reason["contribution"] for reason in reasons)
    assert shown + others + base == pytest.approx(total, abs=0.02)


def test_an_edited_field_is_sent(opened: Visit, rows: dict[str, Row]) -> None:
    page = opened.page
    example(page, "Low-scoring").click()
    score(page)
    field(page, "Amount").fill("1234.5")
    expect(page.get_by_text("The fields have changed since")).to_be_visible()
    score(page)
    expect(page.get_by_text("The fields have changed since")).to_be_hidden()
    first, second = (body["dataframe_records"] for body in opened.scored)
    assert first == [rows["low"]]
    assert second == [rows["low"] | {"Amount": 1234.5}]
    assert json.loads(text_box(page).input_value())["Amount"] == 1234.5


def test_the_strip_counts_and_brings_back(opened: Visit, rows: dict[str, Row]) -> None:
    page = opened.page
    for kind in ("Low-scoring", "High-scoring", "Low-scoring"):
        example(page, kind).click()
        score(page)
        expect(decision(page)).to_have_text("Flag" if kind == "High-scoring" else "Pass")
    for place, figure in (("scored", "3"), ("flagged", "1"), ("rate", "33.3 %")):
        expect(page.locator(f"#{place}")).to_have_text(figure)
    expect(page.locator("#latency")).to_have_text(re.compile(r"^\d+(\.\d)? m?s$"))
    expect(strip(page)).to_have_count(3)
    strip(page).nth(1).click()
    expect(decision(page)).to_have_text("Flag")
    expect(strip(page).nth(1)).to_be_focused()
    field(page, "V14").focus()
    expect(field(page, "V14")).to_have_value(str(rows["high"]["V14"]))
    assert len(opened.scored) == 3


def test_the_strip_keeps_twenty(page: Page) -> None:
    example(page, "Low-scoring").click()
    for _ in range(22):
        score(page)
    expect(page.locator("#scored")).to_have_text("22")
    expect(strip(page)).to_have_count(20)


def test_a_value_far_outside_of_its_usual_range_is_told(page: Page) -> None:
    example(page, "Low-scoring").click()
    usual = page.locator("#grid div", has=field(page, "Amount")).locator("small")
    low, high = map(number, usual.inner_text().split(" to "))
    assert low < high
    field(page, "Amount").fill(str(high))
    expect(page.locator("#far")).to_be_empty()
    field(page, "Amount").fill("1e308")
    expect(usual).to_contain_text("far outside")
    score(page)
    expect(page.locator("#unusual")).to_contain_text("Amount: far outside")


def test_nothing_is_asked_of_another_origin_and_nothing_complains(
    opened: Visit, server: Server
) -> None:
    page = opened.page
    for kind in ("Low-scoring", "High-scoring"):
        example(page, kind).click()
        score(page)
    expect(strip(page)).to_have_count(2)
    assert not opened.complaints
    outside = [it.url for it in opened.requests if not it.url.startswith((server.url, "data:"))]
    assert not outside


@pytest.fixture(scope="module")
def typed_server(
    typed_exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("typed_server")
    with serving(folder, "--model-uri", str(typed_exported)) as running:
        yield running


def test_texts_dates_booleans_and_gaps_have_fields(browser: Browser, typed_server: Server) -> None:
    with visit(browser, f"{typed_server.url}/") as opened:
        page = opened.page
        example(page, "High-scoring").click()
        page.get_by_label("merchant", exact=True).fill("a shop that training never saw")
        page.get_by_label("recurring").select_option("true")
        page.get_by_label("paid_at").fill("2024-02-03T04:05:06")
        page.get_by_label("home", exact=True).fill("")
        score(page)
        (sent,) = opened.scored[-1]["dataframe_records"]
        assert sent["merchant"] == "a shop that training never saw"
        assert sent["recurring"] is True
        assert sent["paid_at"] == "2024-02-03T04:05:06"
        assert sent["home"] is None
        assert isinstance(sent["amount"], float | int)
        choices = page.locator("datalist option").evaluate_all("all => all.map(o => o.value)")
        assert {"merchant 1", "DE", "5411", "yes"} <= set(choices)
        assert not opened.complaints

        # A table as it is, whose labels are words of its own.
        table = typed_table().tail(20)
        take_file(page, "payments.csv", table.to_csv(index=False))
        expect(page.locator("#of-rows")).to_have_text("1 to 20 of 20 rows")
        assert page.get_by_label("Amounts in").input_value() == "amount"
        page.get_by_label("Fraud is").select_option("chargeback")
        caught = page.locator("#summary").get_by_role("row", name="Frauds caught")
        frauds = int((table["label"] == "chargeback").sum())
        expect(caught.get_by_role("cell").first).to_have_text(re.compile(f" of {frauds}$"))

        page.get_by_label("country", exact=True).fill("")
        press_score(page)
        expect(page.get_by_role("alert")).to_contain_text("country")
        assert len(opened.scored) == 2
