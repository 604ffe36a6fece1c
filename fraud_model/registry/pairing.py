"""Two models on transactions that neither of them has learned from: like against like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fraud_model.arrays import Flags
from fraud_model.errors import RegistryError
from fraud_model.evaluation.holdout import Answers, Holdout, ScoredHoldout
from fraud_model.evaluation.intervals import Interval, paired_difference
from fraud_model.evaluation.learned import Which
from fraud_model.registry.candidate import Candidate, HoldoutResult
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.knowledge import Knowledge

MODELS: tuple[Which, ...] = ("served", "evaluation")


@dataclass(frozen=True)
class Pair:
    """What both models answered to the same transactions, unseen by either.

    `difference` is the challenger's average precision minus the champion's. `which` says whose
    models are compared: those that answer, or those that were measured.
    """

    challenger: HoldoutResult
    champion: HoldoutResult
    difference: Interval
    which: Which

    @property
    def text(self) -> str:
        """The pair, the rows and the frauds, for people."""
        metrics = self.challenger.metrics
        models = "served models" if self.which == "served" else "evaluation models"
        return f"{models}, {metrics.rows:,} rows, {metrics.frauds:,} frauds that neither learned"


@dataclass(frozen=True)
class Untold:
    """Why two models could not be compared."""

    reason: str


@dataclass
class Bench:
    """Scores models on a holdout, each of them once.

    `own` is the version whose run kept the holdout: its rows, or the answers to them.
    """

    own: Knowledge
    thresholds: GateThresholds
    holdout: Holdout | ScoredHoldout
    _scored: dict[tuple[str, Which], HoldoutResult] = field(default_factory=dict)
    _unseen: dict[tuple[str, Which], Flags] = field(default_factory=dict)

    def score(self, model: Candidate, which: Which) -> HoldoutResult:
        """A model on all rows.

        Raises:
            ModelFailed, RegistryError: as `Candidate.score`.
        """
        key = (model.uri, which)
        if key not in self._scored:
            self._scored[key] = self._score(model, which)
        return self._scored[key]

    def compare(self, challenger: Knowledge, champion: Knowledge) -> Pair | Untold:
        """Compares two models, one of which is the bench's own, on rows that neither has learned.

        The served models where at least `min_frauds` frauds are left, else the evaluation models.

        Raises:
            ModelFailed, RegistryError: as `Candidate.score`.
        """
        found = self.common(challenger, champion)
        if isinstance(found, Untold):
            return found
        which, unseen = found
        mine, theirs = (
            self.score(side.candidate, which).among(unseen, self.thresholds.alert_budget)
            for side in (challenger, champion)
        )
        scored = mine.scored
        difference = paired_difference(
            scored.labels,
            scored.probability,
            theirs.scored.probability,
            times=scored.times,
            genuine_weight=scored.genuine_weight,
        )
        return Pair(mine, theirs, difference, which)

    def common(self, challenger: Knowledge, champion: Knowledge) -> tuple[Which, Flags] | Untold:
        """Which of their models are compared, and on which rows, shape (rows,).

        Raises:
            RegistryError: the answers that were kept do not tell.
        """
        most = (0, 0)
        for which in MODELS:
            unseen = self._unseen_by_both(challenger, champion, which)
            if unseen is None:
                continue
            labels = self._labels[unseen]
            frauds = int(labels.sum())
            most = max(most, (frauds, len(labels)))
            if frauds >= self.thresholds.min_frauds and len(labels) - frauds >= frauds:
                return which, unseen
        return Untold(
            f"{most[0]} frauds in {most[1]:,} rows are known to be unseen by both; "
            f"at least {self.thresholds.min_frauds} are needed (min_frauds), among more genuine "
            "rows"
        )

    @property
    def _labels(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        if isinstance(self.holdout, ScoredHoldout):
            return self.holdout.own.labels
        return self.holdout.rows[self.holdout.columns.target].to_numpy()

    def _unseen_by_both(
        self, challenger: Knowledge, champion: Knowledge, which: Which
    ) -> Flags | None:
        if isinstance(self.holdout, Holdout):
            mine, theirs = (
                self._unseen_by(side, self.holdout, which) for side in (challenger, champion)
            )
            return mine & theirs
        other = champion if challenger is self.own else challenger
        answers = self._kept_of(other.candidate, self.holdout)
        found = answers.get((other.candidate.uri, which))
        return None if found is None else found.unseen

    def _unseen_by(self, side: Knowledge, holdout: Holdout, which: Which) -> Flags:
        key = (side.candidate.uri, which)
        if key not in self._unseen:
            # Hashing the rows takes longer than scoring them, and one side meets several others.
            self._unseen[key] = side.unseen(holdout.rows, holdout.columns, which)
        return self._unseen[key]

    def _score(self, model: Candidate, which: Which) -> HoldoutResult:
        budget = self.thresholds.alert_budget
        kept, own = self.holdout, self.own.candidate
        if isinstance(kept, Holdout):
            return model.score(kept, budget, which)
        if model.uri == own.uri:
            decision = own.facts.get("decision", "")
            return HoldoutResult.of(kept.own, kept.flagged, decision, budget)
        answers = self._kept_of(model, kept)[(model.uri, which)]
        scored = kept.scored_by(answers)
        decision = model.facts.get("decision", "its own decision")
        return HoldoutResult.of(scored, answers.flagged, decision, budget)

    def _kept_of(
        self, model: Candidate, kept: ScoredHoldout
    ) -> Mapping[tuple[str, Which], Answers]:
        if not any(uri == model.uri for uri, _ in kept.champions):
            raise RegistryError(
                f"cannot be compared: {self.own.candidate.label} was trained with "
                f"keep_holdout=false, so no holdout rows are left to score {model.label} on, and "
                "its training did not. Train again while that is the champion, or with "
                "-P keep_holdout=true"
            )
        return kept.champions
