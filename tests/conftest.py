"""What several tests need: tables of transactions, and a tracking store of their own."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from fraud_model.data.simulation import simulate
from fraud_model.registry.export import export
from fraud_model.registry.moves import move
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train
from tests.support.environment import SAMPLE_VARIABLE
from tests.support.project import Project, project_in
from tests.support.server import Server, serving
from tests.support.store import Store
from tests.support.typed_table import export_typed, typed_table


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """Simulated transactions, few and rich in frauds, so that a model fits in a second."""
    return simulate(rows=8_000, frauds=400, seed=2)


@pytest.fixture(scope="session")
def table_csv(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated transactions as a CSV file."""
    path = tmp_path_factory.mktemp("data") / "transactions.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def sample_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real transactions, for tests that assert their metrics; skipped if they are missing."""
    folder = os.environ.get(SAMPLE_VARIABLE)
    if not folder:
        pytest.skip(f"{SAMPLE_VARIABLE} does not name the folder with creditcard_sample.csv.gz")
    path = tmp_path_factory.mktemp("sample") / "creditcard.csv"
    with gzip.open(Path(folder) / "creditcard_sample.csv.gz") as packed, path.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    return path


@pytest.fixture(scope="session")
def transactions_csv(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The columns of creditcard.csv: real transactions where they are here, else simulated ones."""
    if os.environ.get(SAMPLE_VARIABLE):
        real: Path = request.getfixturevalue("sample_csv")
        return real
    path = tmp_path_factory.mktemp("simulated") / "creditcard.csv"
    simulate(rows=14_772, frauds=307, seed=7).to_csv(path, index=False)
    return path


def pytest_configure() -> None:
    """Makes tests and the processes that they start the same on every machine.

    A shell without job control starts what it puts in the background with SIGINT ignored, and
    children inherit that. Python may keep compiled code in the versions that are loaded, and tests
    look at all that a version holds.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says at the end what the tests ran on."""
    if not os.environ.get(SAMPLE_VARIABLE):
        terminalreporter.write_line(
            f"{SAMPLE_VARIABLE} is not set: the tests ran on simulated transactions. Those that "
            "assert metrics of real ones were skipped."
        )


@pytest.fixture(scope="session")
def store(table_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that tests share; each takes a model name of its own from it."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder}/mlflow.db"
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_TRACKING_URI", uri)
    # Artifacts of a SQLite store go to ./mlruns.
    patch.chdir(folder)
    mlflow.set_tracking_uri(uri)
    with open_run("train"):
        trained = train(
            TrainingConfig(data=str(table_csv), hyperparameters=Hyperparameters(rounds=60))
        )
    yield Store(uri, trained)
    patch.undo()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The project as its user runs it, with a store of its own."""
    with project_in(tmp_path) as project:
        yield project


@pytest.fixture
def run(store: Store) -> Iterator[str]:
    """An active run in the shared store; its id."""
    with open_run("test") as active:
        yield active.info.run_id


@pytest.fixture(scope="session")
def exported(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared model as an exported directory."""
    output = tmp_path_factory.mktemp("exported") / "model"
    name = store.new_model()
    move(name, "1", "Production")
    export(name, "Production", output)
    return output


@pytest.fixture(scope="session")
def typed_exported(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of `typed_table`, whose columns are texts, dates, booleans and gaps, exported."""
    return export_typed(typed_table(), "typed", tmp_path_factory.mktemp("typed"))


@pytest.fixture(scope="session")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the shared model that tests may query and not change."""
    with serving(tmp_path_factory.mktemp("server"), "--model-uri", str(exported)) as running:
        yield running
