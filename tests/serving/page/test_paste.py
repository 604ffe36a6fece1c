"""What is pasted as a transaction, and what is said where it cannot be read."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit
from tests.support.page import (
    Row,
    decision,
    example,
    field,
    paste,
    press_score,
    score,
    text_box,
)


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
