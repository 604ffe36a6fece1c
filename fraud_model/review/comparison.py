"""Champion against challenger: the gate's checks, both models' metrics, and both curves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion

from fraud_model.evaluation.plots import draw_comparison
from fraud_model.model.metrics import shown_rows
from fraud_model.monitoring import shadow_comparison
from fraud_model.monitoring.shadow_comparison import ShadowComparison
from fraud_model.registry.candidate import Candidate, HoldoutResult
from fraud_model.registry.gate import GateResult, GateThresholds, run_gate, table

MARKDOWN_FILE = "comparison.md"
JSON_FILE = "comparison.json"
CURVES_FILE = "curves.png"


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
        """The results of `challenger` and `champion`; without those that cannot be scored."""
        both = {"challenger": self.gate.challenger, "champion": self.gate.champion}
        return {role: side for role, side in both.items() if side is not None}

    @property
    def better(self) -> bool:
        """Whether the challenger passes the gate and ranks better than the champion, if any."""
        difference = self.gate.difference
        return not self.gate.failed and (difference is None or difference.value > 0)

    @property
    def verdict(self) -> str:
        """One sentence: better or not, and why."""
        difference = self.gate.difference
        if self.gate.failed:
            return f"{self.challenger} does not pass the gate: {'; '.join(self.gate.failed)}."
        if difference is None:
            return f"{self.challenger} passes the gate; there is no champion to compare it with."
        better = "better than" if self.better else "no better than"
        return (
            f"{self.challenger} is {better} the champion, {self.champion}: average precision "
            f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]."
        )


def compare(
    challenger: ModelVersion,
    champion: Candidate | None,
    thresholds: GateThresholds,
    live: ShadowComparison | None = None,
) -> Comparison:
    """Runs the gate on a challenger, and keeps what it measured.

    Raises:
        RegistryError: the challenger cannot be scored on its holdout, or the holdout is gone.
    """
    return Comparison(
        challenger=f"{challenger.name} version {challenger.version}",
        champion=champion.label if champion else "none",
        gate=run_gate(challenger, champion, thresholds),
        live=live,
    )


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes the comparison as Markdown, JSON and a plot of both precision-recall curves."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKDOWN_FILE).write_text(markdown(comparison))
    gate = comparison.gate
    content = {
        "challenger": comparison.challenger,
        "champion": comparison.champion,
        "better": comparison.better,
        "verdict": comparison.verdict,
        "difference": asdict(gate.difference) if gate.difference else None,
        "metrics": {role: side.metrics.by_name() for role, side in comparison.sides.items()},
        "thresholds": {role: side.threshold for role, side in comparison.sides.items()},
        "checks": [asdict(check) for check in gate.checks],
        "live": comparison.live.summary() if comparison.live else None,
    }
    (folder / JSON_FILE).write_text(json.dumps(content, indent=1) + "\n")
    if comparison.sides:
        curves = draw_comparison({role: side.scored for role, side in comparison.sides.items()})
        curves.savefig(folder / CURVES_FILE, dpi=100)


def markdown(comparison: Comparison) -> str:
    """Verdict, metrics side by side, and checks."""
    sides = comparison.sides
    lines = [
        f"## {comparison.challenger} against the champion, {comparison.champion}",
        "",
        comparison.verdict,
        "",
    ]
    if sides:
        thresholds = " | ".join(f"{side.threshold:.4g}" for side in sides.values())
        lines += [
            f"| on the challenger's holdout | {' | '.join(sides)} |",
            "|---|" + "---|" * len(sides),
            f"| threshold | {thresholds} |",
            *shown_rows([side.metrics for side in sides.values()]),
            "",
        ]
    lines += [table(comparison.gate.checks), ""]
    if comparison.live:
        lines.append(shadow_comparison.markdown(comparison.live))
    return "\n".join(lines)
