"""Training on a Dask cluster: the same model but for noise, and an error instead of a hang."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import Client, LocalCluster, Lock

from fraud_model.data.dataset import load_dataset
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME
from fraud_model.data.split import split
from fraud_model.errors import ClusterError, NotInstalled, ParameterError
from fraud_model.evaluation.intervals import paired_difference
from fraud_model.registry import versions
from fraud_model.tracking import open_run
from fraud_model.training.cluster import connection
from fraud_model.training.cluster.fitting import LOCK
from fraud_model.training.cluster.watch import Needed, Watch
from fraud_model.training.cluster.workers import Worker, check_memory
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.fit import fit
from fraud_model.training.inputs import fit_inputs
from fraud_model.training.pipeline import train
from fraud_model.training.place import HERE, opened
from tests.support.columns import inferred
from tests.support.dask_cluster import DaskCluster, dask_cluster, kill_worker
from tests.support.environment import REPOSITORY
from tests.support.project import Project
from tests.support.store import Store
from tests.support.typed_table import AMOUNT, FRAUD, TARGET, TIME, typed_table
from tests.support.waiting import wait_until

# More than a fit ever comes to here.
ENDLESS = "100000"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@dataclass(frozen=True)
class Training:
    """`python -m entrypoints.train` in the background, and the file with what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, words: str) -> None:
        def seen() -> bool:
            assert words in self.said or self.process.poll() is None, self.said
            return words in self.said

        wait_until(seen, what=words)


