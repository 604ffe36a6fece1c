"""Writes a detector as an MLflow model: pyfunc and LightGBM flavors over the same files.

This module is itself a flavor as MLflow understands one (`save_model` here, `Model.log` calls
it). A pyfunc alone would do for serving by `mlflow models serve`; the `lightgbm` flavor beside it
lets `mlflow.lightgbm.load_model` load a booster that answers raw rows as the pyfunc does, and tells
`mlflow models build-docker` to install libgomp, without which LightGBM does not import in a slim
image.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import lightgbm
import mlflow.pyfunc
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from fraud_model.model import detector as detector_module
from fraud_model.model.description import drop_paths
from fraud_model.model.detector import FraudDetector
from fraud_model.model.directory import (
    CARD_FILE,
    KNOWN_ROWS_FILE,
    MODEL_FILE,
    PROFILE_FILE,
    KnownRows,
)
from fraud_model.model.profile import Profile
from fraud_model.model.raw_booster import fold

MODEL_NAME_IN_RUN = "model"
RAW_BOOSTER_FILE = "raw_booster.lgb"

# What `fraud_model/model/detector.py` imports, and what LightGBM and MLflow need to load it.
REQUIREMENTS = ("mlflow", "lightgbm", "numpy", "pandas", "scipy", "scikit-learn", "cloudpickle")


def log_detector(
    detector: FraudDetector,
    known_rows: pd.DataFrame,
    card: str,
    profile: Profile,
    tags: dict[str, str],
) -> ModelInfo:
    """Logs the detector as the model of the active run, with card and reference profile.

    `known_rows` holds invented transactions (features only), at least two, in ascending order of
    score; they travel with the model together with the probabilities it gives them now. The first
    and the last of them are its input example.
    """
    return Model.log(
        artifact_path=None,
        name=MODEL_NAME_IN_RUN,
        flavor=sys.modules[__name__],
        tags=tags,
        detector=detector,
        known_rows=known_rows,
        card=card,
        profile=profile,
    )


def save_model(
    path: str,
    detector: FraudDetector,
    known_rows: pd.DataFrame,
    card: str,
    profile: Profile,
    mlflow_model: Model | None = None,
) -> None:
    """Writes the model directory `path`, which must not exist yet."""
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
        Path(artifacts["raw_booster"]).write_text(fold(*detector.parts))
        mlflow.pyfunc.save_model(
            path,
            python_model=detector_module.__file__,
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


def signature(detector: FraudDetector) -> ModelSignature:
    """One required double per feature in; probability, flag and risk level out; two params.

    The params are the decision's threshold, or its cost of a review; and how many reasons to give.
    """
    _, scaler, decision = detector.parts
    rule = (
        ParamSpec("threshold", DataType.double, decision.threshold)
        if decision.review_cost is None
        else ParamSpec("review_cost", DataType.double, decision.review_cost)
    )
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.double, name) for name in scaler.features]),
        outputs=Schema(
            [
                ColSpec(DataType.double, "fraud_probability"),
                ColSpec(DataType.boolean, "is_fraud"),
                ColSpec(DataType.string, "risk_level"),
            ]
        ),
        params=ParamSchema([rule, ParamSpec("explain", DataType.long, 0)]),
    )
