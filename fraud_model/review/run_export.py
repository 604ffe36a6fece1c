"""A training run as files that may leave the tracking store.

Left out are its transactions, the user, the folders of this machine, and the secrets in addresses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePath

import mlflow
import mlflow.artifacts
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE, MLFLOW_USER

from fraud_model.data.download import public
from fraud_model.evaluation import holdout, learned

RUN_FILE = "run.json"


def write_run(run_id: str, folder: Path) -> None:
    """Writes parameters, metrics and tags of a run as JSON, and its artifacts but the holdout
    and what it has learned.

    Of a local path, the JSON holds the last part alone, and of an address no user, password and
    options.
    """
    folder.mkdir(parents=True, exist_ok=True)
    client = mlflow.MlflowClient()
    data = client.get_run(run_id).data
    content = {
        "run_id": run_id,
        "params": _without_places(data.params),
        "metrics": data.metrics,
        "tags": _without_places(data.tags),
    }
    (folder / RUN_FILE).write_text(json.dumps(content, indent=1) + "\n")
    for entry in client.list_artifacts(run_id):
        if entry.path not in (holdout.FOLDER, learned.FOLDER):
            mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=entry.path, dst_path=str(folder)
            )


def _without_places(texts: Mapping[str, str]) -> dict[str, str]:
    # The note is the card, which is among the artifacts, with the user on it.
    own = (MLFLOW_USER, MLFLOW_RUN_NOTE)
    shown = {name: text for name, text in texts.items() if name not in own}
    for name, text in shown.items():
        path = PurePath(text.removeprefix("file://"))
        if path.is_absolute():
            shown[name] = path.name
        elif "://" in text and " " not in text:
            shown[name] = public(text)
    return shown
