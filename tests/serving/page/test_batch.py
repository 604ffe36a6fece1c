"""A table of transactions: sorted, judged at a threshold, downloaded, opened row by row."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visit
from tests.support.page import Row, number, take_file
from tests.support.server import Server


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


def test_a_file_that_is_dropped_anywhere_on_the_page_is_read(
    page: Page, rows: dict[str, Row]
) -> None:
    dropped = page.evaluate_handle(
        """text => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], "rows.jsonl"));
            return transfer;
        }""",
        "\n".join(map(json.dumps, rows.values())),
    )
    page.dispatch_event("h1", "drop", {"dataTransfer": dropped})
    expect(page.locator("#batch-note")).to_contain_text("rows.jsonl: 2 rows.")
    page.get_by_role("button", name="Score 2 rows").click()
    expect(page.locator("#rows tbody tr")).to_have_count(2)
