"""The gate in front of a stage: each check with its value and what is required."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlflow.entities.model_registry import ModelVersion

from fraud_model.errors import ModelFailed, ParameterError, RegistryError
from fraud_model.evaluation.bootstrap import Interval, paired_difference
from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.holdout import read_holdout, read_scores
from fraud_model.registry.candidate import Candidate, HoldoutResult
from fraud_model.registry.smoke import smoke_test

DIFFERENCE = "average precision, challenger - champion"


@dataclass(frozen=True)
class GateThresholds:
    """What a challenger must reach on its holdout.

    Attributes:
        min_accuracy: least accuracy, 0 to 1.
        min_average_precision: least average precision, 0 to 1.
        min_recall_at_budget: least recall at the alert budget, 0 to 1.
        tolerance: how much average precision it may lose against the champion at the lower end of
            the interval, 0 to 1.
        alert_budget: alerts a day that people can review, more than 0.
    """

    min_accuracy: float = 0.95
    min_average_precision: float = 0.5
    min_recall_at_budget: float = 0.1
    tolerance: float = 0.05
    alert_budget: float = 100.0

    def __post_init__(self) -> None:
        for name in ("min_accuracy", "min_average_precision", "min_recall_at_budget", "tolerance"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ParameterError(f"{name}={value} is invalid: expected a number from 0 to 1.")
        if not self.alert_budget > 0:
            raise ParameterError(
                f"alert_budget={self.alert_budget} is invalid: expected more than 0 alerts a day."
            )


@dataclass(frozen=True)
class Check:
    """One line of the gate: a value, what is required of it, and whether it passed."""

    name: str
    value: str
    required: str
    passed: bool


@dataclass(frozen=True)
class GateResult:
    """The checks, and what both models reached on the challenger's holdout.

    `challenger` is None where it does not even load; `champion` and `difference` are None where
    there is no champion, or none that can be scored. `difference` is the challenger's average
    precision minus the champion's, with its interval.
    """

    checks: list[Check]
    challenger: HoldoutResult | None = None
    champion: HoldoutResult | None = None
    difference: Interval | None = None

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if not check.passed]


def run_gate(
    challenger: ModelVersion, champion: Candidate | None, thresholds: GateThresholds
) -> GateResult:
    """Runs every check on a challenger, even after one has failed, so that all are seen.

    Champion and challenger are scored on the challenger's holdout, the newer one. Where its run
    kept no rows, the scores that it kept are taken.

    Raises:
        RegistryError: the challenger cannot be scored on its holdout, or the holdout is gone.
    """
    candidate = Candidate.registered(challenger)
    loads = smoke_check(candidate)
    checks = [loads, _provenance(candidate, champion)]
    if not loads.passed:
        return GateResult(checks)
    score = _scoring_on_holdout(challenger, thresholds.alert_budget)
    mine = score(candidate)
    metrics = mine.metrics
    budget = f"recall at {thresholds.alert_budget:g} alerts a day"
    checks += [
        _floor("accuracy", metrics.accuracy, thresholds.min_accuracy),
        _floor("average precision", metrics.average_precision, thresholds.min_average_precision),
        _floor(budget, metrics.recall_at_budget, thresholds.min_recall_at_budget),
    ]
    required = f"lower end >= -{thresholds.tolerance:g}"
    if champion is None:
        checks.append(Check(DIFFERENCE, "no champion", required, True))
        return GateResult(checks, mine)
    try:
        theirs = score(champion)
    except ModelFailed as error:
        # A champion that cannot score protects nobody; refusing would keep it in place.
        checks.append(Check(DIFFERENCE, f"champion, {champion.label}: {error}", required, True))
        return GateResult(checks, mine)
    except RegistryError as error:
        checks.append(Check(DIFFERENCE, str(error), required, False))
        return GateResult(checks, mine)
    labels = mine.scored.labels
    difference = paired_difference(labels, mine.scored.probability, theirs.scored.probability)
    checks.append(_no_worse(difference, required, thresholds.tolerance))
    return GateResult(checks, mine, theirs, difference)


def smoke_check(candidate: Candidate) -> Check:
    """Whether a model loads in a process of its own, and scores its known rows as recorded."""
    tried = smoke_test(candidate.uri)
    return Check("loads and scores known rows", tried.text, "as recorded", tried.passed)


def table(checks: Sequence[Check]) -> str:
    """The checks as a Markdown table."""
    rows = [("check", "value", "required", "")] + [
        (c.name, c.value, c.required, "passed" if c.passed else "FAILED") for c in checks
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _scoring_on_holdout(
    challenger: ModelVersion, alert_budget: float
) -> Callable[[Candidate], HoldoutResult]:
    kept = read_scores(challenger)
    if kept is None:
        holdout, columns = read_holdout(challenger)
        return lambda model: model.score(holdout, columns, alert_budget)

    def look_up(model: Candidate) -> HoldoutResult:
        if model.uri == Candidate.registered(challenger).uri:
            found: tuple[Scored, float] | None = (kept.own, kept.threshold)
        else:
            found = kept.scored_by(model.uri)
        if found is None:
            raise RegistryError(
                f"cannot be compared: version {challenger.version} was trained with "
                f"keep_holdout=false, so no holdout rows are left to score {model.label} on, and "
                "its training did not. Train again while that is the champion, or with "
                "-P keep_holdout=true"
            )
        scored, threshold = found
        return HoldoutResult(
            scored, threshold, evaluate(scored, scored.probability >= threshold, alert_budget)
        )

    return look_up


def _floor(name: str, value: float, least: float) -> Check:
    return Check(name, f"{value:.4f}", f">= {least:g}", value >= least)


def _provenance(challenger: Candidate, champion: Candidate | None) -> Check:
    mine = challenger.data_kind
    theirs = champion.data_kind if champion else "no champion"
    return Check(
        "trained on real data if the champion was",
        f"{mine} after {theirs}",
        "not simulated after real",
        not (mine != "real" and theirs == "real"),
    )


def _no_worse(difference: Interval, required: str, tolerance: float) -> Check:
    verdict = " better" if difference.low > 0 else ""
    value = f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]{verdict}"
    return Check(DIFFERENCE, value, required, difference.low >= -tolerance)
