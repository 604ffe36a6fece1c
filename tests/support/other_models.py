"""Models that this release did not train: the one of release 0.1.0, and plain ones of MLflow."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import infer_signature

from fraud_model.tracking import open_run
from tests.support.environment import REPOSITORY
from tests.support.store import Store

RELEASE = REPOSITORY / "tests" / "releases" / "0.1.0"
RELEASE_MODEL = RELEASE / "model"


def log_other(flavor: Any, model: Any, inputs: pd.DataFrame, **more: Any) -> str:
    """Logs a model with one of MLflow's own flavors, in a run of its own; its address."""
    with open_run("another model"):
        answer = model.predict(inputs.head(5))
        signature = infer_signature(inputs.head(5), answer)
        logged = flavor.log_model(model, name="model", signature=signature, **more)
        return str(logged.model_uri)


def register(
    source: str | Path, store: Store | None = None, *, run_id: str | None = None, **tags: str
) -> str:
    """Registers a model under a new name, which it returns, as version 1.

    With a store the version belongs to the store's training run, whose holdout it then has.
    """
    client = mlflow.MlflowClient()
    name = f"other-{uuid.uuid4().hex[:8]}"
    client.create_registered_model(name)
    if store is not None:
        run_id = client.get_model_version(store.trained.name, store.trained.version).run_id
    if isinstance(source, Path):
        # MLflow notes the name of whoever loads a version in the version's own directory.
        source = shutil.copytree(source, Path.cwd() / name)
    client.create_model_version(name, str(source), run_id=run_id, tags=tags)
    return name
