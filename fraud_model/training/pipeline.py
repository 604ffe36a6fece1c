"""The training run from data to registered version: check, split, fit, evaluate, log, register."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from fraud_model.data.dataset import Dataset, load_dataset
from fraud_model.data.download import public
from fraud_model.data.split import Parts, split
from fraud_model.data.table import show
from fraud_model.data.time_span import question_time_span
from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.holdout import Holdout, log_holdout
from fraud_model.evaluation.learned import Learned
from fraud_model.evaluation.slices import check_slices, named
from fraud_model.evaluation.threshold import decide, parse_policy, parse_risk_bounds
from fraud_model.model.flavor import log_detector
from fraud_model.registry import versions
from fraud_model.registry.files import CODE_DIGEST
from fraud_model.registry.kept_scores import keep_scores
from fraud_model.tracking import git_commit, log_parameters
from fraud_model.training import run_log
from fraud_model.training.card import write_card
from fraud_model.training.config import TrainingConfig
from fraud_model.training.fit import fit, refit
from fraud_model.training.fraud_rates import question_fraud_rates
from fraud_model.training.hand_over import HandOver, check_hand_over
from fraud_model.training.known_rows import make_known_rows
from fraud_model.training.place import Place, opened
from fraud_model.training.result import TrainingResult


@dataclass(frozen=True)
class Trained:
    """A version of a registered model, and the result it was made from."""

    name: str
    version: str
    result: TrainingResult

    @property
    def label(self) -> str:
        """What the version is called."""
        return f"{self.name} version {self.version}"


def train(config: TrainingConfig) -> Trained:
    """Trains inside the active run and registers a version; registering is the last step.

    Raises:
        DataError: the table cannot be trained on.
        TrainingError: the model is no better than a plain baseline.
        ClusterError: the cluster that it was to be fitted on cannot be used, or loses a worker.
    """
    # Before anything is read, which may take long, for a cluster that cannot be used.
    with opened(config.cluster) as place:
        result = _fit_and_evaluate(config, place)
    slices = run_log.log_slices(result, named(config.slices))
    print("drawing plots and logging the run")
    run_log.log_result(result)
    learned = Learned.of(
        result.dataset.table, result.parts, result.dataset.columns, refitted=result.refitted
    )
    learned.log()
    _log_holdout(config, result, learned)
    commit = git_commit()
    card = write_card(config.model_name, result, slices, commit)
    run_log.log_card(card)
    run_log.log_origin(result, commit)
    tags = run_log.version_tags(result) | learned.tags()
    profile = result.profile()
    known_rows = make_known_rows(result.detector, profile, result.dataset.table)
    model, digest = log_detector(result.detector, known_rows, card, profile, tags)
    print(f"registering a version of {config.model_name}")
    version = versions.register(
        config.model_name,
        model.model_id,
        model.run_id,
        description=run_log.version_description(result),
        tags={**run_log.shown_tags(result), **tags, CODE_DIGEST: digest},
    )
    trained = Trained(config.model_name, str(version.version), result)
    run_log.name_version(trained.label, card)
    return trained


def _log_holdout(config: TrainingConfig, result: TrainingResult, learned: Learned) -> None:
    own = result.scored["holdout"]
    holdout = Holdout(result.parts.holdout, result.dataset.columns, own.days, result.genuine_weight)
    if config.keep_holdout:
        log_holdout(holdout)
        return
    flagged = result.decision.flags(own.probability, own.amounts)
    keep_scores(config.model_name, holdout, own, flagged, learned, config.alert_budget)


def read_transactions(config: TrainingConfig) -> Dataset:
    """The transactions that a configuration names, and what was found out about their columns.

    Raises:
        DataError: the table cannot be trained on.
    """
    print(f"reading transactions (data={public(config.data)})")
    dataset = load_dataset(
        config.data,
        target=config.target,
        time=config.time_column,
        amount=config.amount_column,
        label_rule=config.label_rule,
        rules=config.column_rules,
        query=config.query,
        beside=named(config.slices),
    )
    print(*dataset.notes, show(dataset.described), sep="\n")
    return dataset


def _fit_and_evaluate(config: TrainingConfig, place: Place) -> TrainingResult:
    hyperparameters = config.hyperparameters
    dataset = read_transactions(config)
    check_slices(named(config.slices), dataset.columns)
    parts = split(dataset, config.split, hyperparameters.seed)
    weight = dataset.genuine_weight(config.fraud_rate)
    own = asdict(config)
    log_parameters({**own.pop("hyperparameters"), **own})
    run_log.log_data(dataset, parts, weight)
    columns, policy = dataset.columns, parse_policy(config.threshold)
    warnings = _questions(dataset, parts, config)
    print(f"fitting {hyperparameters.rounds} rounds on {len(parts.train):,} transactions")
    fitted = fit(parts.train, parts.validation, columns, hyperparameters, weight, place)
    warnings += [fitted.leaks.message()] if fitted.leaks else []
    warnings += [fitted.doubt] if fitted.doubt else []
    *_, calibration = fitted.detector.parts
    holdout_log_odds = place.raw_scores(fitted.detector, parts.holdout)
    probabilities = {
        "validation": fitted.validation_probability,
        "holdout": calibration.probability(holdout_log_odds),
    }
    scored = {
        name: Scored.from_part(
            parts.named()[name],
            columns,
            probability,
            seconds=parts.seconds[name],
            days=parts.days[name],
            genuine_weight=weight,
        )
        for name, probability in probabilities.items()
    }
    bounds = parse_risk_bounds(config.risk_bounds)
    decision = decide(policy, calibration, scored["validation"], columns.amount, bounds)
    detector = fitted.detector.with_decision(decision)
    hand_over: tuple[HandOver, ...] = ()
    known = np.full(len(dataset.table), np.nan)
    for name, part in scored.items():
        known[parts.places[name]] = part.probability
    if config.refit:
        print("checking how calibration and decision carry over to a model of more rows")
        hand_over = check_hand_over(
            dataset, parts, fitted, holdout_log_odds, hyperparameters, policy, weight, place
        )
        print(f"fitting the model to serve on all {len(dataset.table):,} transactions")
        detector, log_odds = refit(
            dataset.table, columns, hyperparameters, detector, fitted.rounds, place
        )
        known = decision.probability(log_odds)
    return TrainingResult(
        dataset=dataset,
        parts=parts,
        fitted=fitted,
        detector=detector,
        policy=policy,
        alert_budget=config.alert_budget,
        genuine_weight=weight,
        scored=scored,
        table_probability=known,
        metrics={
            name: evaluate(
                part, decision.flags(part.probability, part.amounts), config.alert_budget
            )
            for name, part in scored.items()
        },
        hand_over=hand_over,
        warnings=tuple(warnings),
    )


def _questions(dataset: Dataset, parts: Parts, config: TrainingConfig) -> list[str]:
    """What is odd about a table, for somebody to look at."""
    columns = dataset.columns
    times = dataset.seconds
    counts = {
        name: (int(part[columns.target].sum()), len(part)) for name, part in parts.named().items()
    }
    found = [question_fraud_rates(counts)]
    if columns.time is not None and times is not None:
        unit = "s" if config.time_unit == "auto" else config.time_unit
        found.append(question_time_span(columns.time, times, None if columns.has_dates else unit))
    return [question for question in found if question]
