"""A study as its user sees it: trials as runs, what came out, and what is left after a kill."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mlflow
import optuna
import pytest
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState

from entrypoints.tune import main
from fraud_model.data.simulation import simulate
from fraud_model.errors import NotInstalled, ParameterError, TrackingError, TrainingError
from fraud_model.tracking import open_run
from fraud_model.training.config import TrainingConfig
from fraud_model.tuning.config import TuningConfig
from fraud_model.tuning.pipeline import Tuned, tune
from tests.support.environment import REPOSITORY
from tests.support.project import Project
from tests.support.store import Store
from tests.support.waiting import wait_until

SPACE = """
learning_rate: {low: 0.05, high: 0.3, log: true}
num_leaves: {low: 4, high: 31}
rounds: [10, 20, 30]
"""
# Trials of seconds, so that one can be killed in its middle.
SLOW_SPACE = "num_leaves: {low: 16, high: 63}\nlearning_rate: {low: 0.01, high: 0.1}\nrounds: 300\n"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "space.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="module")
def asked(space: Path, tmp_path_factory: pytest.TempPathFactory) -> TuningConfig:
    folder = tmp_path_factory.mktemp("studies")
    return TuningConfig(
        trials=6, folds=3, space=str(space), storage=f"sqlite:///{folder}/studies.db"
    )


@pytest.fixture(scope="module")
def config(table_csv: Path) -> TrainingConfig:
    return TrainingConfig(data=str(table_csv))


@pytest.fixture(scope="module")
def tuned(store: Store, config: TrainingConfig, asked: TuningConfig) -> tuple[Tuned, str]:
    """A study of six trials, and the run that they lie under."""
    with open_run("tune") as run:
        return tune(config, asked), run.info.run_id


def nested(parent: str) -> list[Run]:
    """The runs of trials under a run, by their number."""
    found = mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.`mlflow.parentRunId` = '{parent}'",
        output_format="list",
    )
    return sorted(found, key=lambda run: int(run.data.tags.get("trial", -1)))


def trials_of(storage: str) -> list[FrozenTrial]:
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


def test_every_trial_is_a_run_with_parameters_and_a_metric_of_each_fold(
    tuned: tuple[Tuned, str], asked: TuningConfig
) -> None:
    runs = nested(tuned[1])
    assert [run.data.tags["trial"] for run in runs] == [str(n) for n in range(asked.trials)]
    for run in runs:
        assert set(run.data.params) == {"learning_rate", "num_leaves", "rounds"}
        metrics = run.data.metrics
        assert metrics["duration_seconds"] > 0
        pruned = run.data.tags["trial_state"] == "pruned"
        assert run.info.status == ("KILLED" if pruned else "FINISHED")
        scored = [metrics[key] for key in metrics if key.startswith("fold_")]
        assert metrics["folds_scored"] == len(scored) == (2 if pruned else 3)
        assert ("average_precision" in metrics) != pruned
        if not pruned:
            assert metrics["average_precision"] == pytest.approx(sum(scored) / 3)


def test_the_parent_shows_how_the_search_went_and_what_came_out(tuned: tuple[Tuned, str]) -> None:
    result, parent = tuned
    client = mlflow.MlflowClient()
    pictures = {Path(item.path).name for item in client.list_artifacts(parent, "plots")}
    assert pictures == {"optimisation_history.png", "parameter_importance.png"}
    run = client.get_run(parent)
    outcome = result.outcome
    assert outcome is not None
    assert outcome.command in run.data.tags["mlflow.note.content"]
    for part in ("on_folds", "elsewhere", "on_holdout"):
        low, value, high = (
            run.data.metrics[f"{part}/difference{end}"] for end in ("_low", "", "_high")
        )
        assert low <= value <= high
    # Rounds below 31 leave the defaults out of the space; they are measured all the same.
    assert run.data.metrics["on_folds/average_precision_of_defaults"] > 0.5
    assert ("defaults are recommended" in outcome.text()) == (outcome.verdict.standing != "better")


def test_the_same_command_goes_on_and_repeats_nothing(
    store: Store, config: TrainingConfig, asked: TuningConfig, tuned: tuple[Tuned, str]
) -> None:
    before = trials_of(asked.storage)
    with open_run("tune") as run:
        again = tune(config, replace(asked, trials=8))
    assert again.study == tuned[0].study
    trials = trials_of(asked.storage)
    assert [trial.params for trial in trials[:6]] == [trial.params for trial in before]
    assert len({tuple(trial.params.items()) for trial in trials}) == len(trials) == 8
    # All under the run that began it.
    assert len(nested(tuned[1])) == 8
    assert nested(run.info.run_id) == []
    assert mlflow.get_run(run.info.run_id).data.tags["study_run"] == tuned[1]
    assert mlflow.get_run(tuned[1]).info.status == "FINISHED"


def test_a_study_of_another_table_or_space_is_refused(
    store: Store, config: TrainingConfig, asked: TuningConfig, tuned: tuple[Tuned, str]
) -> None:
    other = replace(asked, study=tuned[0].study, folds=2)
    with open_run("tune"), pytest.raises(ParameterError, match="a different configuration"):
        tune(config, other)


def test_a_database_that_cannot_be_used_is_named(
    store: Store, config: TrainingConfig, asked: TuningConfig
) -> None:
    with open_run("tune"), pytest.raises(TrackingError, match=r"sqlite:////nowhere/studies\.db"):
        tune(config, replace(asked, storage="sqlite:////nowhere/studies.db"))


def test_the_minutes_cut_off_the_trial_that_is_running(
    store: Store, config: TrainingConfig, asked: TuningConfig
) -> None:
    with open_run("tune") as run, pytest.raises(TrainingError, match="no trial was complete"):
        tune(config, replace(asked, study="short", minutes=0.0001))
    assert all(each.info.status == "FAILED" for each in nested(run.info.run_id))


def test_without_optuna_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python's own way to say that there is no such package.
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(sys, "argv", ["tune"])
    with pytest.raises(NotInstalled, match=r"pip install -r requirements-tune\.txt"):
        main()


@pytest.mark.slow
def test_tune_register_and_train_with_the_command(
    project: Project, table_csv: Path, space: Path
) -> None:
    said = project.run(
        *("-e", "tune", "-P", f"data={table_csv}", "-P", "trials=3", "-P", "folds=2"),
        *("-P", f"space={space}", "-P", "register=true", "-P", "model_name=tuned"),
    )
    assert "tuned version 1, trained on real data" in said
    (command,) = [line for line in said.splitlines() if "-e train" in line and "-P rounds=" in line]
    words = shlex.split(command)
    project.run(*words[words.index("-e") :][:2], *words[words.index("-P") :])
    client = mlflow.MlflowClient()
    first, second = (client.get_model_version("tuned", number) for number in ("1", "2"))
    assert first.tags["tuned"] in ("better", "not distinguishable", "worse")
    # The same hyperparameters, trees and decision.
    for tag in ("threshold", "holdout_average_precision", "caught"):
        assert first.tags[tag] == second.tags[tag]


@pytest.mark.slow
def test_killed_and_shared_by_two_processes_a_study_has_as_many_trials_as_asked(
    project: Project, tmp_path: Path
) -> None:
    table = tmp_path / "transactions.csv"
    simulate(rows=8_000, frauds=400, seed=5).to_csv(table, index=False)
    (tmp_path / "space.yaml").write_text(SLOW_SPACE)
    storage = f"sqlite:///{tmp_path}/studies.db"
    command = [
        *(sys.executable, "-m", "entrypoints.tune", "--data", str(table), "--trials", "7"),
        *("--folds", "3", "--space", str(tmp_path / "space.yaml")),
    ]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**project.environment, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def both_are_at_work() -> bool:
        runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
        return sum("trial" in run.data.tags for run in runs) >= 3

    # MLflow itself cannot make a store in two processes at once.
    assert not both_are_at_work()
    # Both make the study.
    killed, survivor = start(), start()
    wait_until(both_are_at_work, what="the third trial runs")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    together = [survivor, start()]
    said = [process.communicate()[0] for process in together]
    assert [process.returncode for process in together] == [0, 0], said

    trials = trials_of(storage)
    # One that both began at once, where the other was the last, has no parameters.
    states = Counter(trial.state for trial in trials if trial.params)
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == 7
    assert not states[TrialState.RUNNING]
    drawn = [tuple(trial.params.items()) for trial in trials if len(trial.params) > 1]
    assert len(set(drawn)) == len(drawn)
    # The last one reported.
    assert sum("recommended" in text for text in said) >= 1
    (parent,) = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.study LIKE '%'",
        output_format="list",
    )
    runs = nested(parent.info.run_id)
    status = Counter(run.info.status for run in runs)
    assert status["FINISHED"] + status["KILLED"] == 7
    # None, where it was killed between two trials.
    assert status["FAILED"] == states[TrialState.FAIL] <= 1
    assert not status["RUNNING"]
    assert parent.info.status == "FINISHED"
