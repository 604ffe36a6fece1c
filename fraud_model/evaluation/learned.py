"""Which transactions a version has learned from, so that it is never scored on them.

A run keeps no copy of them, only hashes. Labels stand beside the hashes and not in them, since a
label that came late makes no other row of it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import mlflow
import mlflow.artifacts
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from scipy.spatial import KDTree

from fraud_model.arrays import Flags
from fraud_model.data.column_files import joined_rows
from fraud_model.data.columns import Columns
from fraud_model.data.split import Parts
from fraud_model.evaluation.row_hashes import RowHashes
from fraud_model.model.feature import Feature

FOLDER = "learned"
ROWS_FILE = "rows.parquet"
ABOUT_FILE = "learned.json"
HASH, LABEL, EVALUATION = "hash", "label", "evaluation"

# The tags of a version that tell the period it has learned.
FROM_TIME, UNTIL_TIME = "learned_from_time", "learned_until_time"
EVALUATION_UNTIL, MOSTLY_UNTIL = "evaluation_until_time", "learned_mostly_until_time"
TIME_TAGS = (FROM_TIME, EVALUATION_UNTIL, UNTIL_TIME, MOSTLY_UNTIL)

# Two frauds that differ by less than this many standard deviations in every feature but the time
# are taken for copies; with fewer features that happens by chance.
COPY_DISTANCE, COPY_FEATURES = 0.05, 8

# A clock that runs fast dates a few rows too late: they make no newer data.
MOSTLY = 0.999

# The model that answers, and the one that was measured; the same where nothing was refitted.
Which = Literal["served", "evaluation"]


@dataclass(frozen=True)
class Learned:
    """What the models of one version have learned from.

    `rows` are those of the served model, and `evaluation`, shape (rows,), marks those of the
    evaluation model: train and validation part, since validation chose calibration and decision.
    Times are in seconds, None where the table had none: the earliest and the latest that were
    learned, and `mostly_until`, by which all but a thousandth of the rows lie. `copies` counts
    frauds of the holdout that are near copies of learned ones, as a stratified split leaves them
    on both sides; they stand among the learned rows.
    """

    rows: RowHashes
    evaluation: Flags
    split: str
    refitted: bool
    copies: int
    from_time: float | None
    evaluation_until: float | None
    served_until: float | None
    mostly_until: float | None

    @classmethod
    def of(cls, table: pd.DataFrame, parts: Parts, columns: Columns, *, refitted: bool) -> Learned:
        """What training on these parts of a table means, with or without a refit on all of it."""
        measured, copies = [parts.train, parts.validation], parts.holdout.iloc[:0]
        if parts.how == "stratified":
            copies = near_copies(parts.holdout, measured, columns)
        learned = table if refitted else joined_rows([*measured, copies])
        rows, order = RowHashes.of(learned, columns)
        evaluation = np.ones(len(learned), dtype=bool)
        if refitted:
            places = np.concatenate([parts.places["train"], parts.places["validation"]])
            known = np.zeros(len(learned), dtype=bool)
            known[places] = True
            # A row of the holdout that equals one of these is known as well.
            alike = rows.hashes_of(copies, columns)
            measured_on = np.concatenate([rows.hashes[known[order]], alike])
            # pandas looks them up in a hash table, where NumPy sorts all of them.
            evaluation = pd.Series(rows.hashes).isin(measured_on).to_numpy()
        seconds = columns.seconds(learned)
        ends = [
            part.max()
            for part in map(parts.seconds.get, ("train", "validation"))
            if part is not None
        ]
        return cls(
            rows=rows,
            evaluation=evaluation,
            split=parts.how,
            refitted=refitted,
            copies=len(copies),
            from_time=None if seconds is None else float(seconds.min()),
            evaluation_until=float(max(ends)) if ends else None,
            served_until=None if seconds is None else float(seconds.max()),
            mostly_until=None if seconds is None else float(np.quantile(seconds, MOSTLY)),
        )

    def seen(self, rows: pd.DataFrame, columns: Columns, which: Which) -> Flags:
        """Which rows of a table that `rows.can_tell` one of the models has learned from."""
        places = self.rows.places(rows, columns)
        known = places >= 0
        return known if which == "served" else known & self.evaluation[places]

    def tags(self) -> dict[str, str]:
        """The period that was learned, as tags of a version; empty where there is no time."""
        times = {
            FROM_TIME: self.from_time,
            EVALUATION_UNTIL: self.evaluation_until,
            UNTIL_TIME: self.served_until,
            MOSTLY_UNTIL: self.mostly_until,
        }
        return {name: repr(time) for name, time in times.items() if time is not None}

    def log(self) -> None:
        """Stores it as artifacts of the active run."""
        about = {
            "key": self.rows.key.hex(),
            "features": self.rows.features,
            "read_as": self.rows.read_as and [asdict(each) for each in self.rows.read_as],
            "rows": len(self.rows.hashes),
            "rows_of_evaluation_model": int(self.evaluation.sum()),
            "split": self.split,
            "refitted": self.refitted,
            "near_copies": self.copies,
            "from_time": self.from_time,
            "evaluation_until": self.evaluation_until,
            "served_until": self.served_until,
            "mostly_until": self.mostly_until,
        }
        table = pd.DataFrame(
            {
                HASH: self.rows.hashes,
                LABEL: self.rows.labels.astype(np.int8),
                EVALUATION: self.evaluation,
            }
        )
        with tempfile.TemporaryDirectory() as folder:
            table.to_parquet(Path(folder) / ROWS_FILE, index=False)
            (Path(folder) / ABOUT_FILE).write_text(json.dumps(about, indent=1))
            mlflow.log_artifacts(folder, FOLDER)


def read_learned(run_id: str) -> Learned | None:
    """What the models of a run have learned from; None where the run or its record is gone."""
    if not run_id:
        return None
    try:
        with tempfile.TemporaryDirectory() as target:
            folder = Path(
                mlflow.artifacts.download_artifacts(
                    run_id=run_id, artifact_path=FOLDER, dst_path=target
                )
            )
            table = pd.read_parquet(folder / ROWS_FILE)
            about = json.loads((folder / ABOUT_FILE).read_text())
    except (MlflowException, OSError):
        return None
    read_as = about.get("read_as")
    return Learned(
        rows=RowHashes(
            key=bytes.fromhex(about["key"]),
            features=tuple(about["features"]),
            hashes=table[HASH].to_numpy(np.uint64),
            labels=table[LABEL].to_numpy(np.int64),
            read_as=read_as and tuple(map(Feature.from_dict, read_as)),
        ),
        evaluation=table[EVALUATION].to_numpy(bool),
        split=about["split"],
        refitted=about["refitted"],
        copies=about["near_copies"],
        from_time=about["from_time"],
        evaluation_until=about["evaluation_until"],
        served_until=about["served_until"],
        mostly_until=about["mostly_until"],
    )


def near_copies(
    holdout: pd.DataFrame, learned: Sequence[pd.DataFrame], columns: Columns
) -> pd.DataFrame:
    """The frauds of a holdout that lie next to a fraud that was learned, as jittered copies do.

    Only numbers that are never missing are compared.
    """
    features = [f.name for f in columns.described.values() if f.is_number and not f.missing]
    mine, *others = (part[part[columns.target] == 1] for part in (holdout, *learned))
    theirs = pd.concat(others)
    scale = np.array(
        [np.std(np.concatenate([part[f] for part in learned]), ddof=1) for f in features]
    )
    varying = scale > 0
    if varying.sum() < COPY_FEATURES:
        return mine.iloc[:0]
    tree = KDTree(theirs[features].to_numpy()[:, varying] / scale[varying])
    distance, _ = tree.query(
        mine[features].to_numpy()[:, varying] / scale[varying],
        p=np.inf,
        distance_upper_bound=COPY_DISTANCE,
    )
    return mine[np.isfinite(distance)]
