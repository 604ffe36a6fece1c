"""The monitoring: how often it alarms falsely, what it catches and how soon.

    python -m benchmarks.monitoring

In the environment of requirements.txt. A model is trained on the full simulated set, and simulated
traffic is given to the check window by window, each standing for a day; its number of frauds is
drawn (Poisson), and every window has another seed.

- quiet: checks of three windows of the same distribution; windows whose scores leave their band, or
  that end two windows in a row in which a feature's PSI is too high, and checks that alarm.
- drift: three windows of traffic that changed, as often as `--repeats` says, and in how many of
  those the check alarms, without labels and by the labels alone.

Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import mlflow
import numpy as np
from tqdm import tqdm

from fraud_model.data.label_table import LabelTable
from fraud_model.data.simulation import FULL_FRAUDS, FULL_ROWS, Drift, simulate
from fraud_model.data.traffic import Batch, Key, Scored, Tally
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

NAME = "fraud-detector"
# The last size is a day of the real data.
SIZES = (10_000, 20_000, FULL_ROWS // 2)
WINDOWS_TO_CATCH = 3
CHANGES = {
    "means of V3, V7 and V14 moved by one standard deviation": (
        Drift(shift={"V3": 1.0, "V7": 1.0, "V14": 1.0}),
        1.0,
    ),
    "fraud rate doubled": (None, 2.0),
    "half of the frauds follow a new pattern": (Drift(new_pattern=0.5), 1.0),
    "all frauds follow a new pattern": (Drift(new_pattern=1.0), 1.0),
}


def main() -> None:
    """Measures everything and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--windows", type=int, default=100, help="quiet windows of each size, at least"
    )
    parser.add_argument("--repeats", type=int, default=10, help="of each change and size")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="sizes of windows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
        detector: FraudDetector = mlflow.pyfunc.load_model(str(model)).unwrap_python_model()
        profile = ModelDirectory(model, NAME).required_profile()
        print("| transactions a window | quiet windows that alarm | checks of three that do |")
        print("|---|---|---|")
        for rows in arguments.rows:
            quiet = [
                run(detector, profile, rows, WINDOWS_TO_CATCH, None, 1.0, 10_000 + first)
                for first in range(0, arguments.windows, WINDOWS_TO_CATCH)
            ]
            windows = sum(alarmed_windows(done) for done in quiet)
            checks = sum(done.status == "alarm" for done in quiet)
            total = WINDOWS_TO_CATCH * len(quiet)
            print(f"| {rows:,} | {windows} of {total} | {checks} of {len(quiet)} |", flush=True)
        print("\n| change | transactions a window | caught by drift | caught by labels |")
        print("|---|---|---|---|")
        for change, (drift, rate) in CHANGES.items():
            for rows in arguments.rows:
                caught = [
                    by_what(run(detector, profile, rows, WINDOWS_TO_CATCH, drift, rate, seed))
                    for seed in tqdm(
                        range(20_000, 20_000 + 10 * arguments.repeats, 10), leave=False, desc=change
                    )
                ]
                by_drift, by_labels = (sum(column) for column in zip(*caught, strict=True))
                of = f"of {arguments.repeats}"
                print(f"| {change} | {rows:,} | {by_drift} {of} | {by_labels} {of} |", flush=True)


def make_model(folder: Path) -> Path:
    """Trains on the full simulated set, and exports the model."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    mlflow.create_experiment(NAME, artifact_location=f"file://{folder}/artifacts")
    with redirect_stdout(StringIO()), open_run("train"):
        trained = train(TrainingConfig(data="simulated"))
    move(trained.name, trained.version, "Production")
    export(trained.name, "Production", folder / "model")
    return folder / "model"


class SimulatedTraffic:
    """Windows of simulated transactions, a day each, with keys that tell their labels."""

    key_columns: tuple[str, ...] = ("key",)
    has_time = True
    in_calendar = False

    def __init__(
        self, detector: FraudDetector, profile: Profile, rows: int, drift: Drift | None, rate: float
    ) -> None:
        self.tally = Tally()
        self.windows: Sequence[int] = ()
        self._detector = detector
        self._features = list(profile.features)
        self._rows = rows
        self._drift = drift
        self._frauds = rate * rows * FULL_FRAUDS / FULL_ROWS

    def batches(self, keys: Sequence[str]) -> Iterator[Batch]:
        """A batch per window."""
        for day, seed in enumerate(self.windows):
            frauds = int(np.random.default_rng(seed).poisson(self._frauds))
            table = simulate(self._rows, frauds, seed, self._drift)
            *_, decision = self._detector.parts
            probability = self._detector.probability(table)
            labels = table["Class"].map(str)
            yield Batch(
                Scored(
                    seconds=day * SECONDS_PER_DAY
                    + np.arange(self._rows) * SECONDS_PER_DAY / self._rows,
                    values=table[self._features].to_numpy(),
                    probability=probability,
                    flagged=decision.flags(probability, None),
                    keys=[(label,) for label in labels],
                    moments=table["Time"].to_numpy(),
                ),
                np.empty(0),
            )


def run(
    detector: FraudDetector,
    profile: Profile,
    rows: int,
    windows: int,
    drift: Drift | None,
    rate: float,
    seed: int,
) -> Check:
    """A check of some windows of simulated traffic, labelled."""
    traffic = SimulatedTraffic(detector, profile, rows, drift, rate)
    known: dict[Key, int] = {("0",): 0, ("1",): 1}
    traffic.windows = range(seed, seed + windows)
    # The check's own progress, with every run anew, says little here.
    with redirect_stderr(StringIO()):
        labels = LabelTable(("key",), known, 0)
        return check(traffic, NAME, profile, Span(SECONDS_PER_DAY, None), labels)


def alarmed_windows(done: Check) -> int:
    """How many windows alarm by themselves, or with the one before."""
    alarmed = 0
    for before, window in zip([None, *done.windows], done.windows, strict=False):
        twice = before is not None and any(
            window.features[name].psi >= PSI_THRESHOLD
            and before.features[name].psi >= PSI_THRESHOLD
            for name in window.features
        )
        alarmed += window.ratio > 1 or twice
    return alarmed


def by_what(done: Check) -> tuple[bool, bool]:
    """Whether drift alarms, and whether labels do."""
    alarms = [finding.text for finding in done.findings if finding.kind == "alarm"]
    by_labels = sum(text.startswith("average precision") for text in alarms)
    return len(alarms) > by_labels, by_labels > 0


if __name__ == "__main__":
    main()
