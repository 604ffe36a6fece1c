"""What the page says about the model and the server, and what it does without their help."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from fraud_model.serving.page import FOLDER, PAGE
from tests.support.browser import visit
from tests.support.file_server import serve_folder
from tests.support.page import (
    Row,
    decision,
    example,
    press_score,
    score,
    strip,
    take_file,
    text_box,
)
from tests.support.server import Server, serving


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


def test_the_version_and_its_run_are_linked_where_mlflow_has_an_address(
    page: Page, server: Server
) -> None:
    health = server.get("/health").json()
    health |= {"mlflow_tracking_uri": "https://tracking.example/mlflow"}
    page.route("**/health", lambda route: route.fulfill(json=health))
    page.reload()
    links = page.locator("#facts a")
    expect(links).to_have_count(2)
    start = "https://tracking.example/mlflow/#"
    name = f"{health['model_name']}/versions/{health['model_version']}"
    expect(links.nth(0)).to_have_attribute("href", f"{start}/models/{name}")
    expect(links.nth(1)).to_have_attribute("href", f"{start}/runs/{health['run_id']}")


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


@pytest.mark.slow
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
