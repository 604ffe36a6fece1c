"""The file `MLmodel` without the paths of the machine that wrote it.

MLflow writes down where the pyfunc's code and artifacts came from and where the store lies. It
loads a model by the names of its own files alone.
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlparse

import mlflow.pyfunc
import yaml
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME, MODEL_CODE_PATH
from mlflow.pyfunc.model import (
    CONFIG_KEY_ARTIFACT_RELATIVE_PATH,
    CONFIG_KEY_ARTIFACT_URI,
    CONFIG_KEY_ARTIFACTS,
)

STORE = "artifact_path"


def drop_paths(model: Model) -> None:
    """Takes the paths of this machine out of a description that is about to be saved."""
    description = model.to_dict()
    _drop_paths(description)
    model.flavors = description["flavors"]
    model.artifact_path = description.get(STORE)


def drop_paths_in(directory: Path) -> None:
    """Takes the paths of the machine that wrote it out of a model directory's `MLmodel`.

    Older versions and those of other projects have them. What else the file says stays.
    """
    path = directory / MLMODEL_FILE_NAME
    description = yaml.safe_load(path.read_text())
    _drop_paths(description)
    path.write_text(yaml.safe_dump(description, default_flow_style=False))


def _drop_paths(description: dict[str, Any]) -> None:
    store = str(description.get(STORE) or "")
    if PurePath(store).is_absolute() or store.startswith("file:"):
        del description[STORE]
        if description.get("model_id"):
            # MLflow resolves this address wherever the store lies.
            description[STORE] = f"models:/{description['model_id']}"
    for flavor in description["flavors"].values():
        if flavor.get(MODEL_CODE_PATH):
            flavor[MODEL_CODE_PATH] = PurePath(flavor[MODEL_CODE_PATH]).name
    pyfunc = description["flavors"].get(mlflow.pyfunc.FLAVOR_NAME, {})
    for artifact in (pyfunc.get(CONFIG_KEY_ARTIFACTS) or {}).values():
        if urlparse(artifact[CONFIG_KEY_ARTIFACT_URI]).scheme in ("", "file"):
            artifact[CONFIG_KEY_ARTIFACT_URI] = artifact[CONFIG_KEY_ARTIFACT_RELATIVE_PATH]
