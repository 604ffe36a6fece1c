"""The whole story, with real processes: serve, drift, alarm, collect, train, promote, quiet."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud_model.evaluation.learned import read_learned
from tests.support.columns import inferred
from tests.support.file_server import serve_api
from tests.support.project import Project
from tests.support.server import Server, serving
from tests.support.waiting import wait_until

ROWS_PER_REQUEST = 100
WINDOW = 1_400
# As many as the table has, so that traffic that drifts comes after what was learned.
SECONDS = 2 * 86_400
# Standard deviations; towards where frauds are.
MOVED = {"V4": 1.0, "V10": -1.0, "V14": -1.0}


def moved(table: pd.DataFrame) -> pd.DataFrame:
    """The same transactions two days later, with the means of three features moved."""
    changed = {name: table[name] + sds * table[name].std() for name, sds in MOVED.items()}
    return table.assign(Time=table["Time"] + SECONDS, **changed)


def late(table: pd.DataFrame) -> pd.DataFrame:
    """Transactions of the hours in which a version of this time validates and is held out."""
    return table.tail(round(0.4 * len(table)))


def wait_for_shadow(server: Server) -> None:
    """Waits until the shadow takes rows, where there is one."""
    wait_until(
        lambda: server.get("/health").json()["shadow"] in ("off", "ok"), what="the shadow is ready"
    )


def send(server: Server, traffic: pd.DataFrame, labels: Path) -> None:
    """Posts transactions in order, and writes what later turned out to be fraud."""
    known = []
    for first in range(0, len(traffic), ROWS_PER_REQUEST):
        part = traffic.iloc[first : first + ROWS_PER_REQUEST]
        rows = part.drop(columns="Class").to_dict("records")
        answer = server.post({"dataframe_records": rows})
        assert answer.ok, answer.text
        known.append(
            pd.DataFrame(
                {
                    "request_id": answer.headers["X-Request-ID"],
                    "row": np.arange(len(part)),
                    "Class": part["Class"].to_numpy(),
                }
            )
        )
    pd.concat(known).to_csv(labels, index=False)


def without_manager(command: str) -> list[str]:
    """The parameters of a printed command, without the environment manager that `run` gives."""
    words = shlex.split(command)
    place = words.index("--env-manager")
    return words[:place] + words[place + 2 :]


def learned_share(version: str, table: pd.DataFrame) -> float:
    """The share of some rows that a version has learned from."""
    run_id = mlflow.MlflowClient().get_model_version("fraud-detector", version).run_id
    learned = read_learned(run_id)
    assert learned
    return float(learned.seen(table, inferred(table), "served").mean())


@pytest.mark.slow
def test_drift_is_noticed_and_mended(
    project: Project, transactions_csv: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(transactions_csv).sort_values("Time")
    # Alike to seven digits, two of the sample are one transaction.
    table = table[~table.drop(columns="Class").astype("float32").duplicated()]
    # What no version learns, and is like what one has learned.
    kept, fresh = table.iloc[::2], table.iloc[1::2]
    data = tmp_path / "kept.csv"
    kept.to_csv(data, index=False)
    log, labels, report = tmp_path / "audit.jsonl", tmp_path / "labels.csv", tmp_path / "report"
    collected = tmp_path / "collected.parquet"
    told: list[dict[str, str]] = []

    def hook(method: str, path: str, authorization: str, body: bytes) -> tuple[int, object]:
        told.append(json.loads(body))
        return 200, {}

    def monitor(fails: bool = False) -> str:
        return project.run(
            *("-e", "monitor", "-P", f"log={log}", "-P", f"labels={labels}"),
            *("-P", f"window={WINDOW}", "-P", f"report={report}"),
            fails=fails,
        )

    def serve_and_send(traffic: pd.DataFrame, version: str, shadow: str = "") -> None:
        environment = {"MLFLOW_TRACKING_URI": project.uri, "AUDIT_LOG": str(log)}
        with serving(tmp_path, SHADOW_MODEL_URI=shadow, **environment) as server:
            assert server.get("/health").json()["model_version"] == version
            wait_for_shadow(server)
            assert server.post({"dataframe_records": [{"V1": 1.0}]}).status_code == 400
            send(server, traffic, labels)
            server.stop()

    with serve_api(hook) as url:
        project.environment["ALERT_WEBHOOK"] = url
        project.run("-e", "train", "-P", f"data={data}")
        project.run("-e", "promote")
        assert learned_share("1", fresh) == 0
        serve_and_send(late(fresh), version="1")
        said = monitor()
        assert "status: quiet" in said
        assert f"{len(late(fresh)):,} scored transactions, 1 refused requests" in said
        assert "note: average precision is" in said
        assert told == []

        log.unlink()
        drifted, fresh = moved(kept), moved(fresh)
        serve_and_send(drifted, version="1")
        said = monitor(fails=True)
        for name in MOVED:
            assert f"because: {name} has moved" in said
        assert "because: scores have moved" in said
        assert "recommended: retrain" in said
        (message,) = told
        assert "fraud-detector version 1: alarm" in message["text"]
        version = mlflow.MlflowClient().get_model_version("fraud-detector", "1")
        assert version.tags["monitoring.status"] == "alarm"

        said = project.run(
            *("-e", "collect", "-P", f"log={log}", "-P", f"labels={labels}"),
            *("-P", f"output={collected}"),
        )
        assert f"{collected}: {len(drifted):,} rows, {len(drifted):,} of them new" in said
        assert "left out: 1 refused requests" in said
        # The command that it ends with, as printed.
        (command,) = re.findall(r"^next: mlflow run \. (.*)$", said, re.MULTILINE)
        project.run("-e", "train", *without_manager(command))
        # The rows that alarmed are what the new version has learned, and the old one has not.
        assert learned_share("1", drifted) == 0
        assert learned_share("2", drifted) == 1
        assert learned_share("2", fresh) == 0
        log.unlink()
        shadow = "models:/fraud-detector/2"
        both = late(fresh)
        serve_and_send(both, version="1", shadow=shadow)
        said = project.run("-e", "compare", "-P", f"log={log}", "-P", f"labels={labels}")
        assert "## Shadow version 2 against the champion on live traffic" in said
        assert f"| transactions that both scored | {len(both):,} | {len(both):,} |" in said
        assert "Shadow version 2: average precision +" in said
        # Of some forty frauds in the champion's holdout, one that ranks lower is beyond 0.02.
        said = project.run("-e", "promote", "-P", "tolerance=0.05")
        assert "version 2 is now in Production" in said
        # The log goes on; the lines of version 1 in it are no concern of version 2.
        serve_and_send(both, version="2")
        said = monitor()
        assert "status: quiet" in said
        assert f"other versions: {2 * len(both) + 1:,} of fraud-detector 1" in said
        assert len(told) == 1

    statuses = [
        run.data.tags["monitoring.status"]
        for run in mlflow.search_runs(
            search_all_experiments=True,
            filter_string="tags.`monitoring.status` != ''",
            output_format="list",
        )
    ]
    assert statuses == ["quiet", "alarm", "quiet"]
