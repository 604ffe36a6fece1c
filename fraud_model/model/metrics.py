"""The metrics of a detector at one threshold on one set of labelled transactions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

# What reviewers are shown, in this order, and what it is called.
SHOWN = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "brier": "Brier score",
    "precision": "precision at the threshold",
    "recall": "recall at the threshold",
    "f1": "F1 at the threshold",
    "accuracy": "accuracy at the threshold",
    "alerts_per_day": "alerts a day",
    "frauds": "frauds",
    "expected_frauds": "frauds expected from the probabilities",
    "alerts_in_budget": "alerts that the budget allows",
    "precision_at_budget": "precision at the alert budget",
    "recall_at_budget": "recall at the alert budget",
    "recall_at_budget_reachable": "… highest that the budget allows",
    "fraud_value_caught": "fraud value caught (sum of amounts)",
    "fraud_value_missed": "fraud value missed (sum of amounts)",
}
SINCE_0_2_0 = ("expected_frauds", "alerts_per_day", "recall_at_budget_reachable")


@dataclass(frozen=True)
class Metrics:
    """Metrics of a detector; frauds are the positive class.

    What is flagged is up to the detector's decision. The alert budget is what people can review:
    the transactions that score highest, whatever the decision. Where genuine transactions were
    thinned, shares and alerts are those of the whole traffic, and counts those of the table's rows.

    Attributes:
        rows: labelled transactions, 1 or more.
        frauds: frauds among them, 1 or more.
        accuracy: share of the transactions that are flagged frauds or passed genuine ones, 0 to 1.
            It says little: passing everything scores 0.998 where 0.2 % are frauds.
        precision: share of the flagged transactions that are frauds, 0 to 1; 0 without flags.
        recall: share of the frauds that are flagged, 0 to 1.
        f1: harmonic mean of precision and recall, 0 to 1.
        roc_auc: area under the ROC curve, 0 to 1; 0.5 is chance.
        average_precision: area under the precision-recall curve, 0 to 1; the fraud rate is chance.
        average_precision_low: lower end of its 95 % interval.
        average_precision_high: upper end of it.
        brier: mean squared error of the probabilities, 0 to 1; 0 is best.
        expected_frauds: sum of the probabilities; calibrated ones come near `frauds`.
        alerts_per_day: flagged transactions a day; all of them where the table has no time.
        alerts_in_budget: how many transactions the alert budget covers, 1 or more.
        precision_at_budget: share of those that are frauds, 0 to 1.
        recall_at_budget: share of all frauds that are among those, 0 to 1.
        recall_at_budget_reachable: what it is if all of those are frauds, or all frauds are among
            them.
        true_positives: frauds that are flagged.
        false_positives: genuine transactions that are flagged.
        false_negatives: frauds that pass.
        true_negatives: genuine transactions that pass.
        fraud_value_caught: sum of the flagged frauds' amounts, in their currency; None where the
            table has no amounts.
        fraud_value_missed: sum of the other frauds' amounts, likewise.
    """

    rows: int
    frauds: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    roc_auc: float
    average_precision: float
    average_precision_low: float
    average_precision_high: float
    brier: float
    expected_frauds: float
    alerts_per_day: float
    alerts_in_budget: int
    precision_at_budget: float
    recall_at_budget: float
    recall_at_budget_reachable: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    fraud_value_caught: float | None = None
    fraud_value_missed: float | None = None

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Metrics:
        """Metrics from JSON; names that this version does not know are left out.

        Raises:
            KeyError: a metric is missing.
        """
        optional = ("fraud_value_caught", "fraud_value_missed")
        # Release 0.1.0 did not measure these.
        content = {**dict.fromkeys(SINCE_0_2_0, math.nan), **content}
        return cls(
            **{
                # Release 0.1.0 wrote counts as 6000.0.
                field.name: int(content[field.name]) if field.type == "int" else content[field.name]
                for field in fields(cls)
                if field.name in content or field.name not in optional
            }
        )

    def by_name(self) -> dict[str, float]:
        """The metrics by name, as MLflow logs them; those that are not known are left out."""
        return {
            name: float(value)
            for name, value in asdict(self).items()
            if value is not None and not math.isnan(value)
        }


def shown_rows(
    columns: Sequence[Metrics],
    names: Sequence[str] = tuple(SHOWN),
    intervals: Sequence[Mapping[str, tuple[float, float]]] = (),
    *,
    difference: bool = False,
) -> list[str]:
    """Rows of a Markdown table: what reviewers are shown, with a column for each `Metrics`.

    `intervals` are 95 % intervals of each column's metrics by name; that of the average precision
    comes with it. `difference` adds a column: the first one minus the second.
    """
    values = [metrics.by_name() for metrics in columns]
    known = [dict(each) for each in intervals] or [{} for _ in columns]
    for each, value in zip(known, values, strict=True):
        ends = (value.get("average_precision_low"), value.get("average_precision_high"))
        if ends[0] is not None and ends[1] is not None:
            each["average_precision"] = (ends[0], ends[1])
    rows = []
    for name in names:
        if not any(name in value for value in values):
            continue
        cells = [
            _cell(name, value.get(name)) + _interval(name, each.get(name))
            for value, each in zip(values, known, strict=True)
        ]
        if difference:
            cells.append(_difference(name, [value.get(name) for value in values]))
        rows.append(f"| {SHOWN[name]} | {' | '.join(cells)} |")
    return rows


def _cell(name: str, value: float | None, sign: str = "") -> str:
    if value is None:
        return ""
    if name.startswith(("alerts_in", "frauds", "fraud_value")):
        return f"{value:{sign},.0f}"
    if name in ("alerts_per_day", "expected_frauds"):
        return f"{value:{sign},.1f}"
    if name == "brier":
        return f"{value:{sign}#.3g}"
    return f"{value:{sign}.5f}" if name == "accuracy" else f"{value:{sign}.3f}"


def _interval(name: str, ends: tuple[float, float] | None) -> str:
    return "" if ends is None else " [{}, {}]".format(*(_cell(name, end) for end in ends))


def _difference(name: str, values: Sequence[float | None]) -> str:
    if len(values) < 2 or values[0] is None or values[1] is None:
        return ""
    difference = values[0] - values[1]
    return _cell(name, difference, "+") if difference else "0"
