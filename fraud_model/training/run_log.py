"""What a training run leaves in MLflow: data, metrics, plots, card, and the version's tags."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict

import mlflow
import numpy as np
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.types import ColSpec, DataType, Schema
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

from fraud_model.data.dataset import Dataset, digest_of
from fraud_model.data.sources import is_database
from fraud_model.data.split import Parts
from fraud_model.data.table import as_yaml
from fraud_model.evaluation.plots import draw_curves, mark_simulated
from fraud_model.evaluation.slices import Slice, slices
from fraud_model.model.directory import CARD_FILE
from fraud_model.tracking import log_curve, user
from fraud_model.training.card import shown_interval, shown_source, with_owner
from fraud_model.training.plots import draw_importance, draw_learning_curve
from fraud_model.training.result import TrainingResult

# SHAP values of about this many holdout transactions, evenly spaced, rank the features; more change
# nothing visible.
ROWS_EXPLAINED = 300
DIGEST_SHOWN = 16

# Of the artifacts, what `-P columns=` reads.
COLUMNS_FILE = "columns.yaml"
SLICES_FILE = "slices.json"
METRICS_OF = "metrics_of"


def log_data(dataset: Dataset, parts: Parts, genuine_weight: float) -> None:
    """Logs the dataset's parts as inputs of the active run, and says what was read."""
    _say(dataset, parts, genuine_weight)
    mlflow.set_tags({"data_kind": dataset.kind, "data_source": dataset.source})
    mlflow.log_metrics(
        {
            "data/transactions": len(dataset.table),
            "data/frauds": dataset.frauds,
            "data/fraud_rate": dataset.fraud_rate,
            "data/duplicates_dropped": dataset.duplicates,
            "data/labels_unknown": len(dataset.unknown),
        }
    )
    mlflow.log_text(as_yaml(dataset.described), COLUMNS_FILE)
    # MLflow's own from_pandas looks at every cell to infer this schema: seconds at full size.
    described = dataset.columns.described.values()
    schema = Schema(
        [ColSpec(DataType[f.payload], f.name, required=not f.missing) for f in described]
        + [ColSpec(DataType.long, dataset.columns.target)]
    )
    source = _source_of(dataset)
    for context, part in parts.named().items():
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


def log_result(result: TrainingResult) -> None:
    """Logs metrics, learning curve and plots to the active run."""
    fitted = result.fitted
    metrics = {
        f"{part}/{name}": value
        for part, reached in result.metrics.items()
        for name, value in reached.by_name().items()
    }
    own: dict[str, float] = {
        "model/rounds": fitted.rounds[0],
        "validation/average_precision_of_baseline": fitted.baseline_average_precision,
    }
    decision, steps = result.decision, result.hand_over
    if decision.threshold is not None:
        own["model/threshold"] = decision.threshold
    if decision.review_cost is not None:
        own["model/review_cost"] = decision.review_cost
    mlflow.log_metrics({**metrics, **own})
    log_curve(fitted.curve.rounds, fitted.curve.metrics, "learning_curve/")
    log_curve(fitted.curve.rounds, fitted.curve.training, "learning_curve/training_")
    handed = {
        "frauds": [step.frauds.value for step in steps],
        "expected_frauds": [step.expected_frauds for step in steps],
        "flagged_share_planned": [step.planned for step in steps],
        "flagged_share": [step.came for step in steps],
    }
    log_curve(range(1, len(steps) + 1), handed, "hand_over/")
    _log_plots(result)


def log_card(card: str) -> None:
    """Stores the model card, and shows it as the description on the page of the run."""
    mlflow.log_text(card, CARD_FILE)
    mlflow.set_tag(MLFLOW_RUN_NOTE, card)


def log_slices(result: TrainingResult, names: Sequence[str]) -> list[Slice]:
    """The evaluation model's decision on the slices of the holdout, stored with the run."""
    held = result.scored["holdout"]
    flagged = result.decision.flags(held.probability, held.amounts)
    rows, beside = result.parts.holdout, result.dataset.beside
    places = result.parts.places["holdout"]
    rows = rows.assign(**{name: beside[name].take(places).array for name in beside.columns})
    found = slices(rows, result.dataset.columns, held, flagged, names)
    mlflow.log_dict({"holdout": [asdict(one) for one in found]}, SLICES_FILE)
    return found


def name_version(label: str, card: str) -> None:
    """Names the active run after the version that it made, and shows the card with its number."""
    note = with_owner(card, label, user(), MAX_TAG_VAL_LENGTH)
    mlflow.set_tags({MLFLOW_RUN_NAME: f"{label}: trained", MLFLOW_RUN_NOTE: note})


def log_origin(result: TrainingResult, commit: str) -> None:
    """Tags the active run with what the pages of the version leave out."""
    dataset = result.dataset
    mlflow.set_tags(
        {
            "data_source": dataset.source,
            "data_digest": dataset.digest,
            "threshold_policy": str(result.policy),
            "learned_from": "all rows" if result.refitted else "train and validation part",
            METRICS_OF: _metrics_of(result),
            "fraud_rate": f"{result.fraud_rate:.6f}",
            "table_fraud_rate": f"{dataset.fraud_rate:.6f}",
            "git_commit": commit,
        }
    )


