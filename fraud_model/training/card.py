"""The model card: what a reviewer wants to know about a version, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from fraud_model import __version__
from fraud_model.data.columns import Columns
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.model.metrics import shown_rows
from fraud_model.training.result import TrainingResult

PLURALS = {"number": "numbers", "boolean": "booleans", "category": "categories", "time": "times"}


def write_card(name: str, result: TrainingResult, commit: str) -> str:
    """The card of a trained detector that will be a version of `name`."""
    dataset, parts, metrics = result.dataset, result.parts, result.metrics
    # The card travels, and folders may be named after people.
    source = PurePath(dataset.source)
    shown = source.name if source.is_absolute() else dataset.source
    columns, target = dataset.columns, dataset.columns.target
    sizes = [
        f"| {part} | {len(table):,} | {int(table[target].sum()):,} | {table[target].mean():.3%} |"
        for part, table in parts.named().items()
    ]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Scores card transactions with the probability of fraud. {_origin(dataset)}",
            "",
            "## Metrics",
            "",
            "| metric | validation | holdout |",
            "|---|---|---|",
            *shown_rows([metrics["validation"], metrics["holdout"]]),
            "",
            _decision(result),
            "",
            *(f"**To look at:** {warning}\n" for warning in result.warnings),
            f"A logistic regression on the same features has an average precision of "
            f"{result.fitted.baseline_average_precision:.4f} on the validation part.",
            "",
            _refit(result),
            "",
            "## Data",
            "",
            f"Source `{shown}`, digest `{dataset.digest[:16]}`: {len(dataset.table):,} "
            f"transactions, {dataset.frauds:,} frauds ({dataset.fraud_rate:.3%}), "
            f"{dataset.duplicates:,} exact duplicates dropped. {_split(dataset, parts)}",
            *_labels(result),
            "",
            "| part | transactions | frauds | fraud rate |",
            "|---|---|---|---|",
            *sizes,
            "",
            *_features(columns),
            "",
            "## Use and limits",
            "",
            "Meant to rank transactions for review, one row at a time, on features made as the "
            "training data's were. It knows the fraud patterns of its training period only: watch "
            "its score distribution and retrain. It does not see a card's history unless the "
            "features carry it. The probabilities are calibrated for the fraud rate of the "
            "validation part; if yours differs, train with -P fraud_rate=.",
            "",
            f"Code: fraud_model {__version__}, git commit `{commit}`.",
            "",
        ]
    )


def _features(columns: Columns) -> list[str]:
    """The features by kind, with what may be missing, and the columns that were left out."""
    described = columns.described.values()
    lines = [f"Features ({len(columns.features)}):", ""]
    for kind, plural in PLURALS.items():
        names = [feature.name for feature in described if feature.kind == kind]
        if names:
            lines.append(f"- {plural}: {_listed(names)}")
    gaps = [feature.name for feature in described if feature.missing]
    if gaps:
        lines.append(f"- of these may be missing: {_listed(gaps)}")
    if columns.ignored:
        lines.append(f"- columns of the table that were left out: {_listed(columns.ignored)}")
    return lines


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _origin(dataset: Dataset) -> str:
    if dataset.kind == "simulated":
        return (
            "**Trained on simulated transactions**, drawn from published quantiles of the real "
            "data: good for trying the service out, not for deciding about real payments."
        )
    return "Trained on the labelled transactions of the table named below."


def _decision(result: TrainingResult) -> str:
    decision, held = result.decision, result.metrics["holdout"]
    return (
        f"Flagged where {decision}, decided on the validation part by `{result.policy}`. The risk "
        f"is Medium from {decision.medium:.4g} or where flagged, and High from "
        f"{decision.high:.4g}. On the holdout that is {held.alerts_per_day:,.1f} alerts a day; the "
        f"budget is {result.alert_budget:g}."
        + (" **That is above the budget.**" if held.alerts_per_day > result.alert_budget else "")
    )


def _refit(result: TrainingResult) -> str:
    if not result.refitted:
        return (
            "The model that is served is the one that was measured: it learned from the train "
            "part, and was calibrated on the validation part."
        )
    handed = result.hand_over
    carried = (
        "How well that carries over could not be checked: the train part has too few frauds."
        if handed is None
        else "One step earlier in time the same hand-over expected "
        f"{handed.expected_frauds:,.1f} frauds where {handed.frauds.value:,.0f} came, "
        f"{'within' if handed.agrees else 'beyond'} chance (95 % interval "
        f"{handed.frauds.low:,.1f} to {handed.frauds.high:,.1f}), and was to flag "
        f"{handed.planned:.3%} of the transactions where it flagged {handed.came:.3%}."
    )
    return (
        "These metrics are those of the evaluation model, which learned from the train part. The "
        "model that is served was then fitted on all rows with the same hyperparameters and "
        f"rounds, and took calibration and decision over. {carried}"
    )


def _labels(result: TrainingResult) -> list[str]:
    dataset = result.dataset
    said = []
    if len(dataset.unknown):
        said.append(
            f"The labels of {len(dataset.unknown):,} more transactions were not known yet; "
            f"{dataset.young:,} of those are younger than the label delay."
        )
    if result.genuine_weight != 1:
        said.append(
            f"Genuine transactions were thinned: frauds are {dataset.fraud_rate:.3%} of the table "
            f"and {result.fraud_rate:.4%} of the traffic. Probabilities and metrics are those of "
            "the traffic."
        )
    return ["", " ".join(said)] if said else []


def _split(dataset: Dataset, parts: Parts) -> str:
    if parts.how == "stratified":
        return "Split stratified by class: 60 % train, 20 % validate, 20 % are held out."
    days = dataset.label_rule.delay / SECONDS_PER_DAY
    return (
        "Split by time: the earliest 60 % train, the next 20 % validate, the last 20 % are "
        "held out." + (f" In front of the last two, {days:g} days stay free." if parts.gap else "")
    )
