"""compose.yaml and what it mounts: valid, and run part by part as the services would run them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
import requests
import yaml

from fraud_model.model.directory import ModelDirectory
from fraud_model.monitoring.pushgateway import push_check
from tests.support.environment import REPOSITORY, has_docker, own_environment
from tests.support.postgresql import PASSWORD, needs_postgresql, postgresql
from tests.support.pushgateway import needs_pushgateway, pushgateway
from tests.support.server import free_port, serving
from tests.support.waiting import is_up, wait_until

COMPOSE = REPOSITORY / "compose"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())[
    "services"
]
DASHBOARD = json.loads((COMPOSE / "grafana" / "fraud-detector.json").read_text())
EXPRESSIONS = sorted({t["expr"] for panel in DASHBOARD["panels"] for t in panel["targets"]})
VERSIONS = DASHBOARD["annotations"]["list"][0]["expr"]

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="needs Prometheus",
)


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.compose-spec", "compose.yaml"), ("vendor.compose-spec", None)],
)
def test_the_file_is_valid(schema: str, file: str | None, tmp_path: Path) -> None:
    path = REPOSITORY / file if file else tmp_path / "compose.yaml"
    if file is None:
        broken = (REPOSITORY / "compose.yaml").read_text().replace("healthcheck:", "healthchek:")
        path.write_text(broken)
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (file is not None), done.stdout


def test_no_secret_has_a_default_and_every_mounted_file_is_there() -> None:
    text = (REPOSITORY / "compose.yaml").read_text()
    for name in ("POSTGRES_PASSWORD", "API_TOKEN", "GRAFANA_PASSWORD"):
        assert f"${{{name}:?" in text
        assert f"${{{name}:-" not in text
    for name in re.findall(r"- \./(\S+?):", text):
        assert (REPOSITORY / name).is_file()


def test_services_start_after_what_they_need_and_all_tell_their_health() -> None:
    for name, service in SERVICES.items():
        # The image of the serving service brings its own check.
        assert "healthcheck" in service or name == "fraud-detector"
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES
            assert how == {"condition": "service_healthy"}


@needs_prometheus
def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    for file in ("prometheus.yml", "alerts.yml"):
        shutil.copy(COMPOSE / file, tmp_path)
    subprocess.run(
        ["promtool", "check", "config", "--syntax-only", "prometheus.yml"], cwd=tmp_path, check=True
    )
    subprocess.run(["promtool", "check", "rules", "alerts.yml"], cwd=tmp_path, check=True)


@pytest.mark.skipif(shutil.which("amtool") is None, reason="needs Alertmanager")
def test_amtool_accepts_the_configuration() -> None:
    subprocess.run(["amtool", "check-config", str(COMPOSE / "alertmanager.yml")], check=True)


def test_every_alert_says_what_it_means_and_has_a_section_in_the_runbook() -> None:
    for group in yaml.safe_load((COMPOSE / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            if "alert" not in rule:
                continue
            assert len(rule["annotations"]["description"]) > 40
            place, _, section = rule["annotations"]["runbook"].partition("#")
            assert section == rule["alert"].lower()
            assert f"\n## {rule['alert']}\n" in (REPOSITORY / place).read_text()


def series(name: str, values: str) -> dict[str, str]:
    return {"series": name, "values": values}


STEADY = [
    series('fraud_requests_total{status="200"}', "0+60x1000"),
    series("fraud_rows_scored_total", "0+600x1000"),
    series("fraud_rows_flagged_total", "0+6x1000"),
    series('fraud_request_seconds_bucket{le="0.1"}', "0+60x1000"),
    series('fraud_request_seconds_bucket{le="+Inf"}', "0+60x1000"),
    series("fraud_audit_failures_total", "0x1000"),
    series("fraud_model_degraded", "0x1000"),
    series("fraud_model_refresh_failed", "0x1000"),
    series('up{job="fraud-detector"}', "1x1000"),
    series('fraud_monitor_alarm{model="m", version="m version 1"}', "0x1000"),
    # Checked a minute ago, at any time.
    series('fraud_monitor_checked_timestamp_seconds{model="m"}', "-60+60x1000"),
]


@pytest.mark.slow
@needs_prometheus
@pytest.mark.parametrize(
    ("alert", "changed"),
    [
        (None, []),
        ("FraudDetectorDown", [series('up{job="fraud-detector"}', "1x600 0x1000")]),
        (
            "FraudDetectorErrors",
            [series('fraud_requests_total{status="503"}', "0x600 0+5x1000")],
        ),
        (
            "FraudDetectorRefusals",
            [series('fraud_requests_total{status="400"}', "0x600 0+20x1000")],
        ),
        (
            "FraudDetectorSlow",
            [
                series('fraud_request_seconds_bucket{le="0.1"}', "0+60x600 36000+54x1000"),
                series('fraud_request_seconds_bucket{le="0.5"}', "0+60x600 36000+60x1000"),
            ],
        ),
        (
            "FraudDetectorNoTraffic",
            [
                series("fraud_rows_scored_total", "0+600x600 360000x1000"),
                series("fraud_rows_flagged_total", "0+6x600 3600x1000"),
            ],
        ),
        (
            "FraudDetectorFlaggedRate",
            [series("fraud_rows_flagged_total", "0+6x600 3600+18x1000")],
        ),
        ("FraudDetectorFlaggedRate", [series("fraud_rows_flagged_total", "0+6x600 3600x1000")]),
        ("FraudDetectorDegraded", [series("fraud_model_degraded", "0x600 1x1000")]),
        ("FraudDetectorRefresh", [series("fraud_model_refresh_failed", "0x600 1x1000")]),
        (
            "FraudDetectorDrift",
            [series('fraud_monitor_alarm{model="m", version="m version 1"}', "0x600 1x1000")],
        ),
        (
            "FraudDetectorUnchecked",
            [series('fraud_monitor_checked_timestamp_seconds{model="m"}', "0+60x600 -200000x400")],
        ),
        ("FraudDetectorAudit", [series("fraud_audit_failures_total", "0x600 0+1x1000")]),
    ],
)
def test_an_alert_fires_when_it_should_and_not_before(
    alert: str | None, changed: list[dict[str, str]], tmp_path: Path
) -> None:
    shutil.copy(COMPOSE / "alerts.yml", tmp_path)
    names = {entry["series"] for entry in changed}
    inputs = changed + [entry for entry in STEADY if entry["series"] not in names]
    alerts = re.findall(r"alert: (\w+)", (COMPOSE / "alerts.yml").read_text())
    # The change comes with minute 600.
    before = [{"eval_time": "590m", "alertname": name, "exp_alerts": []} for name in alerts]
    quiet = [
        {"eval_time": "690m", "alertname": name, "exp_alerts": []}
        for name in alerts
        if name != alert
    ]
    tests = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": inputs, "alert_rule_test": before + quiet}],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    command = ["promtool", "test", "rules", "tests.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if alert:
        # Expecting silence of it too has to fail, and with it alone.
        tests["tests"][0]["alert_rule_test"] = [  # type: ignore[index]
            {"eval_time": "690m", "alertname": alert, "exp_alerts": []}
        ]
        (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert alert in done.stdout + done.stderr


@pytest.mark.slow
@needs_prometheus
@needs_pushgateway
def test_prometheus_scrapes_the_server_with_its_token_and_answers_the_dashboard(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ModelDirectory(exported).required_known_rows().rows
    payload = {"dataframe_records": rows.to_dict("records")}
    token = {"Authorization": "Bearer a-token"}
    command = ["--model-uri", str(exported)]
    with (
        serving(tmp_path, *command, API_TOKEN="a-token") as server,
        pushgateway(tmp_path) as gateway,
    ):
        monkeypatch.setenv("PUSHGATEWAY", gateway)
        check: Any = SimpleNamespace(version="m version 1", status="quiet", judged=[])
        assert push_check(check, "m", keeps_alarm=False).endswith("was told")
        (tmp_path / "token").write_text("a-token")
        text = (COMPOSE / "prometheus.yml").read_text()
        text = text.replace("fraud-detector:7860", server.url.removeprefix("http://"))
        text = text.replace("pushgateway:9091", gateway.removeprefix("http://"))
        text = text.replace("/run/secrets/api_token", str(tmp_path / "token"))
        text = text.replace("15s", "1s")
        (tmp_path / "prometheus.yml").write_text(text)
        shutil.copy(COMPOSE / "alerts.yml", tmp_path)
        url = f"http://127.0.0.1:{free_port()}"
        options = ["--config.file=prometheus.yml", f"--web.listen-address={url[7:]}"]
        process = subprocess.Popen(
            ["prometheus", *options, f"--storage.tsdb.path={tmp_path / 'data'}"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            empty = {*EXPRESSIONS, VERSIONS}
            # What is expected from the week before takes more than an hour of history.
            needs_history = {"fraud:flagged_expected:1h"}
            # No shadow runs here.
            needs_history |= {each for each in EXPRESSIONS if "shadow" in each}

            def all_but_the_old_have_values() -> bool:
                assert server.post(payload, headers=token).ok
                assert server.post({}, headers=token).status_code == 400
                with contextlib.suppress(requests.ConnectionError):
                    empty.difference_update([e for e in empty if answered(url, e)])
                return empty <= needs_history

            wait_until(all_but_the_old_have_values, what="every expression has a value")
            assert empty == needs_history
        finally:
            process.terminate()
            process.wait(60)


def answered(url: str, expression: str) -> bool:
    query = expression.replace("$__rate_interval", "1m")
    answer = requests.get(f"{url}/api/v1/query", params={"query": query}, timeout=30)
    if answer.status_code == 503:
        # Prometheus is still starting.
        return False
    assert answer.ok, f"{expression}: {answer.text}"
    return bool(answer.json()["data"]["result"])


@contextlib.contextmanager
def tracking_server(database: str, folder: Path) -> Iterator[str]:
    """`mlflow server` with the command of compose.yaml; yields its address."""
    port = free_port()
    executable = Path(sys.executable).with_name("mlflow")
    replaced = {
        "--host=0.0.0.0": "--host=127.0.0.1",
        "--port=5000": f"--port={port}",
        "--artifacts-destination=/artifacts": f"--artifacts-destination={folder / 'artifacts'}",
    }
    command = [
        replaced.get(word, word.replace("@database/", f"@{database}/"))
        for word in SERVICES["mlflow"]["command"]
    ]
    url = f"http://127.0.0.1:{port}"
    path = f"{executable.parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(
            [executable, *command[1:]],
            cwd=folder,
            env=own_environment(PGPASSWORD=PASSWORD, PATH=path),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        health = f"{url}/health"
        wait_until(lambda: server.poll() is not None or is_up(health), what="MLflow answers")
        assert server.poll() is None, (folder / "mlflow.log").read_text()
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait(60)


def entry_point(name: str, store: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"entrypoints.{name}", *arguments],
        cwd=REPOSITORY,
        env=own_environment(MLFLOW_TRACKING_URI=store, OMP_NUM_THREADS="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=600)
    return process.returncode, said


@needs_postgresql
@pytest.mark.skipif(not has_docker(), reason="needs docker")
@pytest.mark.slow
@pytest.mark.long
def test_the_tracking_servers_image_serves_from_postgresql(tmp_path: Path) -> None:
    image = "fraud-detector-mlflow-test"
    dockerfile = REPOSITORY / SERVICES["mlflow"]["build"]["dockerfile"]
    build = ["docker", "build", "--quiet", "--tag", image, "--file", str(dockerfile)]
    subprocess.run([*build, str(REPOSITORY)], check=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with postgresql(tmp_path) as database:
        command = [
            word.replace("@database/", f"@{database}/").replace("=5000", f"={port}")
            for word in SERVICES["mlflow"]["command"]
        ]
        run = ["docker", "run", "--detach", "--network", "host", "--env", "PGPASSWORD=s3cret"]
        started = subprocess.run(
            [*run, image, *command], check=True, capture_output=True, text=True
        )
        try:
            client = mlflow.MlflowClient(tracking_uri=url)
            wait_until(lambda: is_up(f"{url}/health"), what="the image's server answers")
            run_id = client.create_run(client.create_experiment("tried")).info.run_id
            client.log_text(run_id, "whole", "note.txt")
            assert [file.path for file in client.list_artifacts(run_id)] == ["note.txt"]
        finally:
            subprocess.run(["docker", "rm", "--force", started.stdout.strip()], check=True)


@needs_postgresql
@pytest.mark.slow
def test_the_journey_on_postgresql(table_csv: Path, tmp_path: Path) -> None:
    with postgresql(tmp_path) as database, tracking_server(database, tmp_path) as store:
        for version in ("1", "2", "3"):
            status, said = outcome(
                entry_point("train", store, "--data", str(table_csv), "--rounds", "60")
            )
            assert status == 0, said
            assert f"fraud-detector version {version}" in said
        status, said = outcome(entry_point("promote", store, "--version", "1"))
        assert status == 0, said

        racing = [
            entry_point("promote", store, "--version", number, "--min-new-days", "0")
            for number in ("2", "3")
        ]
        ended = [outcome(process) for process in racing]
        assert 0 in [status for status, _ in ended], ended
        client = mlflow.MlflowClient(tracking_uri=store, registry_uri=store)
        alias = client.get_model_version_by_alias("fraud-detector", "production").version
        versions = client.search_model_versions("name='fraud-detector'")
        assert [v.version for v in versions if v.current_stage == "Production"] == [alias]
        assert str(alias) in ("2", "3")

        uri = ["--model-uri", "models:/fraud-detector/Production"]
        with serving(tmp_path, *uri, MLFLOW_TRACKING_URI=store) as server:
            assert server.get("/health").json()["model_version"] == str(alias)
        status, said = outcome(entry_point("rollback", store))
        assert status == 0, said
        with serving(tmp_path, *uri, MLFLOW_TRACKING_URI=store) as server:
            report = server.get("/health").json()
        assert report["model_version"] != str(alias)
        assert report["source"] == "registry"
