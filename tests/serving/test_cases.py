"""What was flagged gets labels, and monitoring and training read them."""

from __future__ import annotations

import json
import resource
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from playwright.sync_api import expect

from entrypoints import collect, monitor
from entrypoints.reporting import run_entry_point
from fraud_model.data.label_table import read_label_table
from fraud_model.errors import ParameterError
from fraud_model.model.directory import ModelDirectory
from fraud_model.serving import cases
from fraud_model.serving.cases import last_flagged
from fraud_model.serving.labels_file import LabelsFile
from fraud_model.serving.settings import Settings
from tests.support.audit_lines import write_lines
from tests.support.browser import barriers, chromium, visit
from tests.support.server import serving
from tests.support.store import Store

ALICE, BOB = ({"Authorization": f"Bearer {token}"} for token in ("tokenA", "tokenB"))


@pytest.mark.slow
def test_what_the_buttons_write_is_read_by_monitor_and_collect(
    store: Store,
    exported: Path,
    table: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tokens").write_text("alice tokenA\nbob tokenB\n")
    settings = {"API_TOKENS_FILE": "tokens", "AUDIT_LOG": "audit.jsonl", "LABELS_FILE": "l.jsonl"}
    rows = table.drop(columns="Class").head(40).to_dict("records")
    with (
        serving(tmp_path, "--model-uri", str(exported), "--workers", "2", **settings) as server,
        chromium() as browser,
    ):
        for i in range(4):
            # Flagged by a threshold of 0, so that many are.
            payload = {"dataframe_records": rows[i * 10 : i * 10 + 10], "params": {"threshold": 0}}
            assert server.post(payload, headers=BOB).ok
        assert server.post(payload, headers=BOB | {"X-Request-Source": "test"}).ok
        assert server.post({"dataframe_records": [{}]}, headers=BOB).status_code == 400
        assert server.get("/flagged").status_code == 401
        described = server.get("/openapi.json").json()["paths"]
        assert {"/flagged", "/labels"} <= described.keys()

        with visit(browser, f"{server.url}/") as opened:
            page = opened.page
            page.get_by_label("Token").fill("tokenA")
            page.get_by_label("Token").press("Enter")
            listed = page.locator("#case-list li")
            expect(listed).to_have_count(40)
            button = listed.nth(0).get_by_role("button", name="Fraud")
            button.click()
            expect(button).to_have_attribute("aria-pressed", "true")
            listed.nth(1).get_by_role("button", name="Genuine").click()
            expect(listed.nth(1)).to_contain_text("by alice")
            listed.nth(1).get_by_role("button", name="Fraud").click()
            expect(listed.nth(1).get_by_role("button", name="Genuine")).to_have_attribute(
                "aria-pressed", "false"
            )
            listed.nth(2).get_by_role("button").first.click()
            expect(page.locator("#reasons tbody tr")).to_have_count(8)
            assert not opened.complaints
            assert barriers(page) == []

        flagged = server.get("/flagged", headers=BOB).json()["cases"]
        assert [case["features"] for case in flagged] == rows[::-1]
        assert [case["label"] for case in flagged[:3]] == ["fraud", "fraud", None]
        assert [case["labelled_by"] for case in flagged[:3]] == ["alice", "alice", None]

        def decide(place: int) -> dict[str, Any]:
            case = {key: flagged[place][key] for key in ("request_id", "row")}
            payload = {**case, "label": "fraud" if place % 2 else "genuine"}
            answer = requests.post(f"{server.url}/labels", json=payload, headers=BOB, timeout=60)
            answer.raise_for_status()
            decided: dict[str, Any] = answer.json()
            return decided

        with ThreadPoolExecutor(8) as threads:
            assert {it["labelled_by"] for it in threads.map(decide, range(2, 40))} == {"bob"}
        for body, told in (
            ({"row": 0}, "request_id"),
            ({"request_id": "a", "row": True}, "row"),
            ({"request_id": "a", "row": 0, "label": "yes"}, "label"),
            ([], "object"),
        ):
            refused = requests.post(f"{server.url}/labels", json=body, headers=BOB, timeout=60)
            assert refused.status_code == 400
            assert told in refused.json()["message"]
        # What another website could send without asking.
        plain = requests.post(f"{server.url}/labels", data="{}", headers=BOB, timeout=60)
        assert plain.status_code == 415

    lines = [json.loads(line) for line in Path("l.jsonl").read_text().splitlines()]
    assert len(lines) == 3 + 38
    dates = [line["labelled_at"] for line in lines]
    assert dates == sorted(set(dates))
    assert Path("l.jsonl").stat().st_mode & 0o777 == 0o600

    origin = ModelDirectory(exported).required_origin()
    shared = ["--log", "audit.jsonl", "--labels", "l.jsonl", "--model-name", origin["model_name"]]
    monkeypatch.setattr(sys, "argv", ["collect", *shared, "--output", "collected.parquet"])
    run_entry_point(collect.main)
    collected = pd.read_parquet("collected.parquet")
    expected = [1, 1, *(place % 2 for place in range(2, 40))]
    assert collected["Class"].tolist() == expected[::-1]
    # What stands in the registry's stage depends on other tests.
    shared[-2:] = ["--model-dir", str(exported)]
    monkeypatch.setattr(sys, "argv", ["monitor", *shared, "--window", "40"])
    # The decisions are made up, so it alarms.
    with pytest.raises(SystemExit, match=r"^3$"):
        run_entry_point(monitor.main)
    assert f"on 40 labelled transactions with {sum(expected)} frauds" in capsys.readouterr().out


def labelled(path: Path) -> list[float]:
    keys = [("a", "0"), ("a", "1"), ("00012", "0")]
    known = read_label_table(path, "Class", ("request_id", "row")).of(keys)
    return list(map(float, known))


def test_a_decision_outlives_a_torn_line_an_editor_and_a_clock_put_back(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    file = LabelsFile(path)
    file.check()
    ahead = datetime(2090, 1, 1, tzinfo=UTC).isoformat(timespec="microseconds")
    # Somebody's editor left out the last line end.
    edited = {"request_id": "a", "row": 0, "Class": 0, "labelled_at": ahead, "labelled_by": "x"}
    path.write_text(json.dumps(edited))
    file.add(("a", 0), "Class", True, "alice")
    # A writer was killed.
    with path.open("a") as torn:
        torn.write('{"request_id": "a", "row": 1, "Cla')
    file.add(("00012", 0), "Class", True, "bob")
    file.add(("a", 1), "Class", False, "bob")
    assert labelled(path) == [1, 0, 1]
    assert len(path.read_text().splitlines()) == 4
    found = file.latest([("a", 0), ("b", 0)])
    assert found.keys() == {("a", 0)}
    assert (found["a", 0]["Class"], found["a", 0]["labelled_by"]) == (1, "alice")


def test_a_full_disk_leaves_the_labels_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    file = LabelsFile(path)
    file.add(("a", 0), "Class", True, "alice")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        # The line fits in part.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 30, limits[1]))
        with pytest.raises(OSError, match="too large"):
            file.add(("a", 1), "Class", True, "alice")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, was)
    assert path.read_bytes() == before


def flagged_line(number: int, **more: Any) -> dict[str, Any]:
    line = {"time": "t", "request_id": str(number), "row": 0, "features": {"V1": "ü" * 99_999}}
    return {**line, "fraud_probability": 0.9, "is_fraud": True, **more}


def test_flagged_cases_come_from_all_files_of_the_log_and_no_further_than_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    write_lines(tmp_path / "audit.jsonl.1", [flagged_line(i) for i in range(3)])
    write_lines(tmp_path / "audit.jsonl.2", [flagged_line(3), flagged_line(4, is_fraud=False)])
    write_lines(
        path,
        [
            flagged_line(3),
            flagged_line(5, source="page"),
            {"request_id": "6", "refused": "bad_request"},
            {**flagged_line(7), "features": {"is_fraud": True}, "is_fraud": False},
            {key: value for key, value in flagged_line(8).items() if key != "features"},
            flagged_line(9, source="shop"),
        ],
    )
    with path.open("a") as torn:
        torn.write('{"is_fraud":true')

    def found() -> list[str]:
        return [line["request_id"] for line in last_flagged(path)]

    assert found() == ["9", "3", "2", "1", "0"]
    monkeypatch.setattr(cases, "MOST_CASES", 3)
    assert found() == ["9", "3", "2"]
    monkeypatch.setattr(cases, "REACH_BYTES", path.stat().st_size + 10)
    assert found() == ["9", "3"]
    path.unlink()
    assert found() == ["3", "2"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"LABELS_FILE": "labels.csv", "AUDIT_LOG": "a", "API_TOKEN": "t"}, r"\.jsonl"),
        ({"LABELS_FILE": "labels.jsonl", "API_TOKEN": "t"}, "AUDIT_LOG"),
        ({"LABELS_FILE": "labels.jsonl", "AUDIT_LOG": "a"}, "API_TOKENS_FILE"),
    ],
)
def test_labels_need_a_log_and_a_token(settings: dict[str, str], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        Settings.from_environment(settings)


def test_a_file_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "labels.jsonl"
    with pytest.raises(ParameterError, match=f"LABELS_FILE={missing} cannot be written"):
        LabelsFile(missing).check()
    assert not list(tmp_path.iterdir())
