"""Whether tuning pays on a table, and what its bookkeeping costs.

    python3.11 -m venv .bench && . .bench/bin/activate
    pip install -r requirements.txt -r benchmarks/requirements.txt
    python -m benchmarks.tune data/creditcard.csv --fraud-rate 0.00172

Takes any table that `train` takes, with the same `--target`, `--time-unit`, `--fraud-rate` and so
on. One study for each seed, as `tune` makes it, in a store that is thrown away. Prints Markdown
tables:

- the gain of tuned over default hyperparameters by seed: on the folds that the winner was chosen
  by, on folds that a trial was not chosen by, and on the holdout, with 95 % intervals;
- seconds of a trial, those of its fits without study and run, and how much more the former are:
  medians over all trials, and quartiles;
- milliseconds that a study of so many trials takes to be read, once for each proposal and once for
  each fold: from Optuna's own database, and from MLflow's `MlflowStorage`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import mlflow
import optuna
from mlflow.optuna.storage import MlflowStorage
from optuna.trial import FrozenTrial, TrialState

from benchmarks.quality_table import parser_of_table
from fraud_model.data.dataset import Dataset
from fraud_model.data.split import split
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import read_transactions
from fraud_model.tuning.folds import Folds, prepare_folds
from fraud_model.tuning.measure import Measured, measure
from fraud_model.tuning.outcome import Outcome, shown
from fraud_model.tuning.search import Search, pruner, sampler
from fraud_model.tuning.space import Space, default_space
from fraud_model.tuning.storage import open_study
from fraud_model.tuning.trial_runs import TrialRuns, scores_of

READS = 5


def main() -> None:
    """Runs a study for each seed and prints the tables."""
    parser = parser_of_table(__doc__)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3, help="studies, of seeds 0, 1 and so on")
    arguments = parser.parse_args()
    config = TrainingConfig(
        data=str(arguments.table.resolve()),
        target=arguments.target,
        time_column=arguments.time,
        amount_column=arguments.amount,
        exclude=arguments.exclude,
        time_unit=arguments.time_unit,
        fraud_rate=arguments.fraud_rate,
    )
    dataset = read_transactions(config)
    gains, costs = [], []
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        for seed in range(arguments.seeds):
            outcome, seconds = study(dataset, config, seed, arguments)
            gains.append((seed, outcome))
            costs += seconds
        print(*gain_rows(gains), "", *cost_rows(costs), "", *read_rows(arguments.trials), sep="\n")


def study(
    dataset: Dataset, config: TrainingConfig, seed: int, arguments: argparse.Namespace
) -> tuple[Outcome, list[tuple[float, float]]]:
    """What came of one study, and by trial its seconds and those of its fits alone.

    Each trial is followed by its fits alone, so that both meet the machine in one mood.
    """
    parts = split(dataset, config.split, seed)
    weight = dataset.genuine_weight(config.fraud_rate)
    categories = any(f.kind == "category" for f in dataset.columns.described.values())
    space = default_space(Hyperparameters(seed=seed), categories=categories)
    folds = prepare_folds(dataset, parts, arguments.folds, seed, weight)
    with mlflow.start_run() as run:
        opened = open_study(f"sqlite:///{Path.cwd()}/studies.db", f"{seed}", {}, run.info.run_id)
        opened.study.sampler, opened.study.pruner = sampler(seed, first=True), pruner()
        measured = Measured(opened.study, dataset, parts, folds, space, weight)
        measured.try_defaults_first()
        search = Search(opened.study, TrialRuns(opened.parent, space), folds, space, 0)
        seconds = []
        for trials in range(1, arguments.trials + 1):
            start = time.perf_counter()
            replace(search, trials=trials).run(0)
            searched = time.perf_counter() - start
            start = time.perf_counter()
            fit_again(opened.study.trials[-1], folds, space)
            seconds.append((searched, time.perf_counter() - start))
        return measure(measured, config, 0), seconds


def fit_again(trial: FrozenTrial, folds: Folds, space: Space) -> None:
    """The fits and scores of a trial, and nothing else."""
    hyperparameters = space.hyperparameters(trial.params)
    for fold in folds.prepared[: len(scores_of(trial))]:
        fold.score(hyperparameters, lambda _: None)


def gain_rows(gains: Iterable[tuple[int, Outcome]]) -> Iterable[str]:
    """The table of gains."""
    yield (
        "| seed | default | tuned | gain where chosen | gain elsewhere | holdout, default | "
        "gain on the holdout | tuned is |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for seed, outcome in gains:
        verdict = outcome.verdict
        yield (
            f"| {seed} | {verdict.on_folds.default:.4f} | {verdict.on_folds.tuned:.4f} | "
            f"{shown(verdict.on_folds.difference)} | {shown(verdict.elsewhere.difference)} | "
            f"{verdict.on_holdout.default:.4f} | {shown(verdict.on_holdout.difference)} | "
            f"{verdict.standing} |"
        )


def cost_rows(costs: list[tuple[float, float]]) -> Iterable[str]:
    """The table of what bookkeeping costs."""
    more = [searched - bare for searched, bare in costs]
    shares = [100 * extra / bare for extra, (_, bare) in zip(more, costs, strict=True)]
    low, _, high = statistics.quantiles(shares, n=4)
    searched, bare = (statistics.median(side) for side in zip(*costs, strict=True))
    yield "| trial, s | its fits alone, s | bookkeeping, s | % of the fits | quartiles |"
    yield "|---|---|---|---|---|"
    yield (
        f"| {searched:.2f} | {bare:.2f} | {statistics.median(more):.2f} | "
        f"{statistics.median(shares):.1f} | {low:.1f} to {high:.1f} |"
    )


def read_rows(trials: int) -> Iterable[str]:
    """The table of what reading a study costs, by where it lives."""
    experiment = mlflow.create_experiment("reading")
    storages: dict[str, optuna.storages.BaseStorage] = {
        "Optuna's database": optuna.storages.RDBStorage(f"sqlite:///{Path.cwd()}/reading.db"),
        "`MlflowStorage`": MlflowStorage(experiment),
    }
    yield "| where the study lives | read once, ms |"
    yield "|---|---|"
    for name, storage in storages.items():
        filled = optuna.create_study(storage=storage, direction="maximize")
        for number in range(trials):
            trial = filled.ask()
            trial.suggest_float("x", 0, 1)
            trial.report(number, 1)
            filled.tell(trial, number, state=TrialState.COMPLETE)
        seconds = []
        for _ in range(READS):
            start = time.perf_counter()
            filled.get_trials(deepcopy=False)
            seconds.append(time.perf_counter() - start)
        yield f"| {name} | {1000 * statistics.median(seconds):.1f} |"


if __name__ == "__main__":
    main()
