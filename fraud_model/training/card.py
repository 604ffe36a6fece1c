"""The model card: what a reviewer wants to know about a version, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from fraud_model import __version__
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.training.result import Measured

SHOWN = (
    ("average_precision", "average precision"),
    ("average_precision_low", "… lower end of its 95 % bootstrap interval"),
    ("average_precision_high", "… upper end"),
    ("roc_auc", "ROC AUC"),
    ("brier", "Brier score"),
    ("precision", "precision at the threshold"),
    ("recall", "recall at the threshold"),
    ("f1", "F1 at the threshold"),
    ("accuracy", "accuracy at the threshold"),
    ("alerts_in_budget", "alerts that the budget allows"),
    ("precision_at_budget", "precision at the alert budget"),
    ("recall_at_budget", "recall at the alert budget"),
    ("fraud_value_caught", "fraud value caught (sum of amounts)"),
    ("fraud_value_missed", "fraud value missed (sum of amounts)"),
)


def write_card(name: str, measured: Measured, commit: str) -> str:
    """The card of a trained detector that will be a version of `name`."""
    dataset, parts, figures = measured.dataset, measured.parts, measured.figures
    columns, target = dataset.columns, dataset.columns.target
    rows = [
        f"| {label} | {_cell(figures['validation'], key)} | {_cell(figures['holdout'], key)} |"
        for key, label in SHOWN
        if key in figures["holdout"]
    ]
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
            "## Figures",
            "",
            "| figure | validation | holdout |",
            "|---|---|---|",
            *rows,
            "",
            f"Threshold {measured.threshold:.6g}, chosen on the validation part by "
            f"`{measured.policy}`. The alert budget is {measured.alert_budget:g} a day. A logistic "
            "regression on the same features has an average precision of "
            f"{measured.fitted.baseline_average_precision:.4f} on the validation part.",
            "",
            "## Data",
            "",
            f"Source `{dataset.source}`, digest `{dataset.digest[:16]}`: {len(dataset.table):,} "
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
            "validation part; where yours differs, choose the threshold again.",
            "",
            f"Code: fraud_model {__version__}, git commit `{commit}`.",
            "",
        ]
    )


def _cell(figures: Mapping[str, float], key: str) -> str:
    value = figures[key]
    if key.startswith(("alerts", "fraud_value")):
        return f"{value:,.0f}"
    return f"{value:.6f}" if key == "brier" else f"{value:.4f}"


def _origin(dataset: Dataset) -> str:
    if dataset.kind == "simulated":
        return (
            "**Trained on simulated transactions**, drawn from published figures of the real "
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
