"""The training run from data to registered version: check, split, fit, measure, log, register."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import mlflow
import numpy as np
import pandas as pd
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.types import ColSpec, DataType, Schema
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from fraud_model import registry
from fraud_model.card import write_card
from fraud_model.data import Dataset, digest_of, load_dataset
from fraud_model.errors import ParameterError
from fraud_model.evaluation import Scored, evaluate
from fraud_model.holdout import log_holdout
from fraud_model.packaging import log_detector
from fraud_model.plots import draw_curves, draw_importance, draw_learning_curve
from fraud_model.pyfunc import FraudDetector
from fraud_model.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME, Columns
from fraud_model.split import Parts, split
from fraud_model.threshold import Policy, choose_threshold, parse_policy
from fraud_model.tracking import git_commit, log_curve, log_parameters
from fraud_model.training import Fitted, Recipe, fit

# SHAP values of this many holdout transactions rank the features; more change nothing visible.
ROWS_EXPLAINED = 1000
DIGEST_SHOWN = 16
KNOWN_ROWS_PER_CLASS = 5


@dataclass(frozen=True)
class Request:
    """What a training run is asked to do; the fields are the entry point's parameters."""

    data: str = "auto"
    target: str = DEFAULT_TARGET
    time_column: str = DEFAULT_TIME
    amount_column: str = DEFAULT_AMOUNT
    split: str = "time"
    threshold: str = "f1"
    alert_budget: float = 100.0
    model_name: str = registry.DEFAULT_MODEL_NAME
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        parse_policy(self.threshold)
        registry.check_model_name(self.model_name)
        if not self.alert_budget > 0:
            raise ParameterError(f"alert_budget={self.alert_budget}: it is more than 0 a day.")


@dataclass(frozen=True)
class Trained:
    """What a training run made: a version of a registered model, and its figures by part."""

    name: str
    version: str
    dataset: Dataset
    figures: dict[str, dict[str, float]]
    threshold: float
    fitted: Fitted


def train(request: Request) -> Trained:
    """Trains inside the active run and registers a version; registering is the last step.

    Raises:
        DataError: the table cannot be trained on.
        TrainingError: the model is not worth registering.
    """
    dataset = load_dataset(
        request.data,
        target=request.target,
        time=request.time_column,
        amount=request.amount_column,
    )
    parts = split(dataset, request.split, request.recipe.seed)
    _log_data(dataset, parts)
    _log_request(request)
    _say(dataset, parts)
    fitted = fit(parts.train, parts.validation, dataset.columns, request.recipe)
    policy = parse_policy(request.threshold)
    scored = {
        name: Scored.from_part(part, dataset.columns, fitted.detector.probability(part))
        for name, part in (("validation", parts.validation), ("holdout", parts.holdout))
    }
    seen = scored["validation"]
    threshold = choose_threshold(
        policy, seen.labels, seen.probability, days=seen.days, amounts=seen.amounts
    )
    detector = fitted.detector.with_threshold(threshold)
    figures = {
        name: evaluate(part, threshold, request.alert_budget, request.recipe.seed)
        for name, part in scored.items()
    }
    _log_figures(figures, fitted, threshold)
    _log_pictures(detector, parts, scored, figures, fitted, threshold, policy)
    log_holdout(parts.holdout, dataset.columns)
    commit = git_commit()
    card = write_card(
        request.model_name,
        dataset,
        parts,
        figures,
        threshold=threshold,
        policy=policy,
        alert_budget=request.alert_budget,
        baseline=fitted.baseline_average_precision,
        commit=commit,
    )
    mlflow.log_text(card, "model_card.md")
    # MLflow shows this tag as the description on the page of the run.
    mlflow.set_tag(MLFLOW_RUN_NOTE, card)
    tags = _tags(dataset, parts, figures["holdout"], threshold, policy, commit)
    mlflow.set_tags(tags)
    model = log_detector(detector, _known_rows(parts.holdout, dataset.columns), card, tags)
    version = registry.register(
        request.model_name,
        model.model_id,
        model.run_id,
        description=_description(dataset, figures["holdout"], threshold, policy),
        tags=tags,
    )
    return Trained(request.model_name, str(version.version), dataset, figures, threshold, fitted)


def _log_data(dataset: Dataset, parts: Parts) -> None:
    mlflow.set_tags({"data_kind": dataset.kind, "data_source": dataset.source})
    mlflow.log_metrics(
        {
            "data/transactions": len(dataset.table),
            "data/frauds": dataset.frauds,
            "data/fraud_rate": dataset.fraud_rate,
            "data/duplicates_dropped": dataset.duplicates,
        }
    )
    # MLflow's own from_pandas looks at every cell to infer this schema: seconds at full size.
    names = dataset.table.columns
    schema = Schema([ColSpec(DataType.double, name) for name in names])
    source = _source_of(dataset)
    for context, part in (
        ("train", parts.train),
        ("validation", parts.validation),
        ("holdout", parts.holdout),
    ):
        mlflow.log_input(
            MetaDataset(
                source,
                name=f"{dataset.kind} transactions",
                digest=digest_of(part)[:DIGEST_SHOWN],
                schema=schema,
            ),
            context=context,
            tags={
                "digest_sha256": dataset.digest,
                "rows": str(len(part)),
                "fraud_rate": f"{part[dataset.columns.target].mean():.6f}",
            },
        )


