"""The monitoring on days with a rhythm: false alarms, and what is caught all the same.

    python -m benchmarks.monitoring_days

In the environment of requirements.txt. Versions are trained on two simulated days each, whose
features move over the day and whose frauds come in bursts, and are given days of the same kind, of
other seeds, in turn: how many bursts a version has seen, and how large they were, is chance.

- quiet: checks of four windows, of a day or of six hours each; windows whose scores leave the band,
  and checks that alarm. The reference "none" is the same one without its hours.
- drift: checks of four windows of traffic that changed, without labels and by labels alone.
- real rows, if FRAUD_SAMPLE_DATA names a folder with `creditcard_sample.csv.gz`: a version learns
  ten-minute blocks of the sample, drawn by lot, and the other blocks are checked; and one learns
  the first day, and the rest is checked.

Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from benchmarks.monitoring import CHANGES, NAME, SIZES, by_what
from fraud_model.data.label_table import LabelTable
from fraud_model.data.simulation import FULL_FRAUDS, FULL_ROWS, Drift, Rhythm, simulate
from fraud_model.data.table_traffic import TableTraffic
from fraud_model.data.traffic import Batch, Key, Scored, Tally, Traffic
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.model.detector import FraudDetector
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.profile import Profile
from fraud_model.monitoring.check import check
from fraud_model.monitoring.drift import PSI_THRESHOLD
from fraud_model.monitoring.result import Check
from fraud_model.monitoring.windows import Span
from fraud_model.registry.export import export
from fraud_model.registry.moves import move
from fraud_model.tracking import open_run
from fraud_model.training.config import TrainingConfig
from fraud_model.training.pipeline import train

# The real sample: features swing by 0.1 to 1.4 standard deviations, and frauds an hour have 6 to 7
# times the variance of chance.
RHYTHM = Rhythm(swing=0.5, burst=3.5)
WINDOWS = 4
SPANS = {"a day": SECONDS_PER_DAY, "six hours": SECONDS_PER_DAY // 4}
TABLE_DAYS = 2
# Of the real rows: bursts of frauds last less.
BLOCK_SECONDS = 600

Version = tuple[FraudDetector, Profile]


@dataclass
class Days:
    """Simulated days with a rhythm, with keys that tell their labels; see Traffic."""

    detector: FraudDetector
    features: Sequence[str]
    rows: int
    seconds: int
    drift: Drift | None
    rate: float
    seed: int

    key_columns: tuple[str, ...] = ("key",)
    has_time = True
    in_calendar = False

    def __post_init__(self) -> None:
        self.tally = Tally()

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """Two days a batch, up to the end of the last window."""
        *_, decision = self.detector.parts
        for start in range(0, self.seconds, TABLE_DAYS * SECONDS_PER_DAY):
            seed = self.seed + start // SECONDS_PER_DAY
            rows = TABLE_DAYS * self.rows
            frauds = frauds_of(rows, self.rate, seed)
            table = simulate(rows, frauds, seed, self.drift, RHYTHM)
            table = table[table["Time"] + start < self.seconds]
            probability = self.detector.probability(table)
            moments = table["Time"].to_numpy()
            yield Batch(
                Scored(
                    seconds=start + moments,
                    values=table[list(self.features)].to_numpy(),
                    probability=probability,
                    flagged=decision.flags(probability, None),
                    keys=[(label,) for label in table["Class"].map(str)],
                    moments=moments,
                ),
                np.empty(0),
            )


def frauds_of(rows: int, rate: float, seed: int) -> int:
    """As many frauds as bursts bring among so many transactions; their number is drawn."""
    random = np.random.default_rng(seed)
    bursts = random.poisson(rate * rows * FULL_FRAUDS / FULL_ROWS / RHYTHM.burst)
    return int(random.geometric(1 / RHYTHM.burst, bursts).sum())


def main() -> None:
    """Measures everything and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checks", type=int, default=25, help="of each kind of quiet windows")
    parser.add_argument("--repeats", type=int, default=10, help="of each change and size")
    parser.add_argument("--halves", type=int, default=10, help="versions of real rows")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--reference", type=int, default=FULL_ROWS, help="rows to learn from")
    parser.add_argument("--versions", type=int, default=5, help="that learn from rows of their own")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        mlflow.create_experiment(NAME, artifact_location=f"file://{folder}/artifacts")
        versions = [
            simulated_version(arguments.reference, seed, Path(folder) / f"simulated-{seed}")
            for seed in range(arguments.versions)
        ]
        quiet(versions, arguments.rows, arguments.checks)
        drift(versions, arguments.rows, arguments.repeats)
        sample = Path(os.environ.get("FRAUD_SAMPLE_DATA", "")) / "creditcard_sample.csv.gz"
        if sample.is_file():
            real(pd.read_csv(sample), Path(folder), arguments.halves)


