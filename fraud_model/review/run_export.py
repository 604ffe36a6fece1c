"""A training run as files that may leave the tracking store: everything but its transactions."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import mlflow.artifacts

from fraud_model.evaluation.holdout import FOLDER

RUN_FILE = "run.json"


def write_run(run_id: str, folder: Path) -> None:
    """Writes parameters, metrics and tags of a run as JSON, and its artifacts but the holdout."""
    folder.mkdir(parents=True, exist_ok=True)
    client = mlflow.MlflowClient()
    data = client.get_run(run_id).data
    content = {"run_id": run_id, "params": data.params, "metrics": data.metrics, "tags": data.tags}
    (folder / RUN_FILE).write_text(json.dumps(content, indent=1) + "\n")
    for entry in client.list_artifacts(run_id):
        if entry.path != FOLDER:
            mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=entry.path, dst_path=str(folder)
            )
