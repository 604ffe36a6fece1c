"""The training run from data to registered version: check, split, fit, measure, log, register."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import pandas as pd

from fraud_model import record, registry
from fraud_model.card import write_card
from fraud_model.data import load_dataset
from fraud_model.errors import ParameterError
from fraud_model.evaluation import Scored, evaluate
from fraud_model.measured import Measured
from fraud_model.packaging import log_detector
from fraud_model.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME, Columns
from fraud_model.split import split
from fraud_model.threshold import choose_threshold, parse_policy
from fraud_model.tracking import git_commit, log_parameters
from fraud_model.training import Recipe, fit

KNOWN_ROWS_PER_CLASS = 5


@dataclass(frozen=True)
class Request:
    """What a training run is asked to do; the fields are the entry point's parameters."""

    data: str = "auto"
    target: str = DEFAULT_TARGET
    time_column: str = DEFAULT_TIME
    amount_column: str = DEFAULT_AMOUNT
    split: str = "time"
    threshold: str = "f1"
    alert_budget: float = 100.0
    model_name: str = registry.DEFAULT_MODEL_NAME
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        parse_policy(self.threshold)
        registry.check_model_name(self.model_name)
        if not self.alert_budget > 0:
            raise ParameterError(f"alert_budget={self.alert_budget}: it is more than 0 a day.")


@dataclass(frozen=True)
class Trained:
    """A version of a registered model, and what was measured on the way to it."""

    name: str
    version: str
    measured: Measured


def train(request: Request) -> Trained:
    """Trains inside the active run and registers a version; registering is the last step.

    Raises:
        DataError: the table cannot be trained on.
        TrainingError: the model is not worth registering.
    """
    measured = _measure(request)
    record.log_measured(measured)
    commit = git_commit()
    card = write_card(request.model_name, measured, commit)
    record.log_card(card)
    tags = record.version_tags(measured, commit)
    known_rows = _known_rows(measured.parts.holdout, measured.dataset.columns)
    model = log_detector(measured.detector, known_rows, card, measured.profile(), tags)
    version = registry.register(
        request.model_name,
        model.model_id,
        model.run_id,
        description=record.version_description(measured),
        tags=tags,
    )
    return Trained(request.model_name, str(version.version), measured)


def _measure(request: Request) -> Measured:
    dataset = load_dataset(
        request.data,
        target=request.target,
        time=request.time_column,
        amount=request.amount_column,
    )
    seed = request.recipe.seed
    parts = split(dataset, request.split, seed)
    parameters = asdict(request)
    log_parameters({**parameters, **parameters.pop("recipe")})
    record.log_data(dataset, parts)
    fitted = fit(parts.train, parts.validation, dataset.columns, request.recipe)
    scored = {
        name: Scored.from_part(part, dataset.columns, probability)
        for name, part, probability in (
            ("validation", parts.validation, fitted.validation_probability),
            ("holdout", parts.holdout, fitted.detector.probability(parts.holdout)),
        )
    }
    policy = parse_policy(request.threshold)
    threshold = choose_threshold(policy, scored["validation"])
    return Measured(
        dataset=dataset,
        parts=parts,
        fitted=fitted,
        detector=fitted.detector.with_threshold(threshold),
        policy=policy,
        threshold=threshold,
        alert_budget=request.alert_budget,
        scored=scored,
        figures={
            name: evaluate(part, threshold, request.alert_budget, seed)
            for name, part in scored.items()
        },
    )


def _known_rows(holdout: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    target = holdout[columns.target]
    chosen = [holdout[target == label].head(KNOWN_ROWS_PER_CLASS) for label in (0, 1)]
    return pd.concat(chosen, ignore_index=True)[list(columns.features)]
