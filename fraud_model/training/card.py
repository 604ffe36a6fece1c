"""The model card: what a reviewer wants to know about a version, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import PurePath

from fraud_model import __version__
from fraud_model.data.columns import Columns
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import Parts
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.evaluation.intervals import Interval
from fraud_model.evaluation.slices import Slice
from fraud_model.model.metrics import shown_rows
from fraud_model.tracking import active_run_id
from fraud_model.training.hand_over import HandOver
from fraud_model.training.result import TrainingResult

PLURALS = {"number": "numbers", "boolean": "booleans", "category": "categories", "time": "times"}


ABOUT = ("| about | |", "|---|---|")
# What reviewers are shown, in tables that MLflow's pages show whole.
TABLES = {
    "Ranking": ("average_precision", "roc_auc", "brier", "frauds", "expected_frauds"),
    "Decision": (
        "precision",
        "recall",
        "f1",
        "accuracy",
        "alerts_per_day",
        "fraud_value_caught",
        "fraud_value_missed",
    ),
    "Alert budget": (
        "alerts_in_budget",
        "precision_at_budget",
        "recall_at_budget",
        "recall_at_budget_reachable",
    ),
}


def write_card(name: str, result: TrainingResult, slices: Sequence[Slice], commit: str) -> str:
    """The card of a trained detector that will be a version of `name`."""
    dataset, parts, metrics = result.dataset, result.parts, result.metrics
    columns, target = dataset.columns, dataset.columns.target
    sizes = [
        f"| {part} | {len(table):,} | {int(table[target].sum()):,} | {table[target].mean():.3%} |"
        for part, table in parts.named().items()
    ]
    measured = ("validation", "holdout")
    intervals = [
        {metric: (known.low, known.high) for metric, known in result.decided(part).items()}
        for part in measured
    ]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Scores card transactions with the probability of fraud. {_origin(dataset)}",
            "",
            *_about(result, commit),
            "",
            "## Intended use",
            "",
            "Meant to rank transactions for review, one row at a time, on features made as the "
            "training data's were. People decide about what is flagged.",
            "",
            "Not meant to refuse payments or close accounts without a person, to judge people "
            "rather than transactions, for other kinds of payment than it was trained on, or for "
            "features that are made otherwise.",
            "",
            "## Metrics",
            "",
            "With 95 % intervals.",
            "",
            *(
                line
                for title, names in TABLES.items()
                for line in (
                    f"| {title} | validation | holdout |",
                    "|---|---|---|",
                    *shown_rows([metrics[part] for part in measured], names, intervals),
                    "",
                )
            ),
            _decision(result),
            "",
            *(f"**To look at:** {warning}\n" for warning in result.warnings),
            f"A logistic regression on the same features has an average precision of "
            f"{result.fitted.baseline_average_precision:.3f} on the validation part.",
            "",
            _refit(result),
            "",
            "## Data",
            "",
            f"Source `{shown_source(dataset)}`, digest `{dataset.digest[:16]}`: "
            f"{len(dataset.table):,} transactions, {dataset.frauds:,} frauds "
            f"({dataset.fraud_rate:.3%}), {dataset.duplicates:,} exact duplicates dropped. "
            f"{_split(dataset, parts)}",
            *_labels(result),
            "",
            "| part | transactions | frauds | fraud rate |",
            "|---|---|---|---|",
            *sizes,
            "",
            *_features(columns),
            "",
            "## Limits",
            "",
            "It knows the fraud patterns of its training period only: watch its score distribution "
            "and retrain. It does not see a card's history unless the features carry it. The "
            "probabilities are calibrated for the fraud rate of the validation part; if yours "
            "differs, train with -P fraud_rate=.",
            "",
            *_slices(slices),
        ]
    )


def with_owner(card: str, version: str, owner: str, most: int) -> str:
    """The card for the tracking store's own pages, which alone name who trained it.

    Where it would be longer than `most` characters, the last tables stay in the file.
    """
    _, rest = card.split("\n", 1)
    about = "\n".join(ABOUT)
    known = f"{about}\n| version | {version} |\n| owner | {owner} |"
    text = f"# {version}\n{rest.replace(about, known, 1)}"
    if len(text) <= most:
        return text
    more = "\nThe rest is in the artifact `model_card.md`.\n"
    return text[: text.rindex("\n\n", 0, most - len(more)) + 1] + more


def shown_source(dataset: Dataset) -> str:
    """What the table is called; the card travels, and folders may be named after people."""
    source = PurePath(dataset.source)
    return source.name if source.is_absolute() else dataset.source


def shown_interval(known: Interval | None) -> str:
    """A share with its interval, as in `0.83 [0.71, 0.91]`, or `none`."""
    return "none" if known is None else f"{known.value:.3f} [{known.low:.3f}, {known.high:.3f}]"


def _about(result: TrainingResult, commit: str) -> list[str]:
    dataset, columns = result.dataset, result.dataset.columns
    currency = next(
        (c.example for c in dataset.described if "currency" in c.name.lower() and c.distinct == 1),
        None,
    )
    unit = "no amounts" if columns.amount is None else f"that of the column `{columns.amount}`"
    rows = {
        "trained": f"{datetime.now(UTC):%Y-%m-%d} in run `{active_run_id()}`",
        "training period": _period(dataset),
        "served model learned": "all rows" if result.refitted else "the train part",
        "currency": currency or unit,
        "decision": f"{result.decision} (`{result.policy}`)",
        "alert budget": f"{result.alert_budget:g} a day",
        "code": f"fraud_model {__version__}, git commit `{commit[:12]}`",
    }
    return [*ABOUT, *(f"| {name} | {text} |" for name, text in rows.items())]


def _period(dataset: Dataset) -> str:
    times = dataset.seconds
    if times is None:
        return "unknown: the table has no time column"
    if not dataset.columns.has_dates:
        return f"{dataset.days:,.3g} days, counted from the table's first row"
    first, last = (datetime.fromtimestamp(end, UTC) for end in (times.min(), times.max()))
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _slices(found: Sequence[Slice]) -> list[str]:
    """A table for each column that the holdout is sliced by."""
    lines = [
        "## Slices of the holdout",
        "",
        "What the decision does in parts of the holdout. False positives are the share of the "
        "genuine transactions that are flagged. Small slices have wide intervals.",
        "",
    ]
    for by, group in groupby(found, key=lambda one: one.by):
        lines += [
            f"| {_cell(by)} | transactions | frauds | recall | precision | false positives |",
            "|---|---|---|---|---|---|",
        ]
        for one in group:
            rate = one.false_positive_rate
            wrong = (
                "none" if rate is None else f"{rate.value:.2%} [{rate.low:.2%}, {rate.high:.2%}]"
            )
            lines.append(
                f"| {_cell(one.value)} | {one.rows:,} | {one.frauds:,} | "
                f"{shown_interval(one.recall)} | {shown_interval(one.precision)} | {wrong} |"
            )
        lines.append("")
    return lines if found else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


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
    steps = result.hand_over
    carried = "How well that carries over could not be checked: the train part has too few frauds."
    if steps:
        place = "earlier in time" if result.parts.how == "time" else "on shares of the train part"
        carried = "\n".join(
            [
                f"The same hand-over was tried {place}, from a model of fewer rows to one of more. "
                "What it expected on rows that neither has learned, and what came there:",
                "",
                "| from | to | on the | frauds expected | came | share to be flagged | flagged |",
                "|---|---|---|---|---|---|---|",
                *(_hand_over_row(each) for each in steps),
            ]
        )
    return (
        "These metrics are those of the evaluation model, which learned from the train part. The "
        "model that is served was then fitted on all rows with the same hyperparameters and "
        f"rounds, and took calibration and decision over. {carried}"
    )


def _hand_over_row(step: HandOver) -> str:
    return (
        f"| {step.from_rows:,} rows | {step.to_rows:,} | {step.part} part "
        f"| {step.expected_frauds:,.1f}, "
        f"{'within' if step.agrees else '**beyond**'} chance "
        f"| {step.frauds.value:,.0f} [{step.frauds.low:,.1f}, {step.frauds.high:,.1f}] "
        f"| {step.planned:.3%} | {step.came:.3%} |"
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