def shown_tags(result: TrainingResult) -> dict[str, str]:
    """What a reader of the version's page looks for; MLflow shows tags in the order of names."""
    held = result.metrics["holdout"]
    recall, precision = (shown_interval(known) for known in result.decided().values())
    return {
        "alerts a day": f"{held.alerts_per_day:,.1f} of a budget of {result.alert_budget:g}",
        "average precision": f"{held.average_precision:.3f} [{held.average_precision_low:.3f}, "
        f"{held.average_precision_high:.3f}]",
        "caught": f"recall {recall}, precision {precision}",
    }


def version_tags(result: TrainingResult) -> dict[str, str]:
    """The tags of run and version that other commands read; what it reached is the evaluation
    model's."""
    held, decision = result.metrics["holdout"], result.decision
    leaks = result.fitted.leaks
    threshold = {} if decision.threshold is None else {"threshold": repr(decision.threshold)}
    return {
        "data_kind": result.dataset.kind,
        "split": result.parts.how,
        **threshold,
        "decision": str(decision),
        METRICS_OF: _metrics_of(result),
        "holdout_average_precision": f"{held.average_precision:.6f}",
        **({"leaks": ", ".join(leaks.columns)} if leaks else {}),
    }


def _metrics_of(result: TrainingResult) -> str:
    return "the evaluation model" if result.refitted else "the served model"


def version_description(result: TrainingResult) -> str:
    """A few sentences for the version's page in the registry."""
    dataset, held = result.dataset, result.metrics["holdout"]
    return (
        f"Trained on {len(dataset.table):,} {dataset.kind} transactions ({shown_source(dataset)}). "
        f"Holdout: average precision {held.average_precision:.4f} "
        f"[{held.average_precision_low:.4f}, {held.average_precision_high:.4f}], "
        f"recall {held.recall:.4f}, precision {held.precision:.4f} and {held.alerts_per_day:,.1f} "
        f"alerts a day where {result.decision} (`{result.policy}`)."
        + (
            " These are the evaluation model's; the served one was refitted on all rows."
            if result.refitted
            else ""
        )
    )


def _log_plots(result: TrainingResult) -> None:
    evaluated = result.detector.evaluation_detector()
    booster, encoder, _, decision = evaluated.parts
    gain = np.asarray(booster.feature_importance("gain"), dtype=np.float64)
    plots = draw_curves(
        result.scored["holdout"],
        result.metrics["holdout"],
        part="holdout",
        decision=decision,
        policy=result.policy,
    )
    plots["learning_curve"] = draw_learning_curve(result.fitted.curve, result.fitted.rounds[0])
    holdout = result.parts.holdout
    plots["feature_importance"] = draw_importance(
        encoder.names,
        np.asarray(np.bincount(encoder.owners, gain), dtype=np.float64),
        evaluated.contributions(holdout.iloc[:: -(-len(holdout) // ROWS_EXPLAINED)]),
    )
    for name, figure in plots.items():
        if result.dataset.kind == "simulated":
            mark_simulated(figure)
        mlflow.log_figure(figure, f"plots/{name}.png")


def _source_of(dataset: Dataset) -> DatasetSource:
    if dataset.kind == "simulated" or is_database(dataset.source):
        # MLflow knows no source of the kind.
        return CodeDatasetSource(tags={"source": dataset.source})
    with warnings.catch_warnings():
        # About a path that two classes of source could mean; both mean the file.
        warnings.simplefilter("ignore", UserWarning)
        return resolve_dataset_source(dataset.source)


def _say(dataset: Dataset, parts: Parts, genuine_weight: float) -> None:
    columns = dataset.columns
    print(
        f"data: {dataset.source} ({dataset.kind}), {len(dataset.table):,} transactions, "
        f"{dataset.frauds:,} frauds ({dataset.fraud_rate:.3%}), "
        f"{dataset.duplicates:,} duplicates dropped, {len(columns.features)} features"
        + ("" if columns.time is None else f", {dataset.days:,.4g} days")
    )
    if len(dataset.unknown):
        print(
            f"{len(dataset.unknown):,} transactions without a known label, left out; "
            f"{dataset.young:,} of them are younger than the label delay"
        )
    if genuine_weight != 1:
        print(f"each genuine transaction stands for {genuine_weight:.4g} of the traffic")
    if columns.time is None:
        times = [name for name, feature in columns.described.items() if feature.kind == "time"]
        print(
            "no time column: the split is stratified, and each part counts as one day"
            + (f"; {' or '.join(map(repr, times))} may be one: -P time_column=" if times else "")
        )
    print(
        f"split by {parts.how}: {len(parts.train):,} train, {len(parts.validation):,} validation, "
        f"{len(parts.holdout):,} holdout"
        + (f", {parts.gap:,} between them for the label delay" if parts.gap else "")
    )
