"""The holdout of a run that keeps no rows: the champions of now are scored while they are here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from fraud_model.arrays import Flags
from fraud_model.errors import RegistryError
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.holdout import Answers, Holdout, log_scores
from fraud_model.evaluation.learned import Learned, Which
from fraud_model.registry import versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.champions import earlier_champions
from fraud_model.registry.knowledge import Knowledge
from fraud_model.registry.pairing import MODELS
from fraud_model.registry.versions import Stage


def keep_scores(
    name: str, holdout: Holdout, own: Scored, flagged: Flags, learned: Learned, alert_budget: float
) -> None:
    """Stores what the evaluation model and each champion of `name` answered to a holdout.

    `own` and `flagged` are the evaluation model's, and `learned` what the run's models learned.
    """
    kept: dict[tuple[str, Which], Answers] = {}
    # A refitted model has learned its holdout, so served models are never compared on it.
    models: tuple[Which, ...] = ("evaluation",) if learned.refitted else MODELS
    for champion in _champions(name):
        knowledge = Knowledge(champion)
        for which in models:
            try:
                result = champion.score(holdout, alert_budget, which)
            except RegistryError as error:
                print(f"{error}; its scores are not kept")
                break
            unseen = knowledge.unseen(holdout.rows, holdout.columns, which)
            unseen &= ~learned.seen(holdout.rows, holdout.columns, which)
            kept[champion.uri, which] = Answers(result.scored.probability, result.flagged, unseen)
    log_scores(own, flagged, kept)


def _champions(name: str) -> Iterable[Candidate]:
    """The champions of each stage, and those before them."""
    found: dict[str, Candidate] = {}
    for stage in get_args(Stage):
        standing = versions.current_version(name, stage)
        if standing is None:
            continue
        try:
            champion = Candidate.registered(standing)
        except RegistryError as error:
            print(f"{error}; its scores are not kept")
            continue
        found[champion.uri] = champion
        for earlier in earlier_champions(name, stage, str(standing.version)):
            found.setdefault(earlier.uri, earlier)
    return found.values()