def simulated_version(rows: int, seed: int, folder: Path) -> Version:
    """A version that has learned two simulated days."""
    table = simulate(rows, frauds_of(rows, 1.0, seed), seed, None, RHYTHM)
    model = make_model(table, folder)
    detector = mlflow.pyfunc.load_model(str(model)).unwrap_python_model()
    return detector, ModelDirectory(model, NAME).required_profile()


def make_model(table: pd.DataFrame, folder: Path) -> Path:
    """Trains on a table, and exports the model."""
    folder.mkdir()
    data, name = folder / "table.parquet", folder.name
    table.to_parquet(data)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        with open_run("train"):
            trained = train(TrainingConfig(data=str(data), model_name=name))
        move(name, trained.version, "Production")
        export(name, "Production", folder / "model")
    return folder / "model"


def quiet(versions: Sequence[Version], sizes: Sequence[int], checks: int) -> None:
    """Prints how many checks of traffic like the reference alarm."""
    print("| transactions a day | window | reference | windows out of band | features | alarms |")
    print("|---|---|---|---|---|---|")
    for rows in sizes:
        for span, seconds in SPANS.items():
            for label in ("hours", "none"):
                done = []
                for number in range(checks):
                    detector, known = versions[number % len(versions)]
                    if label == "none":
                        known = replace(known, hours=None)
                    seed = 10_000 + 10 * number
                    done.append(run(detector, known, rows, seconds, None, 1.0, seed))
                print(f"| {rows:,} | {span} | {label} | {_counts(done)} |", flush=True)


def _counts(done: Sequence[Check]) -> str:
    windows = [window for one in done for window in one.judged]
    beyond = sum(window.ratio > 1 for window in windows)
    moved = sum(
        any(drift.psi >= PSI_THRESHOLD for drift in window.features.values()) for window in windows
    )
    alarms = sum(one.status == "alarm" for one in done)
    of = f"of {len(windows)}"
    return f"{beyond} {of} | {moved} {of} | {alarms} of {len(done)}"


def drift(versions: Sequence[Version], sizes: Sequence[int], repeats: int) -> None:
    """Prints how many changes are caught, in four days."""
    print("\n| change | transactions a day | caught by drift | caught by labels |")
    print("|---|---|---|---|")
    for change, (changed, rate) in CHANGES.items():
        for rows in sizes:
            caught = []
            for number in range(repeats):
                version, seed = versions[number % len(versions)], 20_000 + 10 * number
                caught.append(by_what(run(*version, rows, SECONDS_PER_DAY, changed, rate, seed)))
            by_drift, by_labels = (sum(column) for column in zip(*caught, strict=True))
            of = f"of {repeats}"
            print(f"| {change} | {rows:,} | {by_drift} {of} | {by_labels} {of} |", flush=True)


def run(
    detector: FraudDetector,
    profile: Profile,
    rows: int,
    seconds: int,
    changed: Drift | None,
    rate: float,
    seed: int,
) -> Check:
    """A check of four windows of so many seconds."""
    features = list(profile.features)
    traffic = Days(detector, features, rows, WINDOWS * seconds, changed, rate, seed)
    known: dict[Key, int] = {("0",): 0, ("1",): 1}
    return _quietly(traffic, profile, seconds, LabelTable(("key",), known, 0))


def _quietly(traffic: Traffic, profile: Profile, seconds: int, labels: LabelTable | None) -> Check:
    with redirect_stderr(StringIO()):
        return check(traffic, NAME, profile, Span(seconds, None), labels)


def real(table: pd.DataFrame, folder: Path, halves: int) -> None:
    """Prints what checks of real rows that the version has not learned find."""
    print("\n| learned | checked | reference | windows out of band | features | alarms |")
    print("|---|---|---|---|---|---|")
    block = (table["Time"] // BLOCK_SECONDS).astype(int)
    parts = []
    for seed in range(halves):
        chosen = np.random.default_rng(seed).random(int(block.max()) + 1) < 0.5
        parts.append(chosen[block])
    first_day = (table["Time"] < SECONDS_PER_DAY).to_numpy()
    for label, other, chosen_parts in (
        (f"half of the blocks, {halves} draws", "the other half, six hours", parts),
        ("the first day", "the second, six hours", [first_day]),
    ):
        found: dict[str, list[Check]] = {"hours": [], "none": []}
        for number, mine in enumerate(chosen_parts):
            where = folder / f"real-{label.split()[0]}-{number}"
            model = make_model(table[mine], where)
            profile = ModelDirectory(model, NAME).required_profile()
            rest = where / "rest.parquet"
            table[~mine].drop(columns="Class").to_parquet(rest)
            for reference, known in (("hours", profile), ("none", replace(profile, hours=None))):
                traffic = TableTraffic(rest, model, list(profile.features), profile.time)
                seconds = SECONDS_PER_DAY // 4
                found[reference].append(_quietly(traffic, known, seconds, None))
        for reference, done in found.items():
            print(f"| {label} | {other} | {reference} | {_counts(done)} |", flush=True)


if __name__ == "__main__":
    main()