@pytest.fixture
def train_with(project: Project, tmp_path: Path) -> Iterator[Callable[..., Training]]:
    """Starts a training with these options; whatever is left of it ends with the test."""
    started = []

    def start(*options: str) -> Training:
        log = tmp_path / "train.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "entrypoints.train", *options],
                cwd=tmp_path,
                env={**project.environment, "PYTHONPATH": str(REPOSITORY)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        return Training(process, log)

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def assert_failed_and_registered_nothing() -> None:
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert [run.info.status for run in runs] == ["FAILED"]
    assert versions.newest_versions("fraud-detector", 1) == []


@pytest.mark.slow
def test_a_version_trained_on_a_cluster_is_that_of_one_machine_but_for_noise(
    cluster: DaskCluster, train_with: Callable[..., Training], transactions_csv: Path
) -> None:
    with Client(cluster.address, set_as_default=False) as client:
        # As another training has it while it fits.
        lock = Lock(LOCK, client.scheduler, client.loop)
        lock.acquire()
        training = train_with(
            *("--data", str(transactions_csv), "--cluster", cluster.address, "--rounds", "100")
        )
        training.wait_for("another training fits on this cluster: waiting until it has")
        assert "round 50" not in training.said
        lock.release()
    assert training.process.wait(300) == 0, training.said
    assert f"cluster {cluster.address}: 2 workers with 2 threads" in training.said
    assert "Local rank: 0, total number of machines: 2" in cluster.logs
    assert "Local rank: 1, total number of machines: 2" in cluster.logs

    version = mlflow.MlflowClient().get_model_version("fraud-detector", "1")
    assert mlflow.get_run(version.run_id).data.params["cluster"] == cluster.address
    detector = mlflow.pyfunc.load_model("models:/fraud-detector/1").unwrap_python_model()
    booster, *_ = detector.parts
    assert "127.0.0.1" not in booster.model_to_string()

    dataset = load_dataset(
        str(transactions_csv), target=DEFAULT_TARGET, time=DEFAULT_TIME, amount=DEFAULT_AMOUNT
    )
    parts = split(dataset, "time", 0)
    few = Hyperparameters(rounds=100)
    alone = fit(parts.train, parts.validation, dataset.columns, few).detector
    labels = parts.holdout[DEFAULT_TARGET].to_numpy()
    scores = [each.probability(parts.holdout) for each in (detector.evaluation_detector(), alone)]
    assert (scores[0] != scores[1]).any()
    difference = paired_difference(labels, *scores, times=parts.seconds["holdout"])
    assert difference.low <= 0 <= difference.high


@pytest.mark.slow
def test_boosters_of_a_cluster_are_plain_ones_and_the_same_each_time(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    typed_table().to_csv(tmp_path / "typed.csv", index=False)
    dataset = load_dataset(
        str(tmp_path / "typed.csv"),
        target=TARGET,
        time=TIME,
        amount=AMOUNT,
        rules=ColumnRules(fraud=FRAUD),
    )
    labels = dataset.table[TARGET].to_numpy()
    inputs = fit_inputs(dataset.table, dataset.columns)
    encoder, scaled = inputs.encoder, inputs.scaled
    assert encoder.categorical
    seeds = [Hyperparameters(rounds=20, seed=seed) for seed in (0, 1)]
    texts = []
    for place in (cluster.address, cluster.address, ""):
        with opened(place) as where, where.hold(scaled, labels, encoder) as rows:
            boosters = [rows.train(each, 20, keep=True) for each in seeds]
            raw = [each.predict(scaled, raw_score=True) for each in boosters]
            # Each row's own, in order.
            assert rows.log_odds(boosters) == pytest.approx(np.mean(raw, axis=0), abs=1e-9)
            assert where.log_odds(boosters[0], scaled) == pytest.approx(raw[0], abs=1e-9)
            *_, (last, traced) = where.log_odds_by_round(boosters[0], scaled, 7)
            assert last == 20
            assert traced == pytest.approx(raw[0], abs=1e-9)
        texts.append([each.model_to_string() for each in boosters])
    first, again, alone = texts
    assert first == again
    assert "\nnum_cat=1\n" in first[0] or "\nnum_cat=2\n" in first[0]
    for ours, plain in zip(first, alone, strict=True):
        lines = [
            {line for line in text.splitlines() if line.startswith(("[", "feature_names"))}
            for text in (ours, plain)
        ]
        assert lines[0] ^ lines[1] == {"[tree_learner: data]", "[tree_learner: serial]"}


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_fit_and_leaves_a_cluster_that_works(
    cluster: DaskCluster,
    train_with: Callable[..., Training],
    table: pd.DataFrame,
    table_csv: Path,
) -> None:
    training = train_with(
        "--data", str(table_csv), "--cluster", cluster.address, "--rounds", ENDLESS
    )
    training.wait_for(f"round 50 of {ENDLESS}")
    kill_worker(cluster.started[1])
    assert training.process.wait(120) == 1
    assert "error: the cluster lost the worker tcp://127.0.0.1:" in training.said
    assert_failed_and_registered_nothing()
    # The other one would spin for ever, had it not been restarted.
    cluster.wait_for(2)
    few, half = Hyperparameters(rounds=20), len(table) // 2
    with opened(cluster.address) as place:
        fit(table[:half], table[half:], inferred(table), few, place=place)


@pytest.mark.slow
def test_work_of_a_killed_worker_is_not_waited_for(cluster: DaskCluster) -> None:
    # LightGBM's sockets may tell its other processes or not; Dask alone never says so.
    with Client(cluster.address, set_as_default=False) as client, Watch.of(client) as watch:
        address, *_ = client.scheduler_info(n_workers=-1)["workers"]
        (pid,) = client.run(os.getpid, workers=[address]).values()
        endless = client.submit(time.sleep, 1e6, workers=[address], pure=False)
        needed = Needed([address], watch.lost)
        threading.Timer(1, os.kill, (pid, signal.SIGKILL)).start()
        with pytest.raises(ClusterError, match=f"lost the worker {address}") as ended:
            watch.call(lambda: endless.result(timeout=30), needed)
        # At once, and not because the time was up.
        assert ended.value.__cause__ is None
        endless.cancel()
    cluster.wait_for(2)


@pytest.mark.slow
@pytest.mark.long
def test_interrupted_it_leaves_no_process_behind(
    train_with: Callable[..., Training], table_csv: Path
) -> None:
    training = train_with("--data", str(table_csv), "--cluster", "local:2", "--rounds", ENDLESS)
    training.wait_for(f"round 50 of {ENDLESS}")
    # Nothing else than what this project says, and a worker does not import.
    assert "LightGBM]" not in training.said
    started = psutil.Process(training.process.pid).children(recursive=True)
    assert len(started) >= 2
    training.process.send_signal(signal.SIGINT)
    assert training.process.wait(120) == 130, training.said
    assert "Traceback" not in training.said
    assert psutil.wait_procs(started, timeout=60)[1] == []
    assert_failed_and_registered_nothing()


@pytest.mark.slow
def test_workers_with_another_lightgbm_are_refused(cluster: DaskCluster, tmp_path: Path) -> None:
    about = tmp_path / "lightgbm-4.5.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lightgbm\nVersion: 4.5.0\n")
    old = cluster.start_worker(PYTHONPATH=str(tmp_path))
    cluster.wait_for(3)
    match = r"has LightGBM 4\.5\.0, and this process 4\.[67]"
    with pytest.raises(ClusterError, match=match), opened(cluster.address):
        pass
    old.terminate()
    cluster.wait_for(2)


def test_a_scheduler_without_workers_is_refused() -> None:
    empty = LocalCluster(
        n_workers=0, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    )
    address, match = empty.scheduler_address, f"dask worker {empty.scheduler_address}"
    with empty, pytest.raises(ClusterError, match=match), opened(address):
        pass


def test_a_scheduler_that_does_not_answer_fails_the_run(
    store: Store, table_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    config = TrainingConfig(str(table_csv), model_name="never", cluster="tcp://127.0.0.1:9")
    with (
        pytest.raises(ClusterError, match=r"cluster=tcp://127\.0\.0\.1:9 does not answer"),
        open_run("train") as run,
    ):
        train(config)
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"
    assert versions.newest_versions("never", 1) == []


def test_a_table_that_does_not_fit_in_a_workers_memory_is_refused() -> None:
    small, large = Worker("tcp://small:1", 1, 1e9, True), Worker("tcp://large:1", 1, None, True)
    check_memory([small, large], 3_000_000, 30)
    with pytest.raises(ClusterError, match=r"tcp://small:1 .* 1\.0 GiB are needed .* 2,000,000"):
        check_memory([small, large], 4_000_000, 30)


@pytest.mark.parametrize("bad", ["local", "local:0", "local:-1", "host:8786", "tcp://host", "2"])
def test_an_address_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(ParameterError, match=r"local:2"):
        TrainingConfig(cluster=bad)


def test_early_stopping_is_refused_on_a_cluster() -> None:
    with pytest.raises(ParameterError, match=r"early_stopping_rounds=10 .* cluster=local:2"):
        TrainingConfig(cluster="local:2", hyperparameters=Hyperparameters(early_stopping_rounds=10))


def test_without_dask_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python's own way to say that there is no such package.
    monkeypatch.setitem(sys.modules, "distributed", None)
    match = r"pip install -r requirements-dask\.txt"
    with pytest.raises(NotInstalled, match=match), opened("local:2"):
        pass
    with opened("") as place:
        assert place is HERE
