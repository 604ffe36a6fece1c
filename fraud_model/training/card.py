"""The model card: what a reviewer wants to know about a version, as Markdown."""

from __future__ import annotations

from pathlib import PurePath

from fraud_model import __version__
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.model.metrics import shown_rows
from fraud_model.training.result import TrainingResult


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
            f"Threshold {result.threshold:.6g}, chosen on the validation part by "
            f"`{result.policy}`. The alert budget is {result.alert_budget:g} a day. A logistic "
            "regression on the same features has an average precision of "
            f"{result.fitted.baseline_average_precision:.4f} on the validation part.",
            "",
            "## Data",
            "",
            f"Source `{shown}`, digest `{dataset.digest[:16]}`: {len(dataset.table):,} "
            f"transactions, {dataset.frauds:,} frauds ({dataset.fraud_rate:.3%}), "
            f"{dataset.duplicates:,} exact duplicates dropped. {_split(parts)}",
            "",
            "| part | transactions | frauds | fraud rate |",
            "|---|---|---|---|",
            *sizes,
            "",
            f"Features ({len(columns.features)}): {', '.join(f'`{f}`' for f in columns.features)}.",
            "",
            "## Use and limits",
            "",
            "Meant to rank transactions for review, one row at a time, on features made as the "
            "training data's were. It knows the fraud patterns of its training period only: watch "
            "its score distribution and retrain. It does not see a card's history unless the "
            "features carry it. The probabilities are calibrated for the fraud rate of the "
            "validation part; if yours differs, choose the threshold again.",
            "",
            f"Code: fraud_model {__version__}, git commit `{commit}`.",
            "",
        ]
    )


def _origin(dataset: Dataset) -> str:
    if dataset.kind == "simulated":
        return (
            "**Trained on simulated transactions**, drawn from published quantiles of the real "
            "data: good for trying the service out, not for deciding about real payments."
        )
    return "Trained on the labelled transactions of the table named below."


def _split(parts: Parts) -> str:
    if parts.how == "time":
        return (
            "Split by time: the earliest 60 % train, the next 20 % validate, the last 20 % are "
            "held out."
        )
    return "Split stratified by class: 60 % train, 20 % validate, 20 % are held out."
