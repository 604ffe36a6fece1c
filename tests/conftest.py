"""What several tests need: tables of transactions, and a tracking store of their own."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
import pytest

from fraud_model import registry
from fraud_model.export import export
from fraud_model.pipeline import Request, Trained, train
from fraud_model.simulation import simulate
from fraud_model.tracking import open_run
from fraud_model.training import Recipe

if TYPE_CHECKING:
    from tests.server import Server

REPOSITORY = Path(__file__).parents[1]
SAMPLE_VARIABLE = "FRAUD_SAMPLE_DATA"


def own_environment(**more: str) -> dict[str, str]:
    """Environment variables for a process that shares no run or experiment with this one.

    `mlflow.set_experiment` puts the experiment into the environment, and so into child processes.
    """
    return {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | more


def copy_checkout(folder: Path) -> None:
    """Copies the files that a clone of this work tree would have."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)


def has_docker() -> bool:
    """Whether there is an engine to build and run images with; its command alone is not enough."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


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
    """Real transactions; skipped where FRAUD_SAMPLE_DATA does not name their folder."""
    folder = os.environ.get(SAMPLE_VARIABLE)
    if not folder:
        pytest.skip(f"{SAMPLE_VARIABLE} does not name the folder with creditcard_sample.csv.gz")
    path = tmp_path_factory.mktemp("sample") / "creditcard.csv"
    with gzip.open(Path(folder) / "creditcard_sample.csv.gz") as packed, path.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    return path


@dataclass(frozen=True)
class Store:
    """A tracking store and registry in a folder, with one model logged in it."""

    uri: str
    trained: Trained

    def new_model(self, versions: int = 1, **tags: str) -> str:
        """Registers the logged model under a new name, as often as asked; returns the name."""
        name = f"model-{uuid.uuid4().hex[:8]}"
        for _ in range(versions):
            self.new_version(name, **tags)
        return name

    def new_version(self, name: str, model: Trained | None = None, /, **tags: str) -> str:
        """One more version of `name`: `model`'s files with the shared model's run and holdout."""
        client = mlflow.MlflowClient()
        original = client.get_model_version(self.trained.name, self.trained.version)
        model = model or self.trained
        version = registry.register(
            name,
            client.get_model_version(model.name, model.version).source.removeprefix("models:/"),
            original.run_id,
            description="a copy",
            tags={**original.tags, **tags},
        )
        return str(version.version)


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
        trained = train(Request(data=str(table_csv), recipe=Recipe(rounds=60)))
    yield Store(uri, trained)
    patch.undo()
    mlflow.set_tracking_uri(None)


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
    registry.move(name, "1", "Production")
    export(name, "Production", output)
    return output


@pytest.fixture(scope="session")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the shared model that tests may query and not change."""
    # Started late, because tests.server takes its environment from this module.
    from tests.server import serving

    with serving(tmp_path_factory.mktemp("server"), "--model-uri", str(exported)) as running:
        yield running
