"""Champion against challenger: the gate's checks, both models' figures, and both curves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from sklearn.metrics import precision_recall_curve

from fraud_model.errors import RegistryError
from fraud_model.evaluation.bootstrap import Interval, paired_difference
from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.holdout import read_holdout
from fraud_model.evaluation.plots import draw_comparison
from fraud_model.monitoring import shadow_comparison
from fraud_model.monitoring.shadow_comparison import ShadowComparison
from fraud_model.registry.gate import Champion, Check, GateThresholds, predict, run_gate, table, uri
from fraud_model.training.card import SHOWN

MARKDOWN_FILE = "comparison.md"
JSON_FILE = "comparison.json"
CURVES_FILE = "curves.png"
# Where the curves of the Markdown are read, as shares of the frauds.
RECALLS = tuple(np.round(np.arange(0.1, 1.0, 0.1), 1))


@dataclass(frozen=True)
class Comparison:
    """What is known of a challenger beside the champion, on the challenger's holdout.

    `figures` and `scored` have the key `challenger`, and `champion` where one could be scored.
    `difference` is the challenger's average precision minus the champion's, with its interval.
    `live` is what the challenger did as the champion's shadow, where a log tells.
    """

    challenger: str
    champion: str
    checks: list[Check]
    scored: dict[str, Scored]
    figures: dict[str, dict[str, float]]
    difference: Interval | None
    live: ShadowComparison | None = None

    @property
    def better(self) -> bool:
        """Whether the challenger passes the gate and ranks better than the champion, if any."""
        passed = all(check.passed for check in self.checks)
        return passed and (self.difference is None or self.difference.value > 0)

    @property
    def verdict(self) -> str:
        """One sentence: better or not, and why."""
        failed = [check.name for check in self.checks if not check.passed]
        if failed:
            return f"{self.challenger} does not pass the gate: {'; '.join(failed)}."
        if self.difference is None:
            return f"{self.challenger} passes the gate, and no champion can be scored beside it."
        better = "better than" if self.better else "no better than"
        return (
            f"{self.challenger} is {better} the champion, {self.champion}: average precision "
            f"{self.difference.value:+.4f} [{self.difference.low:+.4f}, "
            f"{self.difference.high:+.4f}]."
        )


def compare(
    challenger: ModelVersion, champion: Champion | None, thresholds: GateThresholds
) -> Comparison:
    """Runs the gate, and measures both models on the challenger's holdout.

    Raises:
        RegistryError: the challenger or its holdout cannot be read.
    """
    checks = run_gate(challenger, champion, thresholds)
    holdout, columns = read_holdout(challenger)
    scored: dict[str, Scored] = {}
    figures: dict[str, dict[str, float]] = {}
    addresses = {"challenger": uri(challenger)} | ({"champion": champion.uri} if champion else {})
    for role, address in addresses.items():
        try:
            answered = predict(address, holdout, columns)
        except (MlflowException, OSError, RegistryError):
            # The gate has a line about a champion that cannot be scored.
            if role == "challenger":
                raise
            continue
        probability = answered["fraud_probability"].to_numpy()
        scored[role] = Scored.from_part(holdout, columns, probability)
        # Each is flagged by its own threshold.
        flagged = answered["is_fraud"].to_numpy()
        threshold = float(probability[flagged].min()) if flagged.any() else 1.0
        figures[role] = evaluate(scored[role], threshold, thresholds.alert_budget)
    difference = None
    if "champion" in scored:
        mine, theirs = scored["challenger"], scored["champion"]
        difference = paired_difference(mine.labels, mine.probability, theirs.probability)
    return Comparison(
        challenger=f"{challenger.name} version {challenger.version}",
        champion=champion.label if champion else "none",
        checks=checks,
        scored=scored,
        figures=figures,
        difference=difference,
    )


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes the comparison as Markdown, JSON and a picture of both precision-recall curves."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKDOWN_FILE).write_text(markdown(comparison))
    content = {
        "challenger": comparison.challenger,
        "champion": comparison.champion,
        "better": comparison.better,
        "verdict": comparison.verdict,
        "difference": asdict(comparison.difference) if comparison.difference else None,
        "figures": comparison.figures,
        "checks": [asdict(check) for check in comparison.checks],
        "live": comparison.live.summary() if comparison.live else None,
    }
    (folder / JSON_FILE).write_text(json.dumps(content, indent=1) + "\n")
    draw_comparison(comparison.scored).savefig(folder / CURVES_FILE, dpi=100)


def markdown(comparison: Comparison) -> str:
    """Verdict, figures side by side, checks, and the curves as a Mermaid chart."""
    figures = comparison.figures
    roles = list(figures)
    rows = [
        f"| {label} | " + " | ".join(f"{figures[role][key]:,.4f}" for role in roles) + " |"
        for key, label in SHOWN
        if key in figures["challenger"]
    ]
    return "\n".join(
        [
            f"## {comparison.challenger} against the champion, {comparison.champion}",
            "",
            comparison.verdict,
            "",
            f"| on the challenger's holdout | {' | '.join(roles)} |",
            "|---|" + "---|" * len(roles),
            *rows,
            "",
            table(comparison.checks),
            "",
            *_chart(comparison.scored),
            *([shadow_comparison.markdown(comparison.live)] if comparison.live else []),
        ]
    )


def _chart(scored: dict[str, Scored]) -> list[str]:
    curves = {role: _precision_at(part) for role, part in scored.items()}
    lines = [f"  line [{', '.join(f'{p:.3f}' for p in curve)}]" for curve in curves.values()]
    return [
        "```mermaid",
        "xychart-beta",
        f'  title "Precision by recall: {", then ".join(curves)}"',
        f'  x-axis "recall" [{", ".join(f"{recall:g}" for recall in RECALLS)}]',
        '  y-axis "precision" 0 --> 1',
        *lines,
        "```",
        "",
    ]


def _precision_at(scored: Scored) -> npt.NDArray[np.float64]:
    """The best precision that is left at each of `RECALLS`."""
    precision, recall, _ = precision_recall_curve(scored.labels, scored.probability)
    return np.array([precision[recall >= least].max() for least in RECALLS])
