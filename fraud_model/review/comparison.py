"""Champion against challenger: the gate's checks, both models' metrics, and both curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mlflow.entities.model_registry import ModelVersion

from fraud_model.evaluation.intervals import Interval, metric_interval
from fraud_model.evaluation.plots import draw_comparison
from fraud_model.model.metrics import shown_rows
from fraud_model.monitoring import shadow_comparison
from fraud_model.monitoring.shadow_comparison import ShadowComparison
from fraud_model.registry.candidate import HoldoutResult
from fraud_model.registry.gate import GateResult, Opponents, run_gate
from fraud_model.registry.gate_thresholds import GateThresholds, table
from fraud_model.registry.verdict import shown

DECIDED: tuple[Literal["recall"], Literal["precision"]] = ("recall", "precision")
MARKDOWN_FILE = "comparison.md"
JSON_FILE = "comparison.json"
CURVES_FILE = "curves.png"
# Beside the Markdown file.
PICTURE = f"\n![Precision and recall of both models]({CURVES_FILE})\n"


@dataclass(frozen=True)
class Comparison:
    """What is known of a challenger beside the champion.

    `gate` holds what both reached on the challenger's holdout. `live` is what the challenger did
    as the champion's shadow, if a log was given.
    """

    challenger: str
    champion: str
    gate: GateResult
    live: ShadowComparison | None = None

    @property
    def sides(self) -> dict[str, HoldoutResult]:
        """The results of `challenger` and `champion`; without those that cannot be scored.

        Both are measured on the same rows; the challenger alone on its holdout.
        """
        pair, alone = self.gate.pair, self.gate.challenger
        if pair is not None:
            return {"challenger": pair.challenger, "champion": pair.champion}
        return {} if alone is None else {"challenger": alone}

    @property
    def better(self) -> bool:
        """Whether the challenger may replace the champion, or stand where there is none."""
        return not self.gate.failed

    @property
    def verdict(self) -> str:
        """One sentence: whether it may replace the champion, and why."""
        verdict = self.gate.verdict
        if verdict is None:
            if self.gate.failed:
                return f"{self.challenger} does not pass the gate: {'; '.join(self.gate.failed)}."
            return f"{self.challenger} passes the gate; there is no champion to compare it with."
        stands = {
            "better": "is better than the champion",
            "worse": "is worse than the champion",
            "not distinguishable": "is not distinguishable from the champion",
        }.get(verdict.standing, "cannot be compared with the champion")
        passes = "does not pass the gate" if self.gate.failed else "may replace it"
        failed = f" ({'; '.join(self.gate.failed)})" if self.gate.failed else ""
        difference = self.gate.difference
        by = f": average precision {shown(difference)}" if difference else ""
        return (
            f"{self.challenger} {stands}, {self.champion}{by}. It {passes}{failed}: "
            f"{verdict.reason}."
        )


def compare(
    challenger: ModelVersion,
    opponents: Opponents,
    thresholds: GateThresholds,
    live: ShadowComparison | None = None,
) -> Comparison:
    """Runs the gate on a challenger, and keeps what it measured.

    Raises:
        RegistryError: the challenger cannot be scored on its holdout, or the holdout is gone.
    """
    return Comparison(
        challenger=f"{challenger.name} version {challenger.version}",
        champion=opponents.champion.label if opponents.champion else "none",
        gate=run_gate(challenger, opponents, thresholds),
        live=live,
    )


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes the comparison as Markdown, JSON and a plot of both precision-recall curves."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = PICTURE if comparison.sides else ""
    (folder / MARKDOWN_FILE).write_text(f"{markdown(comparison)}{drawn}")
    gate = comparison.gate
    content = {
        "challenger": comparison.challenger,
        "champion": comparison.champion,
        "better": comparison.better,
        "verdict": comparison.verdict,
        "standing": gate.verdict.standing if gate.verdict else None,
        "difference": asdict(gate.difference) if gate.difference else None,
        "metrics": {role: side.metrics.by_name() for role, side in comparison.sides.items()},
        "decisions": {role: side.decision for role, side in comparison.sides.items()},
        "checks": [asdict(check) for check in gate.checks],
        "notes": gate.notes,
        "live": comparison.live.summary() if comparison.live else None,
    }
    (folder / JSON_FILE).write_text(json.dumps(content, indent=1) + "\n")
    if comparison.sides:
        curves = draw_comparison(
            {
                f"{role}: average precision {_average_precision(side)}": side.scored
                for role, side in comparison.sides.items()
            }
        )
        curves.savefig(folder / CURVES_FILE, dpi=100)


def _average_precision(side: HoldoutResult) -> str:
    known = side.metrics
    ends = f"[{known.average_precision_low:.3f}, {known.average_precision_high:.3f}]"
    return f"{known.average_precision:.3f} {ends}"


def _rows(sides: Sequence[HoldoutResult], difference: Interval | None) -> list[str]:
    """The metrics of each, and challenger minus champion where there are both."""
    intervals = []
    for side in sides:
        scored = side.scored
        own: dict[str, tuple[float, float]] = {}
        for metric in DECIDED:
            known = metric_interval(
                scored.labels,
                side.flagged,
                metric,
                times=scored.times,
                genuine_weight=scored.genuine_weight,
            )
            own[metric] = (known.low, known.high)
        intervals.append(own)
    rows = shown_rows(
        [side.metrics for side in sides], intervals=intervals, difference=len(sides) > 1
    )
    if difference is None:
        return rows
    # That of the average precision has an interval of its own, of the pair.
    first = rows[0].rsplit("|", 2)[0]
    paired = f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    return [f"{first}| {paired} |", *rows[1:]]


def markdown(comparison: Comparison) -> str:
    """Verdict, metrics side by side, and checks."""
    sides = comparison.sides
    lines = [
        f"## {comparison.challenger} against the champion, {comparison.champion}",
        "",
        comparison.verdict,
        "",
    ]
    lines += [text for note in comparison.gate.notes for text in (f"**{note}**", "")]
    if sides:
        pair = comparison.gate.pair
        heads = [*sides, "difference"] if len(sides) > 1 else [*sides]
        rows = f"{pair.text}" if pair else "the challenger's evaluation model on its holdout"
        lines += [
            f"| {rows} | {' | '.join(heads)} |",
            "|---|" + "---|" * len(heads),
            f"| flagged where | {' | '.join(side.decision for side in sides.values())} |"
            + "  |" * (len(heads) - len(sides)),
            *_rows(list(sides.values()), comparison.gate.difference),
            "",
            "In brackets: 95 % intervals.",
            "",
        ]
    lines += [table(comparison.gate.checks), ""]
    if comparison.live:
        lines.append(shadow_comparison.markdown(comparison.live))
    return "\n".join(lines)
