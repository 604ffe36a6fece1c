"""Every scored row is a whole line in the audit log before its answer leaves."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import signal
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from fraud_model.errors import ParameterError
from fraud_model.model.directory import ModelDirectory
from fraud_model.serving import audit
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.model import ScoredRows
from fraud_model.serving.origin import Origin
from fraud_model.serving.settings import Settings
from tests.support.server import serving
from tests.support.waiting import wait_until

FEATURES = ("Time", "Amount")
SCORED = {"fraud_probability": np.array([0.25]), "is_fraud": np.array([False])}


def new_log(path: Path, max_bytes: int = 10**9, keep: float | None = None) -> AuditLog:
    return AuditLog(path, max_bytes, Origin(".", "local", "m", "7"), keep)


def write(log: AuditLog, request_id: str) -> bool:
    return log.write(request_id, ScoredRows(FEATURES, np.array([[1.5, 2.5]]), SCORED))


def lines(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_a_line_holds_what_was_asked_and_answered(tmp_path: Path) -> None:
    assert write(new_log(tmp_path / "audit.jsonl"), "r1")
    (line,) = lines(tmp_path / "audit.jsonl")
    assert line.pop("time").startswith("20")
    assert line == {
        "request_id": "r1",
        "row": 0,
        "model_name": "m",
        "model_version": "7",
        "features": {"Time": 1.5, "Amount": 2.5},
        "fraud_probability": 0.25,
        "is_fraud": False,
    }


def test_a_line_says_where_its_request_came_from(tmp_path: Path) -> None:
    log = new_log(tmp_path / "audit.jsonl")
    log.write("r1", ScoredRows(FEATURES, np.array([[1.5, 2.5]]), SCORED), "page")
    log.write_refusal("r2", "bad_request", "test")
    assert [line["source"] for line in lines(tmp_path / "audit.jsonl")] == ["page", "test"]


def test_a_torn_line_is_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = new_log(path)
    write(log, "r1")
    with path.open("a") as file:
        file.write('{"time": "20' + "x" * 200_000)
    write(log, "r2")
    assert [line["request_id"] for line in lines(path)] == ["r1", "r2"]
    path.write_text('{"only": "a torn line')
    write(log, "r3")
    assert [line["request_id"] for line in lines(path)] == ["r3"]


def test_a_full_file_is_rotated_and_no_line_is_lost(tmp_path: Path) -> None:
    log = new_log(tmp_path / "audit.jsonl", max_bytes=2_000)
    for number in range(40):
        write(log, str(number))
    files = sorted(tmp_path.glob("audit.jsonl.[0-9]*"), key=lambda file: int(file.suffix[1:]))
    assert len(files) > 2
    assert all(file.stat().st_size < 2_500 for file in files)
    together = lines(*files, tmp_path / "audit.jsonl")
    assert [line["request_id"] for line in together] == [str(number) for number in range(40)]


def test_all_files_are_their_owners_alone(tmp_path: Path) -> None:
    log = new_log(tmp_path / "audit.jsonl", max_bytes=500)
    umask = os.umask(0)
    try:
        for number in range(10):
            write(log, str(number))
    finally:
        os.umask(umask)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert {"audit.jsonl", "audit.jsonl.lock", "audit.jsonl.1", "audit.jsonl.2"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_rotation_counts_compressed_files(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl.7.gz").write_bytes(gzip.compress(b"{}\n"))
    log = new_log(tmp_path / "audit.jsonl", max_bytes=1)
    write(log, "r1")
    write(log, "r2")
    assert [line["request_id"] for line in lines(tmp_path / "audit.jsonl.8")] == ["r1"]


DAY = 86_400


def age(file: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(file, (then, then))


@pytest.fixture
def aged(tmp_path: Path) -> Path:
    """A log whose lines and rotated files are 40 and 20 days old, among other files."""
    path = tmp_path / "audit.jsonl"
    for name, days in ((".1", 41), (".2.gz", 40), (".3", 20), (".bak", 50), ("", 45)):
        path.with_name(f"audit.jsonl{name}").write_text('{"request_id": "old"}\n')
        age(path.with_name(f"audit.jsonl{name}"), days)
    return path


def files(folder: Path) -> set[str]:
    return {file.name.removeprefix("audit.jsonl") for file in folder.iterdir()}


def test_old_rotated_files_are_deleted_at_the_start_and_nothing_else(aged: Path) -> None:
    new_log(aged, keep=30 * DAY).check()
    assert files(aged.parent) == {"", ".3", ".bak", ".lock"}
    assert [line["request_id"] for line in lines(aged)] == ["old"]


def test_old_rotated_files_are_deleted_at_a_rotation(aged: Path) -> None:
    log = new_log(aged, max_bytes=1, keep=30 * DAY)
    # The file that was turned over just now is 45 days old.
    write(log, "new")
    assert files(aged.parent) == {"", ".3", ".bak", ".lock"}
    assert [line["request_id"] for line in lines(aged)] == ["new"]


def test_a_log_whose_first_line_grows_old_is_turned_over(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for days, kept in ((2.9, {"", ".lock"}), (3.1, {"", ".1", ".lock"})):
        then = datetime.now(UTC) - timedelta(days=days)
        path.write_text(f'{{"time":"{then.isoformat()}","request_id":"old"}}\n')
        log = new_log(path, keep=30 * DAY)
        write(log, "r1")
        write(log, "r2")
        log.close()
        assert files(tmp_path) == kept
    assert [line["request_id"] for line in lines(path)] == ["r1", "r2"]


def test_without_an_age_nothing_is_deleted(aged: Path) -> None:
    log = new_log(aged, max_bytes=1)
    log.check()
    write(log, "new")
    assert files(aged.parent) == {"", ".1", ".2.gz", ".3", ".4", ".bak", ".lock"}


@pytest.mark.slow
def test_the_setting_reaches_the_server(exported: Path, aged: Path) -> None:
    command = ["--model-uri", str(exported)]
    with serving(aged.parent, *command, AUDIT_LOG=str(aged), AUDIT_KEEP="30d"):
        assert not {".1", ".2.gz"} & files(aged.parent)


@pytest.mark.parametrize(("text", "days"), [("", None), ("30d", 30), ("12h", 0.5)])
def test_an_age_is_in_days_or_hours(text: str, days: float | None) -> None:
    seconds = Settings.from_environment({"AUDIT_KEEP": text}).audit_keep_seconds
    assert seconds == (None if days is None else days * DAY)


@pytest.mark.parametrize("text", ["30", "0d", "-1d", "1.5d", "30 days", "d", "forever"])
def test_another_age_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match=f"AUDIT_KEEP={text} is invalid: .* 30d"):
        Settings.from_environment({"AUDIT_KEEP": text})


def write_many(path: Path, writer: int) -> None:
    log = new_log(path, max_bytes=50_000)
    for number in range(300):
        assert write(log, f"{writer}-{number}")


@pytest.mark.slow
def test_several_workers_mix_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    fork = multiprocessing.get_context("spawn")
    workers = [fork.Process(target=write_many, args=(path, writer)) for writer in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    written = {line["request_id"] for line in lines(path, *tmp_path.glob("audit.jsonl.[0-9]*"))}
    assert written == {f"{writer}-{number}" for writer in range(3) for number in range(300)}


def test_several_threads_mix_no_lines(tmp_path: Path) -> None:
    log = new_log(tmp_path / "audit.jsonl")
    wide = np.ones((200, 2))
    scored = {name: np.repeat(column, 200) for name, column in SCORED.items()}

    def write_wide(thread: int) -> None:
        for _ in range(100):
            log.write(str(thread), ScoredRows(FEATURES, wide, scored))

    threads = [threading.Thread(target=write_wide, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(tmp_path / "audit.jsonl")) == 4 * 100 * 200


def test_a_log_that_is_moved_away_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "RECHECK_SECONDS", 0.0)
    path = tmp_path / "audit.jsonl"
    log = new_log(path)
    write(log, "r1")
    path.rename(tmp_path / "moved")
    write(log, "r2")
    assert [line["request_id"] for line in lines(path)] == ["r2"]


def test_a_failure_is_told_and_forgotten_when_it_is_over(tmp_path: Path) -> None:
    log = new_log(tmp_path / "missing" / "audit.jsonl")
    assert not write(log, "r1")
    assert "No such file" in log.failure
    (tmp_path / "missing").mkdir()
    assert write(log, "r2")
    assert log.failure == ""


@pytest.mark.slow
def test_nothing_answered_is_missing_after_a_kill(exported: Path, tmp_path: Path) -> None:
    rows = ModelDirectory(exported).required_known_rows().rows
    payload = {"dataframe_records": rows.to_dict("records")}
    log = tmp_path / "audit.jsonl"
    answered: list[str] = []
    with serving(
        tmp_path, "--model-uri", str(exported), "--workers", "2", AUDIT_LOG=str(log)
    ) as server:

        def send() -> None:
            with requests.Session() as session:
                while True:
                    try:
                        answer = session.post(f"{server.url}/invocations", json=payload, timeout=60)
                    except requests.RequestException:
                        return
                    if answer.status_code == 200:
                        answered.append(answer.headers["X-Request-ID"])

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        wait_until(lambda: len(answered) >= 200, what="200 requests are answered")
        os.killpg(server.process.pid, signal.SIGKILL)
        for sender in senders:
            sender.join(60)
    # What follows the last line end was never answered.
    logged = [json.loads(line) for line in log.read_bytes().split(b"\n")[:-1]]
    counted = dict.fromkeys(answered, 0)
    for line in logged:
        if line["request_id"] in counted:
            counted[line["request_id"]] += 1
    assert set(counted.values()) == {len(rows)}


def _holds(log: Path, count: int) -> bool:
    return len(lines(log)) == count


@pytest.mark.slow
def test_what_is_logged_is_what_was_answered(exported: Path, tmp_path: Path) -> None:
    rows = ModelDirectory(exported).required_known_rows().rows
    log = tmp_path / "audit.jsonl"
    with serving(tmp_path, "--model-uri", str(exported), AUDIT_LOG=str(log)) as server:
        for payload in (
            {"dataframe_records": rows.to_dict("records")},
            {"inputs": rows.to_dict("list")},
            {"dataframe_records": rows.to_dict("records"), "params": {"threshold": 0.0}},
        ):
            log.unlink(missing_ok=True)
            answer = server.post(payload, headers={"X-Request-ID": "order-17"}).json()
            logged = lines(log)
            assert [line["features"] for line in logged] == rows.to_dict("records")
            assert [(line["fraud_probability"], line["is_fraud"]) for line in logged] == [
                (row["fraud_probability"], row["is_fraud"]) for row in answer["predictions"]
            ]
            assert {line["request_id"] for line in logged} == {"order-17"}
            assert not any("source" in line for line in logged)
        # Short and long requests, refused ones, and a source that is no word.
        for count, source in ((1, "page"), (len(rows), "test"), (1, "two words")):
            log.unlink()
            records = rows.head(count).to_dict("records")
            for sent in (records, [{"V1": 1.0}]):
                server.post({"dataframe_records": sent}, headers={"X-Request-Source": source})
            # A refusal is logged once it is answered.
            wait_until(partial(_holds, log, count + 1), what="the lines")
            found = [line.get("source") for line in lines(log)]
            assert found == [source if source != "two words" else None] * (count + 1)
        assert server.stop() == 0


def test_a_refused_request_leaves_a_line_without_its_content(
    exported: Path, tmp_path: Path
) -> None:
    rows = ModelDirectory(exported).required_known_rows().rows
    records = rows.head(1).to_dict("records")
    log = tmp_path / "audit.jsonl"
    limits = {"MAX_ROWS": "5", "MAX_BYTES": "20000"}
    json_type, text = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
    refused = [
        ("bad_request", 400, json.dumps({"dataframe_records": [{"V1": "4111"}]}), json_type),
        ("too_many_rows", 413, json.dumps({"dataframe_records": records * 6}), json_type),
        ("too_large", 413, "4111" * 10_000, json_type),
        ("unsupported_media_type", 415, "4111", text),
    ]
    with serving(tmp_path, "--model-uri", str(exported), AUDIT_LOG=str(log), **limits) as server:
        for kind, status, body, headers in refused:
            answer = requests.post(
                f"{server.url}/invocations",
                data=body,
                headers={**headers, "X-Request-ID": f"of-{kind}"},
                timeout=60,
            )
            assert answer.status_code == status
        # What is refused for another reason than its content leaves none.
        assert server.get("/invocations").status_code == 405
        assert server.post({"dataframe_records": records}).ok
        assert server.stop() == 0
    *of_refused, scored = lines(log)
    assert "features" in scored
    assert all(line.pop("time").startswith("20") for line in of_refused)
    assert of_refused == [
        {
            "request_id": f"of-{kind}",
            "model_name": scored["model_name"],
            "model_version": "1",
            "refused": kind,
        }
        for kind, *_ in refused
    ]


@pytest.mark.slow
@pytest.mark.parametrize("required", ["true", "false"])
def test_a_log_that_cannot_be_written(exported: Path, tmp_path: Path, required: str) -> None:
    rows = ModelDirectory(exported).required_known_rows().rows
    payload = {"dataframe_records": rows.head(1).to_dict("records")}
    folder = tmp_path / "later"
    command = ["--model-uri", str(exported)]
    if required == "true":
        # Unhealthy from the start on, so the folder goes away after the start.
        folder.mkdir()
    with serving(
        tmp_path, *command, AUDIT_LOG=str(folder / "audit.jsonl"), AUDIT_REQUIRED=required
    ) as server:
        for file in folder.glob("*"):
            file.unlink()
        if folder.exists():
            folder.rmdir()
        answer = server.post(payload)
        health = server.get("/health")
        metrics = server.get("/metrics").text
        assert "No such file" in health.json()["audit"]
        assert "fraud_audit_failures_total 1.0" in metrics
        if required == "true":
            assert (answer.status_code, health.status_code) == (503, 503)
            assert "fraud_probability" not in answer.text
        else:
            assert (answer.status_code, health.status_code) == (200, 200)
        folder.mkdir()
        assert server.post(payload).status_code == 200
        assert server.get("/health").status_code == 200
