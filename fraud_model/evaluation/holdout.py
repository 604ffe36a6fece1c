"""The holdout of a training run, kept with the run so that versions are compared on it.

A run keeps either the rows, or what was scored of them: labels, amounts, and the probabilities of
its own version and of the champions at that time.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import mlflow
import mlflow.artifacts
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fraud_model.arrays import Floats
from fraud_model.data.schema import Columns
from fraud_model.errors import RegistryError
from fraud_model.evaluation.evaluate import Scored

FOLDER = "holdout"
ROWS_FILE = "transactions.parquet"
COLUMNS_FILE = "columns.json"
SCORES_FILE = "scores.parquet"
SCORED_FILE = "scored.json"
LABEL, AMOUNT = "label", "amount"
OWN = "own"


@dataclass(frozen=True)
class KeptScores:
    """The probabilities that a detector gave a holdout, shape (rows,), and its threshold."""

    probability: Floats
    threshold: float


@dataclass(frozen=True)
class ScoredHoldout:
    """What a run kept instead of rows; `champions` are by address, `models:/name/version`."""

    own: Scored
    threshold: float
    champions: dict[str, KeptScores]

    def scored_by(self, champion: str) -> tuple[Scored, float] | None:
        """The holdout as a champion scored it, and its threshold; None where it did not."""
        kept = self.champions.get(champion)
        if kept is None:
            return None
        return replace(self.own, probability=kept.probability), kept.threshold


def log_holdout(holdout: pd.DataFrame, columns: Columns) -> None:
    """Stores the holdout and the meaning of its columns as artifacts of the active run."""
    with tempfile.TemporaryDirectory() as folder:
        holdout.to_parquet(Path(folder) / ROWS_FILE, index=False)
        (Path(folder) / COLUMNS_FILE).write_text(json.dumps(asdict(columns), indent=1))
        mlflow.log_artifacts(folder, FOLDER)


def log_scores(scored: Scored, threshold: float, champions: Mapping[str, KeptScores]) -> None:
    """Stores what was scored of the holdout, and no rows, as artifacts of the active run."""
    columns = {LABEL: scored.labels, OWN: scored.probability}
    if scored.amounts is not None:
        columns[AMOUNT] = scored.amounts
    columns |= {champion: kept.probability for champion, kept in champions.items()}
    thresholds = {champion: kept.threshold for champion, kept in champions.items()}
    about = {"days": scored.days, "threshold": threshold, "champions": thresholds}
    with tempfile.TemporaryDirectory() as folder:
        pd.DataFrame(columns).to_parquet(Path(folder) / SCORES_FILE, index=False)
        (Path(folder) / SCORED_FILE).write_text(json.dumps(about, indent=1))
        mlflow.log_artifacts(folder, FOLDER)


def read_scores(version: ModelVersion) -> ScoredHoldout | None:
    """What the run that trained a version kept instead of rows; None where it kept no such thing.

    Raises:
        RegistryError: it cannot be read.
    """
    try:
        kept = mlflow.MlflowClient().list_artifacts(version.run_id, FOLDER)
    except (MlflowException, OSError):
        # Whoever asks for the rows then is told what is wrong.
        return None
    if not any(file.path.endswith(f"/{SCORES_FILE}") for file in kept):
        return None
    with _downloaded(version) as folder:
        table = pd.read_parquet(folder / SCORES_FILE)
        about = json.loads((folder / SCORED_FILE).read_text())
    return ScoredHoldout(
        own=Scored(
            labels=table[LABEL].to_numpy(),
            probability=table[OWN].to_numpy(),
            amounts=table[AMOUNT].to_numpy() if AMOUNT in table else None,
            days=about["days"],
        ),
        threshold=about["threshold"],
        champions={
            champion: KeptScores(table[champion].to_numpy(), threshold)
            for champion, threshold in about["champions"].items()
        },
    )


def read_holdout(version: ModelVersion) -> tuple[pd.DataFrame, Columns]:
    """The holdout of the run that trained a model version, and its columns.

    Raises:
        RegistryError: the run or its holdout is gone.
    """
    with _downloaded(version) as folder:
        rows = pd.read_parquet(folder / ROWS_FILE)
        columns = json.loads((folder / COLUMNS_FILE).read_text())
    return rows, Columns(
        target=columns["target"],
        features=tuple(columns["features"]),
        time=columns["time"],
        amount=columns["amount"],
        ignored=tuple(columns["ignored"]),
    )


@contextmanager
def _downloaded(version: ModelVersion) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(
                mlflow.artifacts.download_artifacts(
                    run_id=version.run_id, artifact_path=FOLDER, dst_path=folder
                )
            )
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"version {version.version} of {version.name}: the holdout of its run "
            f"{version.run_id} cannot be read ({str(error).splitlines()[0]}). Train it again."
        ) from error
