"""The page, used as a person does: in a browser, against a running server."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, Route, expect

from fraud_model.serving.page import FOLDER, PAGE
from tests.support.browser import Visit, barriers, chromium, visit
from tests.support.file_server import serve_folder
from tests.support.server import Server, serving
from tests.support.typed_table import typed_table

Row = dict[str, float]

# No machine is this slow.
expect.set_options(timeout=60_000)


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


def example(page: Page, kind: str) -> Locator:
    return page.get_by_role("button", name=f"{kind} example")


def text_box(page: Page) -> Locator:
    return page.get_by_label("Paste JSON or CSV")


def field(page: Page, name: str) -> Locator:
    return page.get_by_role("spinbutton", name=name, exact=True)


def press_score(page: Page) -> None:
    page.get_by_role("button", name="Score", exact=True).click()


def score(page: Page) -> None:
    """Presses Score and waits until the answer is shown."""
    with page.expect_response("**/invocations"):
        press_score(page)
    expect(page.locator("#score")).not_to_have_attribute("aria-disabled", "true")


def decision(page: Page) -> Locator:
    return page.locator("#decision")


def strip(page: Page) -> Locator:
    return page.get_by_role("list", name="Last predictions").get_by_role("button")


def paste(page: Page, text: str) -> None:
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    text_box(page).press("Control+v")


def number(figure: str) -> float:
    return float(figure.replace("\N{MINUS SIGN}", "-").replace(",", ""))


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


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_csv_pasted_over_another_transaction_is_sent(
    opened: Visit, rows: dict[str, Row], comma: str, line_end: str
) -> None:
    page, row = opened.page, rows["high"]
    example(page, "Low-scoring").click()
    names = [f'"{name}"' for name in reversed(row)]
    values = [repr(value) for value in reversed(row.values())]
    paste(page, line_end.join([comma.join([*names, '"Class"']), comma.join([*values, '"1"']), ""]))
    expect(page.get_by_text("Not used by the model: Class.")).to_be_visible()
    # Rounded, until somebody edits it.
    assert float(field(page, "V14").input_value()) == float(f"{row['V14']:.6g}")
    field(page, "V14").focus()
    expect(field(page, "V14")).to_have_value(str(row["V14"]))
    score(page)
    assert opened.scored[-1]["dataframe_records"] == [row]


def test_other_ways_to_write_a_transaction_are_sent(opened: Visit, rows: dict[str, Row]) -> None:
    page, row = opened.page, rows["high"]
    for text in (
        json.dumps(row),
        json.dumps([row]),
        json.dumps({"dataframe_records": [row]}, indent=2),
        json.dumps({"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}),
        ",".join(map(repr, row.values())),
    ):
        text_box(page).fill(text)
        score(page)
        assert opened.scored[-1]["dataframe_records"] == [row]


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


def test_the_model_in_use_is_shown(page: Page, server: Server) -> None:
    health = server.get("/health").json()
    facts = page.get_by_role("region", name="Model in use")
    for key in ("model_name", "model_version", "model_stage", "run_id"):
        if health[key]:
            expect(facts.get_by_text(health[key], exact=True)).to_be_visible()
    expect(page.locator("#state")).to_have_text(re.compile("^Healthy"))


def test_a_version_that_saw_no_real_transaction_is_called_simulated(
    page: Page, server: Server
) -> None:
    expect(page.locator("#state")).not_to_contain_text("simulated")
    simulated = {**server.get("/health").json(), "data_kind": "simulated"}
    page.route("**/health", lambda route: route.fulfill(json=simulated))
    page.reload()
    expect(page.locator("#state")).to_contain_text("trained on simulated transactions")


def test_a_server_without_its_registry_is_shown_as_degraded(page: Page, server: Server) -> None:
    degraded = {**server.get("/health").json(), "status": "degraded", "note": "out of reach"}
    page.route("**/health", lambda route: route.fulfill(json=degraded))
    page.reload()
    expect(page.locator("#state")).to_have_text(re.compile("^Degraded: "))
    expect(page.get_by_text("out of reach", exact=True)).to_be_visible()


def test_an_answer_without_a_probability_is_shown_as_it_is(
    page: Page, server: Server, rows: dict[str, Row]
) -> None:
    described = server.get("/openapi.json").json()
    body = described["paths"]["/invocations"]["post"]["requestBody"]["content"]
    for form in body["application/json"]["schema"]["oneOf"]:
        form["properties"]["params"]["properties"] = {}
    page.route("**/openapi.json", lambda route: route.fulfill(json=described))
    page.route("**/invocations", lambda route: route.fulfill(json={"predictions": [[0.25, "b"]]}))
    page.reload()
    example(page, "Low-scoring").click()
    with page.expect_request("**/invocations") as sent:
        score(page)
    assert json.loads(sent.value.post_data or "") == {"dataframe_records": [rows["low"]]}
    assert sent.value.headers["x-request-source"] == "page"
    expect(page.locator("#percent")).to_have_text('[0.25,"b"]')
    expect(page.get_by_text("without a fraud probability")).to_be_visible()
    expect(decision(page)).to_be_hidden()
    expect(page.locator("#rate")).to_have_text("\N{EN DASH}")
    expect(strip(page)).to_have_count(1)


@pytest.mark.parametrize(
    ("properties", "told"),
    [(None, "no signature"), ({"a": {"type": "number"}, "photos": {"type": "array"}}, "photos")],
)
def test_a_model_whose_fields_cannot_be_shown_is_told(
    page: Page, server: Server, properties: dict[str, Any] | None, told: str
) -> None:
    described = server.get("/openapi.json").json()
    transaction = described["components"]["schemas"]["Transaction"]
    transaction.pop("properties")
    if properties:
        transaction["properties"] = properties
    page.route("**/openapi.json", lambda route: route.fulfill(json=described))
    page.reload()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This page cannot show the model's fields")
    expect(alert).to_contain_text(told)
    expect(alert).to_contain_text(f"{server.url}/invocations")


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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"Time": 0,\n "V1": NaN}', 'Line 2, column 8: expected a value, found "N".'),
        (
            '{"Time": 0,\n "V1": 1,}',
            'Line 2, column 10: expected a name in double quotes, found "}',
        ),
        ('{"Time": 0 "V1": 1}', 'Line 1, column 12: expected a comma or }, found "\\""'),
        ('[{"Time": [1, 2}]', "Line 1, column 16: expected a comma or ]"),
        ('{"Time": 0', "Line 1, column 11: expected a comma or }, the text ends."),
        ('{"Time": 0} {', "Line 1, column 13: expected the end"),
        ("[" * 100_000, "Line 1"),
        ('{"Time": "soon"}', 'Time is "soon", a text; it must be a finite number.'),
        ('{"Time": 1e999}', "Time is too large; it must be a finite number."),
        ('{"colour": 1}', "None of the model's 30 features"),
        ("[]", "Paste one JSON object"),
        ("good morning", "This is neither JSON nor CSV with a header"),
        ("1,2,3", "Its first line has 3 numbers and the model 30 features."),
        ("Time,V1\n1", "Line 2 has 1 values, its header 2 names."),
        ('{"Time": 0}', "29 fields are not numbers"),
        ("", "There is no transaction"),
    ],
)
def test_what_cannot_be_read_is_told_and_not_sent(opened: Visit, text: str, told: str) -> None:
    page = opened.page
    text_box(page).fill(text)
    press_score(page)
    expect(page.get_by_role("alert")).to_contain_text(told)
    assert not opened.scored
    assert not opened.complaints
    example(page, "Low-scoring").click()
    expect(page.locator("#error")).to_be_hidden()
    score(page)
    expect(decision(page)).to_have_text("Pass")


def test_the_servers_own_words_are_shown(page: Page) -> None:
    def without_v3(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        del body["dataframe_records"][0]["V3"]
        route.continue_(post_data=json.dumps(body))

    page.route("**/invocations", without_v3)
    example(page, "Low-scoring").click()
    score(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The server refused the transaction")
    expect(alert).to_contain_text("V3")
    expect(page.locator("#scored")).to_have_text("0")


def test_a_network_that_is_down_is_told_and_waited_for(page: Page) -> None:
    example(page, "Low-scoring").click()
    page.context.set_offline(True)
    press_score(page)
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    expect(page.locator("#state")).to_have_text("The server cannot be reached")
    page.context.set_offline(False)
    score(page)
    expect(page.locator("#error")).to_be_hidden()
    expect(decision(page)).to_have_text("Pass")


def test_names_of_features_run_no_script(page: Page, server: Server) -> None:
    names = ["<img src=x onerror=window.bad=1>", "__proto__", "constructor", "</script>", " "]
    row = "{" + ", ".join(f"{json.dumps(name)}: {i}" for i, name in enumerate(names)) + "}"
    described = server.get("/openapi.json").json()
    described["components"]["schemas"]["Transaction"]["properties"] = {name: {} for name in names}
    reasons = [{"feature": name, "contribution": 1.5} for name in names]
    answer = {"fraud_probability": 0.5, "is_fraud": True, "risk_level": names[0]}
    page.route("**/openapi.json", lambda route: route.fulfill(json=described))
    page.route(
        "**/invocations",
        lambda route: route.fulfill(json={"predictions": [answer | {"reasons": reasons}]}),
    )
    page.reload()
    expect(page.locator("#grid input")).to_have_count(len(names))
    text_box(page).fill(row)
    with page.expect_request("**/invocations") as sent:
        press_score(page)
    assert json.loads(sent.value.post_data or "")["dataframe_records"] == [json.loads(row)]
    expect(page.get_by_role("table").locator("tbody tr")).to_have_count(len(names))
    expect(page.get_by_role("rowheader").first).to_contain_text(names[0])
    assert page.evaluate("window.bad") is None
    assert page.locator("img").count() == 0


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


def take_file(page: Page, name: str, text: str, encoding: str = "utf-8") -> None:
    """Chooses a file and scores its rows."""
    content = FilePayload(name=name, mimeType="text/plain", buffer=text.encode(encoding))
    page.locator("#file").set_input_files(content)
    page.get_by_role("button", name=re.compile("^Score .*rows$")).click()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


@pytest.mark.slow
def test_a_file_is_sorted_judged_and_downloaded(
    opened: Visit, server: Server, table: pd.DataFrame
) -> None:
    page, sample = opened.page, table.sample(700, random_state=5)
    lines = sample.to_csv(index=False).splitlines()
    # A value that cannot be scored, and a label that is not known yet.
    lines[3] = "soon," + lines[3].partition(",")[2]
    lines[4] = lines[4].rpartition(",")[0] + ","
    take_file(page, "transactions.csv", "\n".join(lines), "utf-16")
    expect(page.locator("#batch-note")).to_contain_text('row 3: Time is "soon"')

    with page.expect_download() as saved:
        page.get_by_role("button", name="Download scored rows").click()
    with saved.value.path().open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["not_scored"] != "" for row in found] == [i == 2 for i in range(700)]
    rows = sample.drop(columns="Class").to_dict("records")
    expected = server.post({"dataframe_records": rows}).json()["predictions"]
    for place in (0, 100, 699):
        assert float(found[place]["fraud_probability"]) == expected[place]["fraud_probability"]
        assert found[place]["V1"] == lines[place + 1].split(",")[1]

    scored = [row for row in found if row["fraud_probability"]]
    shown = page.locator("#rows tbody tr td:nth-of-type(1)").all_inner_texts()
    shares = [float(text.strip("<>% ")) for text in shown]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(
        100 * max(float(row["fraud_probability"]) for row in scored), rel=0.06
    )

    page.get_by_label("Probability", exact=True).fill("0.02")
    flagged = [row for row in scored if float(row["fraud_probability"]) >= 0.02]
    hits = sum(row["Class"] == "1" for row in flagged)
    labelled = sum(row["Class"] != "" for row in flagged)
    frauds = sum(row["Class"] == "1" for row in scored)
    amount = sum(float(row["Amount"]) for row in flagged)
    summary = page.locator("#summary tbody tr td:nth-of-type(1)")
    texts = [text.split(" [")[0] for text in summary.all_inner_texts()]
    assert texts[0] == f"{len(flagged)} of 699"
    assert number(texts[2].split(" of ")[0]) == pytest.approx(amount, rel=1e-4)
    assert texts[3] == f"{hits} of {frauds}"
    assert float(texts[4].strip("% ")) == pytest.approx(100 * hits / labelled, abs=0.06)
    assert float(texts[5].strip("% ")) == pytest.approx(100 * hits / frauds, abs=0.06)
    page.get_by_label("Threshold").press("Home")
    expect(summary.first).to_have_text("699 of 699")
    page.get_by_role("button", name="The version's own").click()
    own = sum(row["is_fraud"] == "true" for row in scored)
    expect(summary.first).to_have_text(f"{own} of 699")

    page.get_by_role("button", name="Next").click()
    opening = page.locator("#rows tbody button").nth(2)
    place = int(opening.inner_text().removeprefix("Row ")) - 1
    opening.click()
    expect(page.locator("#percent")).to_have_attribute("title", found[place]["fraud_probability"])
    expect(page.locator("#reasons tbody tr")).to_have_count(8)
    assert opened.scored[-1]["dataframe_records"] == [rows[place]]
    assert not opened.complaints


def test_lines_of_the_audit_log_paste_as_they_are(opened: Visit, rows: dict[str, Row]) -> None:
    page = opened.page
    first, second = (
        {"time": "2026-01-05T10:00:00+00:00", "request_id": name, "row": 0, "features": row}
        for name, row in rows.items()
    )
    refused = {"time": "2026-01-05T10:00:01+00:00", "request_id": "c", "refused": "bad_request"}
    paste(page, json.dumps(second))
    with page.expect_response("**/invocations") as answered:
        press_score(page)
    assert opened.scored[-1]["dataframe_records"] == [rows["high"]]
    expect(page.locator("#request-id")).to_have_text(answered.value.headers["x-request-id"])
    page.get_by_role("button", name="Copy the request id").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == answered.value.headers["x-request-id"]
    paste(page, "\n".join(map(json.dumps, (first, refused, second))))
    expect(page.locator("#batch-note")).to_contain_text("Pasted: 2 rows.")
    expect(page.locator("#batch-note")).to_contain_text("refused")
    page.get_by_role("button", name="Score 2 rows").click()
    expect(page.locator("#rows tbody tr")).to_have_count(2)


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


def test_the_version_and_its_run_are_linked_where_mlflow_has_an_address(
    page: Page, server: Server
) -> None:
    health = server.get("/health").json()
    health |= {"mlflow_tracking_uri": "https://tracking.example/mlflow"}
    page.route("**/health", lambda route: route.fulfill(json=health))
    page.reload()
    version, run = page.locator("#facts a").all()
    start = "https://tracking.example/mlflow/#"
    name = f"{health['model_name']}/versions/{health['model_version']}"
    assert version.get_attribute("href") == f"{start}/models/{name}"
    assert run.get_attribute("href") == f"{start}/runs/{health['run_id']}"


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


def test_the_page_hosted_elsewhere_asks_for_the_token_and_keeps_it_for_the_tab(
    browser: Browser, exported: Path, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(FOLDER, tmp_path / "elsewhere")
    settings = {"API_TOKEN": "opensesame", "MAX_ROWS": "3"}
    with (
        serve_folder(elsewhere) as host,
        serving(
            tmp_path, "--model-uri", str(exported), ALLOWED_ORIGINS=host, **settings
        ) as guarded,
        visit(browser, f"{host}/{PAGE}?server={guarded.url}") as opened,
    ):
        page = opened.page
        # The fields need no token, and the place to enter it is open.
        example(page, "High-scoring").click()
        expect(page.get_by_label("Token")).to_be_visible()
        score(page)
        expect(page.get_by_role("alert")).to_contain_text("The server requires a token")
        page.get_by_role("button", name="Enter the token").click()
        expect(page.get_by_label("Token")).to_be_focused()
        page.keyboard.type("opensesame")
        page.keyboard.press("Enter")
        example(page, "High-scoring").click()
        score(page)
        expect(decision(page)).to_have_text("Flag")
        page.reload()
        example(page, "High-scoring").wait_for()
        assert "opensesame" not in page.url
        assert page.evaluate("localStorage.length") == 0
        assert not page.context.cookies()
        # Rows go in batches that the server's limits allow.
        payload = guarded.get("/openapi.json").json()["paths"]["/invocations"]["post"]
        examples = payload["requestBody"]["content"]["application/json"]["examples"].values()
        known = [it["value"]["dataframe_records"][0] for it in examples]
        take_file(page, "ten.jsonl", "\n".join(json.dumps(known[i % 2]) for i in range(10)))
        expect(page.locator("#of-rows")).to_have_text("1 to 10 of 10 rows")
        page.locator("summary").click()
        page.get_by_label("Server").fill("http://127.0.0.1:9")
        page.get_by_label("Server").press("Tab")
        expect(page.get_by_label("Token")).to_have_value("")


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
