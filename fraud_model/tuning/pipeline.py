"""The tuning run: read, split, cut folds, search, measure the winner, report, register."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import mlflow
import optuna
from optuna.trial import TrialState

from fraud_model.data.dataset import Dataset
from fraud_model.data.split import split
from fraud_model.stores import without_credentials
from fraud_model.tracking import active_run_id, log_parameters, open_run
from fraud_model.training import run_log
from fraud_model.training.config import TrainingConfig
from fraud_model.training.pipeline import Trained, read_transactions, train
from fraud_model.tuning.config import TuningConfig
from fraud_model.tuning.folds import prepare_folds
from fraud_model.tuning.measure import Measured, measure
from fraud_model.tuning.outcome import Outcome
from fraud_model.tuning.report import log_outcome
from fraud_model.tuning.search import Search, pruner, sampler
from fraud_model.tuning.space import Space, default_space, read_space
from fraud_model.tuning.storage import Opened, address_of, naming_database, open_study
from fraud_model.tuning.trial_runs import TrialRuns

# What changes what a trial is measured on.
SETTINGS = ("split", "label_delay", "unlabelled", "fraud_rate", "time_column", "time_unit")


@dataclass(frozen=True)
class Tuned:
    """What came of a tuning run; no outcome where another process is still at the study."""

    study: str
    outcome: Outcome | None
    registered: Trained | None


def tune(config: TrainingConfig, asked: TuningConfig) -> Tuned:
    """Searches inside the active run, and registers the winner if asked to.

    Raises:
        DataError: the table cannot be trained on, or not be cut into folds.
        ParameterError: the space or the study cannot be used.
        TrainingError: the minutes were over before a trial was complete.
    """
    own = active_run_id()
    given = asdict(config)
    seed = given.pop("hyperparameters")["seed"]
    own_parameters = {**asdict(asked), "storage": without_credentials(asked.storage)}
    log_parameters({**given, "seed": seed, **own_parameters})
    space = read_space(asked.space, config.hyperparameters) if asked.space else None
    address = address_of(asked.storage)
    dataset = read_transactions(config)
    parts = split(dataset, config.split, seed)
    weight = dataset.genuine_weight(config.fraud_rate)
    run_log.log_data(dataset, parts, weight)
    if space is None:
        categories = any(f.kind == "category" for f in dataset.columns.described.values())
        space = default_space(config.hyperparameters, categories=categories)
    print(f"cutting {asked.folds} folds of the train and validation part")
    folds = prepare_folds(dataset, parts, asked.folds, seed, weight)
    about = _about(dataset, config, asked, space)
    name = asked.study or f"{about['table']}-{_digest(about)}"
    with naming_database(address):
        opened = open_study(address, name, about, own)
        runs = TrialRuns(opened.parent, space)
        measured = Measured(opened.study, dataset, parts, folds, space, weight)
        with _resumed(opened.parent, own):
            outcome = _search(opened, runs, measured, config, asked)
    registered = _register(outcome) if asked.register and outcome is not None else None
    return Tuned(name, outcome, registered)


def _search(
    opened: Opened,
    runs: TrialRuns,
    measured: Measured,
    config: TrainingConfig,
    asked: TuningConfig,
) -> Outcome | None:
    study, seed = opened.study, config.hyperparameters.seed
    study.sampler, study.pruner = sampler(seed, first=opened.new), pruner()
    if opened.new:
        measured.try_defaults_first()
    elif opened.parent == active_run_id():
        # The run that they lay under is gone.
        runs.rebuild(study)
    _say(study, asked)
    search = Search(study, runs, measured.folds, measured.space, asked.trials)
    if not search.run(asked.minutes):
        return None
    print("measuring the winner beside the defaults")
    outcome = measure(measured, config, asked.minutes)
    log_outcome(opened.parent, study, outcome, seed)
    return outcome


def _register(outcome: Outcome) -> Trained:
    print(f"training with the hyperparameters of trial {outcome.winner}")
    with open_run("train"):
        trained = train(outcome.config)
    mlflow.MlflowClient().set_model_version_tag(
        trained.name, trained.version, "tuned", outcome.verdict.standing
    )
    return trained


def _about(
    dataset: Dataset, config: TrainingConfig, asked: TuningConfig, space: Space
) -> dict[str, str]:
    """What a study is a study of; trials of anything else do not compare."""
    settings = {name: getattr(config, name) for name in SETTINGS}
    settings |= {"folds": asked.folds, "seed": config.hyperparameters.seed}
    return {
        "table": _digest([dataset.digest, list(dataset.columns.features)]),
        "configuration": _digest(settings),
        "space": _digest(asdict(space)),
    }


def _say(study: optuna.Study, asked: TuningConfig) -> None:
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    done = len(study.get_trials(deepcopy=False, states=states))
    limit = f" or {asked.minutes:g} minutes" if asked.minutes else ""
    so_far = f"; {done} are there already" if done else ""
    print(f"study {study.study_name}: until it has {asked.trials} trials{limit}{so_far}")


@contextmanager
def _resumed(parent: str, own: str) -> Iterator[None]:
    """Takes up the run of an earlier process, and ends it as that process would have."""
    if parent == own:
        yield
        return
    client = mlflow.MlflowClient()
    mlflow.set_tag("study_run", parent)
    print(f"the trials lie under the run that began the study: {parent}")
    client.update_run(parent, "RUNNING")
    try:
        yield
    except BaseException:
        client.set_terminated(parent, "FAILED")
        raise
    client.set_terminated(parent, "FINISHED")


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
