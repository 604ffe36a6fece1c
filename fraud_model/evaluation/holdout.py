"""The holdout of a training run, kept with the run so that versions are compared on it.

A run keeps either the rows, or what was answered to them: labels, amounts, and the probabilities
and flags of its own evaluation model and of the champions at that time.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import mlflow
import mlflow.artifacts
import pandas as pd
from mlflow.exceptions import MlflowException

from fraud_model.arrays import Flags, Floats
from fraud_model.data.columns import Columns
from fraud_model.errors import RegistryError
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.learned import Which

FOLDER = "holdout"
ROWS_FILE = "transactions.parquet"
COLUMNS_FILE = "columns.json"
SCORES_FILE = "scores.parquet"
SCORED_FILE = "scored.json"
LABEL, AMOUNT, SECONDS = "label", "amount", "seconds"
OWN, OWN_FLAGGED = "own", "own flagged"


@dataclass(frozen=True)
class Holdout:
    """Labelled transactions that a version was measured on, and the meaning of their columns.

    They stand for `days` of traffic; each genuine one stands for `genuine_weight` of them.
    """

    rows: pd.DataFrame
    columns: Columns
    days: float
    genuine_weight: float = 1.0

    def scored(self, probability: Floats) -> Scored:
        """The transactions with the probabilities that a detector gave them, shape (rows,)."""
        return Scored.from_part(
            self.rows,
            self.columns,
            probability,
            seconds=self.columns.seconds(self.rows),
            days=self.days,
            genuine_weight=self.genuine_weight,
        )


@dataclass(frozen=True)
class Answers:
    """What a detector answered to a holdout; arrays have shape (rows,).

    `unseen` marks the rows that neither it nor the holdout's own model has learned from.
    """

    probability: Floats
    flagged: Flags
    unseen: Flags


@dataclass(frozen=True)
class ScoredHoldout:
    """What a run kept instead of rows.

    `own` and `flagged` are those of its evaluation model. `champions` are by address,
    `models:/name/version`, and by which of its models answered.
    """

    own: Scored
    flagged: Flags
    champions: dict[tuple[str, Which], Answers]

    def scored_by(self, answers: Answers) -> Scored:
        """The holdout as a champion scored it."""
        return replace(self.own, probability=answers.probability)


def log_holdout(holdout: Holdout) -> None:
    """Stores the holdout and the meaning of its columns as artifacts of the active run."""
    about = {
        **asdict(holdout.columns),
        "days": holdout.days,
        "genuine_weight": holdout.genuine_weight,
    }
    with _for_owner_only(), tempfile.TemporaryDirectory() as folder:
        holdout.rows.to_parquet(Path(folder) / ROWS_FILE, index=False)
        (Path(folder) / COLUMNS_FILE).write_text(json.dumps(about, indent=1))
        mlflow.log_artifacts(folder, FOLDER)


def log_scores(own: Scored, flagged: Flags, champions: Mapping[tuple[str, Which], Answers]) -> None:
    """Stores what was answered to the holdout, and no rows, as artifacts of the active run.

    Of times only the distance from the first one is kept, for intervals that draw blocks of time.
    """
    columns = {LABEL: own.labels, OWN: own.probability, OWN_FLAGGED: flagged}
    if own.amounts is not None:
        columns[AMOUNT] = own.amounts
    if own.times is not None:
        columns[SECONDS] = own.times - own.times.min()
    for (champion, which), answers in champions.items():
        for name, values in asdict(answers).items():
            columns[_column(champion, which, name)] = values
    about = {
        "days": own.days,
        "genuine_weight": own.genuine_weight,
        "champions": [list(key) for key in champions],
    }
    with _for_owner_only(), tempfile.TemporaryDirectory() as folder:
        pd.DataFrame(columns).to_parquet(Path(folder) / SCORES_FILE, index=False)
        (Path(folder) / SCORED_FILE).write_text(json.dumps(about, indent=1))
        mlflow.log_artifacts(folder, FOLDER)


@contextmanager
def _for_owner_only() -> Iterator[None]:
    """Makes files, and MLflow's copies of them on this machine, that no other user may read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def read_scores(run_id: str, label: str) -> ScoredHoldout | None:
    """What the run of the version `label` kept instead of rows; None where it kept no such thing.

    Raises:
        RegistryError: it cannot be read.
    """
    try:
        kept = mlflow.MlflowClient().list_artifacts(run_id, FOLDER)
    except (MlflowException, OSError):
        # Whoever asks for the rows then is told what is wrong.
        return None
    if not any(file.path.endswith(f"/{SCORES_FILE}") for file in kept):
        return None
    with _downloaded(run_id, label) as folder:
        table = pd.read_parquet(folder / SCORES_FILE)
        about = json.loads((folder / SCORED_FILE).read_text())
    return ScoredHoldout(
        own=Scored(
            labels=table[LABEL].to_numpy(),
            probability=table[OWN].to_numpy(),
            amounts=table[AMOUNT].to_numpy() if AMOUNT in table else None,
            days=about["days"],
            times=table[SECONDS].to_numpy() if SECONDS in table else None,
            genuine_weight=about["genuine_weight"],
        ),
        flagged=table[OWN_FLAGGED].to_numpy(),
        champions={
            (champion, which): Answers(
                *(
                    table[_column(champion, which, name)].to_numpy()
                    for name in ("probability", "flagged", "unseen")
                )
            )
            for champion, which in about["champions"]
        },
    )


def read_holdout(run_id: str, label: str) -> Holdout:
    """The holdout of the run that trained the version that messages call `label`.

    Raises:
        RegistryError: the run or its holdout is gone.
    """
    with _downloaded(run_id, label) as folder:
        rows = pd.read_parquet(folder / ROWS_FILE)
        about = json.loads((folder / COLUMNS_FILE).read_text())
    columns = Columns.read(about)
    # Release 0.1.0 kept neither.
    days = about.get("days", columns.days_covered(rows))
    return Holdout(rows, columns, days, about.get("genuine_weight", 1.0))


def _column(champion: str, which: Which, name: str) -> str:
    return f"{champion} {which} {name}"


@contextmanager
def _downloaded(run_id: str, label: str) -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(
                mlflow.artifacts.download_artifacts(
                    run_id=run_id, artifact_path=FOLDER, dst_path=folder
                )
            )
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"{label}: the holdout of its run {run_id} cannot be read "
            f"({str(error).splitlines()[0]}). Train it again."
        ) from error
