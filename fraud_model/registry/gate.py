"""The gate in front of a stage: each check with its value and what is required."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mlflow.entities.model_registry import ModelVersion

from fraud_model.commands import mlflow_run
from fraud_model.errors import ModelFailed, RegistryError
from fraud_model.evaluation.holdout import read_holdout, read_scores
from fraud_model.evaluation.intervals import Interval
from fraud_model.registry import decision_checks
from fraud_model.registry.candidate import Candidate, HoldoutResult
from fraud_model.registry.champions import earlier_champions
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.knowledge import Knowledge
from fraud_model.registry.other_direction import collapse_of_champion, on_trusted_rows
from fraud_model.registry.pairing import Bench, Pair, Untold
from fraud_model.registry.smoke import smoke_test
from fraud_model.registry.verdict import (
    DIFFERENCE,
    Verdict,
    against_champion,
    against_earlier,
    champion_check,
)
from fraud_model.registry.versions import Stage


@dataclass(frozen=True)
class Opponents:
    """Whom a challenger is held against: the champion, if any, and those that stood before it.

    `compared` is False where somebody said that the champion is no measure (`champion=none`).
    """

    champion: Candidate | None = None
    earlier: Sequence[Candidate] = ()
    compared: bool = True

    @classmethod
    def in_stage(
        cls,
        champion: ModelVersion | None,
        challenger: ModelVersion,
        stage: Stage,
        compared: bool,
    ) -> Opponents:
        """The champion of a stage, and those that the ledger names before it.

        Raises:
            RegistryError: a tag of the champion cannot be read.
        """
        if champion is None:
            return cls(compared=compared)
        others = (str(challenger.version), str(champion.version))
        earlier = earlier_champions(challenger.name, stage, *others) if compared else []
        return cls(Candidate.registered(champion), earlier, compared)


@dataclass(frozen=True)
class GateResult:
    """The checks, and what was measured for them.

    `challenger` is its evaluation model on its own holdout, None where it does not even load.
    `pair` is both models on the rows that neither has learned from, and `verdict` what follows;
    None where there is no champion, or none that can be scored. `notes` are no checks.
    """

    checks: list[Check]
    challenger: HoldoutResult | None = None
    pair: Pair | None = None
    verdict: Verdict | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [check.name for check in self.checks if not check.passed]

    @property
    def difference(self) -> Interval | None:
        """The challenger's average precision minus the champion's."""
        return None if self.pair is None else self.pair.difference


def run_gate(
    challenger: ModelVersion, opponents: Opponents, thresholds: GateThresholds
) -> GateResult:
    """Runs every check on a challenger, even after one has failed, so that all are seen.

    Where its run kept no rows, the scores that it kept are taken.

    Raises:
        RegistryError: the challenger cannot be scored on its holdout, or the holdout is gone.
    """
    candidate = Candidate.registered(challenger)
    loads = smoke_check(candidate)
    checks = [loads, _provenance(candidate, opponents.champion)]
    if not loads.passed:
        return GateResult(checks)
    label = f"{candidate.label} of {challenger.name}"
    bench = _bench(Knowledge(candidate), label, thresholds)
    untold = _not_compared(candidate, opponents)
    if opponents.champion is None or untold is not None:
        value = untold or "no champion"
        own = bench.score(candidate, "evaluation")
        floors = decision_checks.floors(own, thresholds)
        return GateResult([*checks, *floors, Check(DIFFERENCE, value, "", True)], own)
    earlier = [Knowledge(one) for one in opponents.earlier]
    judged = judge(bench, Knowledge(opponents.champion), earlier)
    return replace(judged, checks=[*checks, *judged.checks])


def _not_compared(challenger: Candidate, opponents: Opponents) -> str | None:
    champion = opponents.champion
    if not opponents.compared:
        return "not compared: champion=none was given"
    if champion and champion.data_kind == "simulated" and challenger.data_kind == "real":
        return f"not compared: {champion.label} was trained on simulated data"
    return None


def judge(bench: Bench, champion: Knowledge, earlier: Sequence[Knowledge]) -> GateResult:
    """The checks that need scores, of the challenger whose holdout is on the bench.

    Raises:
        RegistryError: the challenger cannot be scored on its holdout.
    """
    mine, thresholds = bench.own, bench.thresholds
    own = bench.score(mine.candidate, "evaluation")
    checks = decision_checks.floors(own, thresholds)
    try:
        # Whether it can be scored at all comes before what it has learned.
        bench.score(champion.candidate, "evaluation")
        pair = bench.compare(mine, champion)
        verdict = against_champion(pair, mine, champion, thresholds)
        note = collapse_of_champion(pair, champion)
        collapsed = note is not None
        trusted = on_trusted_rows(mine, champion, thresholds, verdict.standing, collapsed)
    except ModelFailed as error:
        return GateResult([*checks, _broken_champion(champion.candidate, error)], own)
    except RegistryError as error:
        return GateResult([*checks, Check(DIFFERENCE, str(error), "", False)], own)
    checks += [champion_check(verdict, pair), trusted]
    if isinstance(pair, Pair):
        checks += [
            decision_checks.against_champion(pair, thresholds.tolerance),
            decision_checks.workload_against_champion(pair, thresholds.alert_budget),
        ]
    checks.append(against_earlier(bench, mine, earlier, thresholds.tolerance))
    return GateResult(
        checks,
        own,
        None if isinstance(pair, Untold) else pair,
        verdict,
        [] if note is None else [note],
    )


def smoke_check(candidate: Candidate) -> Check:
    """Whether a model loads in a process of its own, and scores its known rows as recorded."""
    tried = smoke_test(candidate.uri)
    return Check("loads and scores known rows", tried.text, "as recorded", tried.passed)


def _bench(own: Knowledge, label: str, thresholds: GateThresholds) -> Bench:
    run_id = own.candidate.run_id
    return Bench(own, thresholds, read_scores(run_id, label) or read_holdout(run_id, label))


def _broken_champion(champion: Candidate, error: ModelFailed) -> Check:
    value = (
        f"the champion, {champion.label}, cannot be compared: {error}. Put the version before it "
        f"back with {mlflow_run('rollback')}, or let the challenger in without a comparison: "
        "-P champion=none"
    )
    return Check(DIFFERENCE, value, "", False)


def _provenance(challenger: Candidate, champion: Candidate | None) -> Check:
    mine = challenger.data_kind
    theirs = champion.data_kind if champion else "no champion"
    return Check(
        "trained on real data if the champion was",
        f"{mine} after {theirs}",
        "not simulated after real",
        not (mine != "real" and theirs == "real"),
    )