def _source_of(dataset: Dataset) -> DatasetSource:
    if dataset.kind == "simulated":
        return CodeDatasetSource(tags={"source": dataset.source})
    with warnings.catch_warnings():
        # About a path that two classes of source could mean; both mean the file.
        warnings.simplefilter("ignore", UserWarning)
        return resolve_dataset_source(dataset.source)


def _log_request(request: Request) -> None:
    parameters = asdict(request)
    recipe = parameters.pop("recipe")
    log_parameters({**parameters, **recipe})


def _say(dataset: Dataset, parts: Parts) -> None:
    columns = dataset.columns
    print(
        f"data: {dataset.source} ({dataset.kind}), {len(dataset.table):,} transactions, "
        f"{dataset.frauds:,} frauds ({dataset.fraud_rate:.3%}), "
        f"{dataset.duplicates:,} duplicates dropped, {len(columns.features)} features"
    )
    if columns.ignored:
        print(f"columns without numbers, left out: {', '.join(columns.ignored)}")
    if columns.time is None:
        print("no time column: the split is stratified, and each part counts as one day")
    print(
        f"split by {parts.how}: {len(parts.train):,} train, {len(parts.validation):,} validation, "
        f"{len(parts.holdout):,} holdout"
    )


def _log_figures(
    figures: Mapping[str, Mapping[str, float]], fitted: Fitted, threshold: float
) -> None:
    mlflow.log_metrics(
        {
            f"{part}/{name}": value
            for part, named in figures.items()
            for name, value in named.items()
        }
        | {
            "model/threshold": threshold,
            "model/rounds": fitted.best_round,
            "validation/average_precision_of_baseline": fitted.baseline_average_precision,
        }
    )
    log_curve(fitted.curve, "learning_curve/")


def _log_pictures(
    detector: FraudDetector,
    parts: Parts,
    scored: Mapping[str, Scored],
    figures: Mapping[str, Mapping[str, float]],
    fitted: Fitted,
    threshold: float,
    policy: Policy,
) -> None:
    booster, scaler, _ = detector.parts
    pictures = draw_curves(
        scored["holdout"], figures["holdout"], part="holdout", threshold=threshold, policy=policy
    )
    pictures["learning_curve"] = draw_learning_curve(fitted.curve, fitted.best_round)
    pictures["feature_importance"] = draw_importance(
        scaler.features,
        np.asarray(booster.feature_importance("gain"), dtype=np.float64),
        detector.contributions(parts.holdout.head(ROWS_EXPLAINED)),
    )
    for name, figure in pictures.items():
        mlflow.log_figure(figure, f"figures/{name}.png")


def _known_rows(holdout: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    target = holdout[columns.target]
    chosen = [holdout[target == label].head(KNOWN_ROWS_PER_CLASS) for label in (0, 1)]
    return pd.concat(chosen, ignore_index=True)[list(columns.features)]


def _tags(
    dataset: Dataset,
    parts: Parts,
    held: Mapping[str, float],
    threshold: float,
    policy: Policy,
    commit: str,
) -> dict[str, str]:
    return {
        "data_kind": dataset.kind,
        "data_source": dataset.source,
        "data_digest": dataset.digest,
        "split": parts.how,
        "threshold": repr(threshold),
        "threshold_policy": str(policy),
        "git_commit": commit,
        "holdout_average_precision": f"{held['average_precision']:.6f}",
        "holdout_average_precision_low": f"{held['average_precision_low']:.6f}",
        "holdout_average_precision_high": f"{held['average_precision_high']:.6f}",
        "holdout_recall_at_budget": f"{held['recall_at_budget']:.6f}",
        "holdout_brier": f"{held['brier']:.8f}",
    }


def _description(
    dataset: Dataset, held: Mapping[str, float], threshold: float, policy: Policy
) -> str:
    return (
        f"Trained on {len(dataset.table):,} {dataset.kind} transactions ({dataset.source}). "
        f"Holdout: average precision {held['average_precision']:.4f} "
        f"[{held['average_precision_low']:.4f}, {held['average_precision_high']:.4f}], "
        f"recall {held['recall']:.4f} and precision {held['precision']:.4f} at threshold "
        f"{threshold:.4g} (`{policy}`)."
    )
