"""Champion against shadow on live traffic: both have scored the same transactions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fraud_model.arrays import Counts, Floats
from fraud_model.data.label_table import LabelTable
from fraud_model.data.labels import LabelRule
from fraud_model.data.traffic import Shadowed, Traffic
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.errors import DataError
from fraud_model.evaluation.evaluate import Scored, alerts_within, evaluate, ranked_within
from fraud_model.evaluation.intervals import Interval, paired_difference
from fraud_model.model.metrics import Metrics, shown_rows
from fraud_model.monitoring.maturity import Labelled, has_matured
from fraud_model.monitoring.performance import FEWEST_FRAUDS

# Log-odds from a chance of one in a million to all but one in a million.
ODDS = np.linspace(-14, 14, 57)
SHOWN_WITH_LABELS = ("average_precision", "precision_at_budget", "recall_at_budget", "brier")


@dataclass(frozen=True)
class ShadowComparison:
    """Both versions on the transactions that both scored.

    `counts`, of shape (odds bins, odds bins), counts them by the champion's and the shadow's
    log-odds, with edges `ODDS`; `correlation` is that of the log-odds. `metrics` has the keys
    `champion` and `shadow`, each at the threshold that flags exactly the alert budget, and
    `difference` is the shadow's average precision minus the champion's; both need labels.
    """

    version: str
    rows: int
    champion_flagged: int
    shadow_flagged: int
    both_flagged: int
    champion_mean: float
    shadow_mean: float
    correlation: float
    counts: Counts
    labelled: int
    frauds: int
    metrics: dict[str, Metrics]
    difference: Interval | None

    def table(self) -> list[tuple[str, str, str]]:
        """Rows of a table: what it is, the champion's and the shadow's."""
        rows = [
            ("transactions that both scored", f"{self.rows:,}", f"{self.rows:,}"),
            ("flagged", f"{self.champion_flagged:,}", f"{self.shadow_flagged:,}"),
            (
                "flagged by this one alone",
                f"{self.champion_flagged - self.both_flagged:,}",
                f"{self.shadow_flagged - self.both_flagged:,}",
            ),
            ("mean fraud probability", f"{self.champion_mean:.6f}", f"{self.shadow_mean:.6f}"),
        ]
        if self.metrics:
            shown = shown_rows([self.metrics[s] for s in ("champion", "shadow")], SHOWN_WITH_LABELS)
            for row in shown:
                name, champion, shadow = (cell.strip() for cell in row.strip("| ").split("|"))
                rows.append((name, champion, shadow))
        return rows

    def summary(self) -> dict[str, Any]:
        """Version, verdict and table, for a program."""
        return {
            "version": self.version,
            "verdict": self.verdict(),
            "table": [list(row) for row in self.table()],
        }

    def verdict(self) -> str:
        """One sentence on how the two compare."""
        alike = f"the log-odds of both correlate by {self.correlation:.3f}"
        if self.difference is None:
            return f"Shadow version {self.version}: {alike}; only labels tell which is better."
        return (
            f"Shadow version {self.version}: average precision {self.difference.value:+.4f} "
            f"[{self.difference.low:+.4f}, {self.difference.high:+.4f}] against the champion on "
            f"{self.labelled:,} labelled transactions with {self.frauds:,} frauds; {alike}."
        )


class ShadowTally:
    """Adds up what one shadow version scored.

    Labels count by days: those of a day count once it has matured, as a window of the check does.
    """

    def __init__(self, version: str, rule: LabelRule) -> None:
        self._version = version
        self._sums = np.zeros(6)
        self._flagged = np.zeros(3, np.int64)
        self._means = np.zeros(2)
        self._counts = np.zeros((len(ODDS) + 1, len(ODDS) + 1), np.int64)
        self._labelled = Labelled(rule)
        self._days: Counter[int] = Counter()

    def add(self, part: Shadowed, labels: LabelTable | None) -> None:
        """Counts a part."""
        x, y = _log_odds(part.champion), _log_odds(part.shadow)
        self._sums += [len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]
        both = part.champion_flagged & part.shadow_flagged
        self._flagged += [
            int(part.champion_flagged.sum()),
            int(part.shadow_flagged.sum()),
            int(both.sum()),
        ]
        self._means += [part.champion.sum(), part.shadow.sum()]
        np.add.at(self._counts, (ODDS.searchsorted(x), ODDS.searchsorted(y)), 1)
        if labels is not None:
            days = np.floor_divide(part.seconds, SECONDS_PER_DAY).astype(np.int64)
            self._days.update(days.tolist())
            columns = {"champion": part.champion, "shadow": part.shadow}
            self._labelled.add(labels.of(part.keys), part.seconds, days, columns)

    def result(self, alert_budget: float, now: float) -> ShadowComparison:
        """The comparison; `alert_budget` is in alerts a day.

        `now` is the end of the traffic, in seconds.
        """
        rows, x, y, xx, yy, xy = self._sums.tolist()
        spread = np.sqrt(max((xx - x * x / rows) * (yy - y * y / rows), 0.0))
        table = self._matured(now)
        frauds = int(table["label"].sum())
        metrics: dict[str, Metrics] = {}
        difference = None
        if FEWEST_FRAUDS <= frauds < len(table):
            days = (table["seconds"].max() - table["seconds"].min()) / SECONDS_PER_DAY
            sides = {
                side: Scored(
                    table["label"].to_numpy(np.int64), table[side].to_numpy(), None, float(days)
                )
                for side in ("champion", "shadow")
            }
            metrics = {side: _at_budget(scored, alert_budget) for side, scored in sides.items()}
            difference = paired_difference(
                sides["champion"].labels, sides["shadow"].probability, sides["champion"].probability
            )
        return ShadowComparison(
            version=self._version,
            rows=int(rows),
            champion_flagged=int(self._flagged[0]),
            shadow_flagged=int(self._flagged[1]),
            both_flagged=int(self._flagged[2]),
            champion_mean=float(self._means[0] / rows),
            shadow_mean=float(self._means[1] / rows),
            correlation=float((xy - x * y / rows) / spread) if spread else 1.0,
            counts=self._counts,
            labelled=len(table),
            frauds=frauds,
            metrics=metrics,
            difference=difference,
        )

    def _matured(self, now: float) -> pd.DataFrame:
        known = self._labelled.known(now)
        counts = known["window"].value_counts()
        days = [d for d, n in counts.items() if has_matured(int(n), self._days[int(str(d))])]
        return known[known["window"].isin(days)]


def compare_live(
    traffic: Traffic,
    labels: LabelTable | None,
    version: str,
    alert_budget: float,
    rule: LabelRule,
) -> ShadowComparison:
    """Champion against one shadow version in an audit log of the champion.

    Raises:
        DataError: that version scored nothing there.
    """
    tally = ShadowTally(version, rule)
    rows, now = 0, -np.inf
    for batch in traffic.batches(labels.columns if labels else ()):
        now = batch.scored.seconds.max(initial=now)
        for part in batch.shadowed:
            if part.version == version:
                tally.add(part, labels)
                rows += len(part.seconds)
    if not rows:
        raise DataError(
            f"the log holds no transaction that version {version} scored as the champion's shadow. "
            f"Serve the champion with SHADOW_MODEL_URI=models:/…/{version} and AUDIT_LOG for a "
            "while, or compare without log."
        )
    return tally.result(alert_budget, now)


def markdown(comparison: ShadowComparison) -> str:
    """The comparison as Markdown."""
    rows: list[Any] = [f"| {' | '.join(row)} |" for row in comparison.table()]
    return "\n".join(
        [
            f"## Shadow version {comparison.version} against the champion on live traffic",
            "",
            comparison.verdict(),
            "",
            "| on the same transactions | champion | shadow |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _at_budget(scored: Scored, alert_budget: float) -> Metrics:
    # The threshold that flags exactly the budget: each has its own.
    reviewed = ranked_within(scored, alerts_within(scored, alert_budget))
    flagged = scored.probability >= scored.probability[reviewed[-1]]
    return evaluate(scored, flagged, alert_budget)


def _log_odds(probability: Floats) -> Floats:
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(inside / (1 - inside)))
