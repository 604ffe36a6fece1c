"""Writes a detector as an MLflow model: pyfunc and LightGBM flavors over the same files.

This module is itself a flavor as MLflow understands one (`save_model` here, `Model.log` calls
it). A pyfunc alone would do for serving by `mlflow models serve`; the `lightgbm` flavor beside it
lets `mlflow.lightgbm.load_model` load a booster that answers raw rows as the pyfunc does, and tells
`mlflow models build-docker` to install libgomp, without which LightGBM does not import in a slim
image.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import lightgbm
import mlflow.pyfunc
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from fraud_model.model import detector as detector_module
from fraud_model.model import encoding, feature
from fraud_model.model.description import drop_paths
from fraud_model.model.detector import FraudDetector
from fraud_model.model.directory import (
    CARD_FILE,
    KNOWN_ROWS_FILE,
    MODEL_FILE,
    PROFILE_FILE,
    KnownRows,
    ModelDirectory,
)
from fraud_model.model.profile import Profile
from fraud_model.model.raw_booster import fold

MODEL_NAME_IN_RUN = "model"
RAW_BOOSTER_FILE = "raw_booster.lgb"
CODE_FILE = "detector.py"

# The code that travels with a version, each module after those that it imports.
CODE = (feature, encoding, detector_module)

# What that code imports, and what LightGBM and MLflow need to load it.
REQUIREMENTS = ("mlflow", "lightgbm", "numpy", "pandas", "scipy", "scikit-learn", "cloudpickle")


def log_detector(
    detector: FraudDetector,
    known_rows: pd.DataFrame,
    card: str,
    profile: Profile,
    tags: dict[str, str],
) -> tuple[ModelInfo, str]:
    """Logs the detector as the model of the active run, with card and reference profile.

    Returns it, and the digest of its code.

    `known_rows` holds invented transactions (features only), at least two, in ascending order of
    score; they travel with the model together with the probabilities it gives them now. The first
    and the last of them are its input example.
    """
    # MLflow deletes the files once it has stored them: what is asked of them is asked in between.
    digests: list[str] = []
    info = Model.log(
        artifact_path=None,
        name=MODEL_NAME_IN_RUN,
        flavor=sys.modules[__name__],
        tags=tags,
        detector=detector,
        known_rows=known_rows,
        card=card,
        profile=profile,
        saved=lambda directory: digests.append(directory.code_digest),
    )
    return info, digests[0]


def save_model(
    path: str,
    detector: FraudDetector,
    known_rows: pd.DataFrame,
    card: str,
    profile: Profile,
    saved: Callable[[ModelDirectory], None],
    mlflow_model: Model | None = None,
) -> None:
    """Writes the model directory `path`, which must not exist yet, and passes it to `saved`."""
    mlflow_model = mlflow_model or Model()
    with tempfile.TemporaryDirectory() as folder:
        artifacts = detector.save(Path(folder))
        artifacts["known_rows"] = str(Path(folder) / KNOWN_ROWS_FILE)
        KnownRows(known_rows, detector.probability(known_rows)).write(Path(artifacts["known_rows"]))
        artifacts["model_card"] = str(Path(folder) / CARD_FILE)
        Path(artifacts["model_card"]).write_text(card)
        artifacts["profile"] = str(Path(folder) / PROFILE_FILE)
        profile.write(Path(artifacts["profile"]))
        artifacts["raw_booster"] = str(Path(folder) / RAW_BOOSTER_FILE)
        booster, _, scaler, decision = detector.parts
        Path(artifacts["raw_booster"]).write_text(fold(booster, scaler, decision))
        code = Path(folder) / CODE_FILE
        code.write_text(one_file_of_code())
        mlflow.pyfunc.save_model(
            path,
            python_model=str(code),
            artifacts=artifacts,
            mlflow_model=mlflow_model,
            signature=signature(detector),
            input_example=known_rows.iloc[[0, -1]],
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
    mlflow_model.add_flavor(
        "lightgbm",
        lgb_version=lightgbm.__version__,
        data=f"artifacts/{RAW_BOOSTER_FILE}",
        model_class="lightgbm.basic.Booster",
        code=None,
    )
    drop_paths(mlflow_model)
    mlflow_model.save(str(Path(path) / MODEL_FILE))
    saved(ModelDirectory(Path(path)))


def one_file_of_code() -> str:
    """The modules that travel with a version as one, for MLflow logs one file of code.

    Each keeps its text but for its imports of the others; that of `__future__` comes first.
    """
    own = {module.__name__ for module in CODE}
    texts: list[str] = []
    for module in CODE:
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        lines = text.splitlines()
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.ImportFrom):
                continue
            if statement.module in own or (statement.module == "__future__" and texts):
                assert statement.end_lineno is not None
                for number in range(statement.lineno - 1, statement.end_lineno):
                    lines[number] = ""
        texts.append("\n".join(lines))
    return "\n\n\n".join(texts) + "\n"


def signature(detector: FraudDetector) -> ModelSignature:
    """A column for each feature in; probability, flag and risk level out; two params.

    A column is required unless its values may be missing. The params are the decision's threshold,
    or its cost of a review; and how many reasons to give.
    """
    _, encoder, _, decision = detector.parts
    rule = (
        ParamSpec("threshold", DataType.double, decision.threshold)
        if decision.review_cost is None
        else ParamSpec("review_cost", DataType.double, decision.review_cost)
    )
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(DataType[column.payload], column.name, required=not column.missing)
                for column in encoder.features
            ]
        ),
        outputs=Schema(
            [
                ColSpec(DataType.double, "fraud_probability"),
                ColSpec(DataType.boolean, "is_fraud"),
                ColSpec(DataType.string, "risk_level"),
            ]
        ),
        params=ParamSchema([rule, ParamSpec("explain", DataType.long, 0)]),
    )
