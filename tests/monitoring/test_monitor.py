"""`monitor` tells quiet from alarm from unknown, and everybody whom it should."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import requests

from entrypoints.reporting import run_entry_point
from fraud_model.data.simulation import Drift, simulate
from fraud_model.monitoring.pushgateway import push_check
from fraud_model.monitoring.result import Advice, Event
from fraud_model.monitoring.summary import NextSteps
from fraud_model.monitoring.webhook import send_alarm
from fraud_model.registry.moves import move
from tests.support.audit_lines import refused_line, scored_lines, shadow_line, write_lines
from tests.support.file_server import serve, serve_api
from tests.support.pushgateway import needs_pushgateway, pushgateway
from tests.support.store import Store

ROWS, DAYS = 1_500, 3
DRIFT = Drift(shift={"V3": 1.0, "V7": 1.0, "Amount": 1.0})


def evening(rows: int, seed: int, drift: Drift | None = None) -> pd.DataFrame:
    """Transactions of the hours that the reference scores are from: the last 40 % of the time."""
    return simulate(rows * 5 // 2, rows // 8, seed=seed, drift=drift).tail(rows)


class Monitored:
    """A registered version in Production, with traffic to its taste."""

    def __init__(self, store: Store, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.store = store
        self.capture = capture
        self.folder = folder
        self.name = store.new_model()
        move(self.name, "1", "Production")
        model = mlflow.pyfunc.load_model(f"models:/{self.name}/1")
        self.detector = model.unwrap_python_model()

    def log(self, drift: Drift | None = None, days: int = DAYS, rows: int = ROWS) -> Path:
        """An audit log of simulated traffic, with a label for every line."""
        lines, labels = [], []
        for day in range(days):
            table = evening(rows, 50 + day, drift)
            scored = scored_lines(self.detector, table, day=day, name=self.name)
            lines += [*scored, refused_line(day, name=self.name)]
            keys = [line["request_id"] for line in scored]
            labels.append(pd.DataFrame({"request_id": keys, "Class": table["Class"]}))
        pd.concat(labels).to_csv(self.folder / "labels.csv", index=False)
        return write_lines(self.folder / "audit.jsonl", lines)

    def run(self, *arguments: str, status: int = 0, entry_point: str = "monitor") -> str:
        """Runs an entry point on this model in this process; what it printed."""
        module = importlib.import_module(f"entrypoints.{entry_point}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [entry_point, "--model-name", self.name, *arguments])
            patch.chdir(self.folder)
            said = ""
            try:
                run_entry_point(module.main)
                left = 0
            except SystemExit as end:
                # A text is what the interpreter prints to stderr, with exit status 1.
                said, left = (end.code, 1) if isinstance(end.code, str) else ("", end.code or 0)
        shown = self.capture.readouterr()
        said = shown.out + shown.err + said
        assert left == status, said
        return said


@pytest.fixture
def monitored(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Monitored:
    return Monitored(store, tmp_path, capsys)


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, object]], list[int]]]:
    """A webhook: its address, what it was told, and the statuses that it answers first."""
    told: list[dict[str, object]] = []
    statuses: list[int] = []

    def answer(method: str, path: str, authorization: str, body: bytes) -> tuple[int, object]:
        told.append({"method": method, "body": body})
        return (statuses.pop(0) if statuses else 200), {"ok": True}

    with serve_api(answer) as url:
        yield f"{url}/services/secret-path", told, statuses


def last_check(name: str) -> mlflow.entities.Run:
    (found,) = mlflow.search_runs(
        experiment_names=["monitoring"],
        filter_string=f"tags.`monitoring.version` = '{name} version 1'",
        output_format="list",
        max_results=1,
    )
    return found


def test_traffic_like_the_reference_is_quiet(monitored: Monitored) -> None:
    log = monitored.log()
    said = monitored.run("--log", str(log), "--labels", "labels.csv")
    assert "status: quiet" in said
    assert "4,500 scored transactions, 3 refused requests" in said
    assert "note: average precision is" in said
    run = last_check(monitored.name)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"quiet: {monitored.name} version 1"
    assert run.data.tags["monitoring.status"] == "quiet"
    assert {"psi/V3", "ks/V3", "score_shift", "flagged_rate", "mean_amount"} <= set(
        run.data.metrics
    )
    assert "performance/average_precision_low" in run.data.metrics
    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.info.run_id, "psi/V3")
    assert [entry.step for entry in history] == [0, 1, 2]
    assert np.diff([entry.timestamp for entry in history]).tolist() == [86_400_000] * 2
    page = (monitored.folder / "monitoring" / "report.html").read_text()
    heading = "Quiet: nothing calls for action in 3 windows, 2026-11-01 to 2026-11-03"
    assert f"<h1 class='quiet'>{heading}</h1>" in page
    assert "<td class='alarm'>" not in page, "nothing is red where nothing alarms"
    live, holdout = re.search(  # type: ignore[union-attr]
        r">average precision</th><td>([\d.]+)</td><td>[^<]+</td><td>([\d.]+)</td>", page
    ).groups()
    held = monitored.store.trained.result.metrics["holdout"]
    assert float(holdout) == pytest.approx(held.average_precision, abs=5e-5)
    assert float(live) == pytest.approx(run.data.metrics["performance/average_precision"], abs=5e-5)
    files = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert files == {"report.html", "report.json"}
    tags = client.get_model_version(monitored.name, "1").tags
    assert tags["monitoring.status"] == "quiet"
    assert tags["monitoring.run_id"] == run.info.run_id


def test_drift_alarms_by_exit_status_line_and_webhook(
    monitored: Monitored,
    hook: tuple[str, list[dict[str, object]], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, told, statuses = hook
    statuses += [503, 429]
    monkeypatch.setenv("ALERT_WEBHOOK", url)
    log = str(monitored.log(DRIFT))
    said = monitored.run("--log", log, "--labels", "labels.csv", "--report", "out", status=3)
    first = next(line for line in said.splitlines() if line.startswith("alarm"))
    assert first.startswith("alarm since 2026-11-01: other transactions than those learned: ")
    assert said.count("since 2026") == 1, "one event has one date"
    assert "the check itself went well: exit status 3 means alarm" in said
    assert "because: V3 has moved: PSI" in said
    assert "0.2 or more in 3 of 3 windows" in said
    assert "because: scores have moved" in said
    assert "how sure: in 3 of 3 windows; by chance at most once in 1,000,000 times" in said
    assert "recommended: retrain" in said
    assert "webhook at 127.0.0.1 was notified" in said
    assert "secret-path" not in said
    assert len(told) == 3, "it is tried again until it answers well"
    body = told[-1]["body"]
    assert isinstance(body, bytes)
    content = json.loads(body)
    assert "V3 has moved" in content["text"]
    assert (content["status"], content["recommended_action"]) == ("alarm", "retrain")
    assert last_check(monitored.name).info.status == "FINISHED"
    report = json.loads((monitored.folder / "out" / "report.json").read_text())
    assert report["retrain"] is True
    page = (monitored.folder / "out" / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    heading = page.split("<h1 class='alarm'>")[1].split("</h1>")[0]
    assert heading == f"A{first[1:]}"
    run = last_check(monitored.name).info
    address = f"http://127.0.0.1:5000/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    assert set(re.findall(r"https?://[^\s'<]+", page)) == {address}
    assert f"<pre><code>mlflow run . -e collect --env-manager local -P log={log} " in page
    (event,) = report["events"]
    assert (event["cause"], event["since"]) == ("population", "2026-11-01")
    assert event["command"].endswith(f"-P labels=labels.csv -P model_name={monitored.name}")
    # What is open shows the window of the alarm, and red what alarms there.
    shown = page.split("<h2>Every feature in ")[1].split("<details>")[0]
    assert shown.startswith("2026-11-0")
    worst = next(w for w in report["windows"] if w["window"] == shown[:10])
    red = re.findall(r"<th scope='row'>(\w+)</th><td class='alarm'>([\d.]+)<", shown)
    assert dict(red) == {n: f"{psi:.3f}" for n, psi in worst["psi"].items() if psi >= 0.2}


def test_the_webhook_is_told_with_a_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers["X-Hub-Signature-256"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    monkeypatch.setenv("ALERT_WEBHOOK_SECRET", "key")
    advice = Advice("feed", "a feed that broke", "mend it", False, "1 d")
    check: Any = SimpleNamespace(
        version="m version 1",
        status="alarm",
        findings=[],
        events=[Event(advice, (), "in 1 of 1 windows")],
        advice=advice,
        retrain=False,
    )
    with serve(Receiver) as url:
        monkeypatch.setenv("ALERT_WEBHOOK", url)
        assert send_alarm(check, NextSteps("again", "learn")) == "webhook at 127.0.0.1 was notified"
    ((signature, body),) = told
    assert signature == f"sha256={hmac.new(b'key', body, hashlib.sha256).hexdigest()}"


@pytest.mark.slow
def test_a_webhook_or_pushgateway_out_of_reach_changes_nothing(
    monitored: Monitored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK", "http://127.0.0.1:9/secret-path")
    monkeypatch.setenv("PUSHGATEWAY", "http://127.0.0.1:9")
    said = monitored.run("--log", str(monitored.log(DRIFT, days=2)), status=3)
    assert "webhook at 127.0.0.1 could not be reached (ConnectionError)" in said
    assert "the Pushgateway at 127.0.0.1 was not told" in said
    assert "secret-path" not in said


@needs_pushgateway
def test_the_pushgateway_holds_the_last_check_of_a_model(
    monitored: Monitored, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pushgateway(tmp_path) as url:
        monkeypatch.setenv("PUSHGATEWAY", url)
        version = f"{monitored.name} version 1"

        def push(version: str, status: str) -> None:
            check: Any = SimpleNamespace(version=version, status=status, judged=[])
            told = push_check(check, monitored.name, keeps_alarm=False)
            assert told == "the Pushgateway at 127.0.0.1 was told"

        def held(name: str, version: str = version) -> str | None:
            text = requests.get(f"{url}/metrics", timeout=30).text
            about = f'model="{monitored.name}",version="{version}"'
            found = re.search(rf"^fraud_monitor_{name}{{.*{about}}} (.*)$", text, re.MULTILINE)
            return found and found[1]

        push("an earlier one", "alarm")
        push(version, "alarm")
        assert held("alarm", "an earlier one") is None
        said = monitored.run("--log", str(monitored.log(rows=200)), status=4)
        assert "the Pushgateway at 127.0.0.1 was told" in said
        assert (held("unknown"), held("alarm")) == ("1", "1"), "an unknown check clears no alarm"
        push(version, "quiet")
        assert (held("unknown"), held("alarm")) == ("0", "0")


def test_too_little_traffic_is_unknown_and_no_pass(monitored: Monitored) -> None:
    said = monitored.run("--log", str(monitored.log(rows=200)), status=4)
    assert "unknown: 3 of 3 windows hold fewer than 1,000 scored transactions" in said
    assert "status: unknown" in said
    assert last_check(monitored.name).data.tags["monitoring.status"] == "unknown"
    nothing = write_lines(
        monitored.folder / "other.jsonl", [refused_line(version="9", name=monitored.name)]
    )
    said = monitored.run("--log", str(nothing), status=4)
    assert f"unknown: no transaction of {monitored.name} version 1 in the traffic" in said
    assert f"other versions: 1 of {monitored.name} 9" in said


def test_refused_requests_are_counted_among_requests(monitored: Monitored) -> None:
    table = evening(ROWS, 50)
    scored = [
        {**line, "request_id": f"{i // 100}", "row": i % 100}
        for i, line in enumerate(scored_lines(monitored.detector, table, name=monitored.name))
    ]
    refused = [refused_line(name=monitored.name)] * 15
    log = write_lines(monitored.folder / "audit.jsonl", scored + refused)
    said = monitored.run("--log", str(log), status=3)
    assert "requests are refused: 50.0% of those in 2026-11-01 (15 of 30)" in said
    # A window of transactions that never fills, because requests are refused.
    said = monitored.run("--log", str(log), "--window", "10000", status=3)
    assert "requests are refused: 50.0% of those in transactions 0 to 9,999 (15 of 30)" in said
    assert "recommended: mend what delivers them" in said
    few = write_lines(monitored.folder / "few.jsonl", scored + refused[:9])
    assert "status: quiet" in monitored.run("--log", str(few))


def test_an_unfinished_day_is_reported_and_not_judged(monitored: Monitored) -> None:
    lines = [json.loads(line) for line in monitored.log(DRIFT).read_text().splitlines()]
    until_five = [line for line in lines if line["time"] < "2026-11-01T05:30"]
    log = write_lines(monitored.folder / "early.jsonl", until_five * 4)
    said = monitored.run("--log", str(log), status=4)
    assert "unknown: 1 of 1 windows are not whole, and not judged: 2026-11-01 (1,376)" in said
    assert "has moved" not in said


@pytest.mark.slow
def test_a_feature_that_moves_once_is_a_remark(monitored: Monitored) -> None:
    lines = []
    for day, drift in enumerate((None, Drift(shift={"V24": 0.7}), None)):
        table = evening(ROWS, 50 + day, drift)
        lines += scored_lines(monitored.detector, table, day=day, name=monitored.name)
    said = monitored.run("--log", str(write_lines(monitored.folder / "audit.jsonl", lines)))
    assert "note: V24 has moved" in said
    assert "never 2 in a row" in said


@pytest.mark.slow
def test_labels_tell_that_the_version_got_worse(monitored: Monitored) -> None:
    log = monitored.log()
    labels = pd.read_csv(monitored.folder / "labels.csv")
    # Fraud that looks like anything else: the scores say nothing about it.
    labels["Class"] = np.random.default_rng(0).permutation(labels["Class"])
    labels.to_csv(monitored.folder / "labels.csv", index=False)
    said = monitored.run("--log", str(log), "--labels", "labels.csv", status=3)
    assert "alarm since 2026-11-01: fraud that the version tells apart less well" in said
    assert "because: average precision is 0.0" in said
    assert re.search(
        r"^    mlflow run \. -e collect .* -P labels=labels.csv -P model_name=", said, re.MULTILINE
    )
    assert "V3 has moved" not in said
    client = mlflow.MlflowClient()
    alarm = client.get_model_version(monitored.name, "1").tags
    # What judges no labels cannot tell that it tells fraud apart again.
    said = monitored.run("--log", str(log))
    assert "the alarm of an earlier check stands" in said
    assert "status: quiet" in said
    assert client.get_model_version(monitored.name, "1").tags == alarm
    monitored.run("--log", str(monitored.log(DRIFT, days=2)), status=3)
    about = client.get_model_version(monitored.name, "1").tags["monitoring.about"]
    assert about == "feature,performance,scores"
    monitored.run("--log", str(monitored.log()), "--labels", "labels.csv")
    assert client.get_model_version(monitored.name, "1").tags["monitoring.status"] == "quiet"


@pytest.mark.slow
def test_unmatured_labels_are_unknown(monitored: Monitored) -> None:
    log = monitored.log()
    labels = pd.read_csv(monitored.folder / "labels.csv")
    labels[labels["Class"] == 1].to_csv(monitored.folder / "labels.csv", index=False)
    said = monitored.run("--log", str(log), "--labels", "labels.csv")
    assert "unknown: performance: 0 windows have matured" in said


@pytest.mark.slow
def test_a_feed_of_frauds_alone_matures_by_the_rule(monitored: Monitored) -> None:
    log = monitored.log()
    labels = pd.read_csv(monitored.folder / "labels.csv")
    frauds = labels[labels["Class"] == 1]
    frauds.assign(Class="chargeback").to_csv(monitored.folder / "labels.csv", index=False)
    rule = ("--label-delay", "1d", "--unlabelled", "genuine", "--fraud", "chargeback")
    said = monitored.run("--log", str(log), "--labels", "labels.csv", *rule)
    # The last of the three days is not over since a day.
    old = labels["request_id"].str.startswith(("0-", "1-"))
    assert f"on 3,000 labelled transactions with {int(labels[old]['Class'].sum())} frauds" in said
    assert last_check(monitored.name).data.params["label_delay"] == "1d"


@pytest.mark.slow
def test_what_the_page_sent_is_no_traffic(monitored: Monitored) -> None:
    log = monitored.log(days=2)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    clicks = [{**line, "source": "page"} for line in lines[:44]]
    write_lines(log, [*lines, *clicks])
    said = monitored.run("--log", str(log))
    assert "3,000 scored transactions" in said
    assert "44 from the page or a test" in said
    said = monitored.run("--log", str(log), "--test-requests", "true")
    assert "3,044 scored transactions" in said


@pytest.mark.slow
def test_a_check_that_cannot_judge_clears_no_alarm(monitored: Monitored) -> None:
    monitored.run("--log", str(monitored.log(DRIFT, days=2)), status=3)
    client = mlflow.MlflowClient()
    alarm = client.get_model_version(monitored.name, "1").tags
    monitored.run("--log", str(monitored.log(rows=200)), status=4)
    assert last_check(monitored.name).info.run_name.startswith("unknown: ")
    assert client.get_model_version(monitored.name, "1").tags == alarm
    assert alarm["monitoring.status"] == "alarm"
    monitored.run("--log", str(monitored.log(days=2)))
    assert client.get_model_version(monitored.name, "1").tags["monitoring.status"] == "quiet"


@pytest.mark.slow
def test_a_shadow_is_reported_beside_the_champion(monitored: Monitored) -> None:
    monitored.store.new_version(monitored.name)
    log = monitored.log(days=2)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    truth = pd.read_csv(monitored.folder / "labels.csv").set_index("request_id")["Class"]
    scored = [line for line in lines if "features" in line]
    # A shadow that knows the truth.
    shadows = [
        shadow_line(line, "2", 0.1 + 0.8 * int(truth[line["request_id"]])) for line in scored
    ]
    # And another one of which nobody asks.
    other = shadow_line(scored[0], "3", 0.5)
    write_lines(log, [*lines, *shadows, other])
    monitored.run("--log", str(log), "--labels", "labels.csv")
    report = json.loads((monitored.folder / "monitoring" / "report.json").read_text())
    shadow = next(shadow for shadow in report["shadows"] if shadow["version"] == "2")
    assert "average precision +0." in shadow["verdict"]
    rows = {row[0]: row[1:] for row in shadow["table"]}
    assert rows["transactions that both scored"] == ["3,000", "3,000"]
    assert rows["flagged"][1] == str(truth.sum())
    assert rows["average precision"][1].startswith("1.000 [0.9")

    said = monitored.run("--log", str(log), "--labels", "labels.csv", entry_point="compare")
    assert "## Shadow version 2 against the champion on live traffic" in said
    assert "| average precision |" in said.split("## Shadow")[1]
    live = json.loads((monitored.folder / "comparison" / "comparison.json").read_text())["live"]
    assert live == shadow


def test_compare_refuses_a_log_without_the_shadow(monitored: Monitored) -> None:
    monitored.store.new_version(monitored.name)
    said = monitored.run("--log", str(monitored.log(days=1)), status=1, entry_point="compare")
    assert "error: the log holds no transaction that version 2 scored" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "error: log is empty"),
        (("--log", "traffic.csv", "--window", "5", "--report", "traffic.csv"), "cannot be written"),
        (("--log", "nowhere.jsonl"), "error: nowhere.jsonl: no such audit log"),
        (("--log", "nowhere.csv"), "error: nowhere.csv: no such file"),
        (
            ("--log", "traffic.csv", "--window", "1w"),
            "error: window='1w' is invalid: expected a duration such as 1d",
        ),
        (("--log", "traffic.csv", "--stage", "Staging"), "nothing stands in Staging"),
        (("--log", "traffic.csv", "--labels", "traffic.csv"), "error: traffic.csv: labels need"),
    ],
)
def test_a_refusal_is_one_line_and_a_failed_run(
    monitored: Monitored, arguments: tuple[str, ...], message: str
) -> None:
    simulate(10, 1).drop(columns="Class").to_csv(monitored.folder / "traffic.csv", index=False)
    said = monitored.run(*arguments, status=1)
    assert message in said
    assert "Traceback" not in said
    runs = mlflow.search_runs(experiment_names=["monitoring"], output_format="list", max_results=1)
    assert runs[0].info.status == "FAILED"
    assert not (monitored.folder / "monitoring").exists()


@pytest.mark.slow
def test_a_table_is_checked_by_rows_or_by_its_own_time(monitored: Monitored) -> None:
    table = simulate(6_000, 300, seed=9, drift=DRIFT)
    table = table.assign(id=np.arange(len(table)))
    table.drop(columns="Class").to_parquet(monitored.folder / "traffic.parquet")
    table.to_parquet(monitored.folder / "labelled.parquet")
    for window in ("2000", "12h"):
        said = monitored.run("--log", "traffic.parquet", "--window", window, status=3)
        assert "because: V7 has moved" in said
        assert "-e train" not in said
    given = ("--labels", "labelled.parquet", "--window", "2000")
    said = monitored.run("--log", "traffic.parquet", *given, status=3)
    assert "recommended: retrain" in said
    assert "-e train" not in said, "it holds no label"
    said = monitored.run("--log", "labelled.parquet", *given, status=3)
    train = "-e train --env-manager local -P data=labelled.parquet -P target=Class"
    assert f"    mlflow run . {train} -P model_name={monitored.name}\n" in said


@pytest.mark.slow
def test_an_exported_directory_is_monitored_without_a_registry(
    monitored: Monitored, exported: Path
) -> None:
    origin = json.loads((exported / "origin.json").read_text())
    detector = mlflow.pyfunc.load_model(str(exported)).unwrap_python_model()
    table = evening(ROWS, 50)
    lines = scored_lines(detector, table, name=origin["model_name"])
    log = write_lines(monitored.folder / "audit.jsonl", lines)
    said = monitored.run("--log", str(log), "--model-dir", str(exported))
    assert f"{origin['model_name']} version 1: 1,500 lines" in said


@pytest.mark.slow
def test_a_workflow_learns_whether_to_retrain(
    monitored: Monitored, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = monitored.folder / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    log = str(monitored.log(DRIFT, days=2))
    monitored.run("--log", log, "--labels", "labels.csv", status=3)
    assert output.read_text() == "retrain=true\n"
    output.unlink()
    # Without labels a training would learn what was learned before.
    said = monitored.run("--log", log, status=3)
    assert output.read_text() == "retrain=false\n"
    assert "recommended: label transactions since then" in said
    assert "-e train" not in said
    assert "-e collect" not in said
