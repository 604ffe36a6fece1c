"""What the gate lets in: honest challengers, lucky ones, and tables that are made to win.

    python -m benchmarks.gate --draws 60

Each draw trains a champion and its challengers on small simulated tables of their own, all by the
training pipeline with few rounds, and puts each challenger before the gate with its defaults:

- `seed`: the champion's table, another seed: no better by construction;
- `half`: the champion's table without half of the frauds that are learned; once with the defaults,
  once with `min_new_days=0`;
- `newer`: two newer days beside the champion's, the same recipe;
- `largest V1`: two newer days in which the 2 % largest V1 are called frauds;
- `easy frauds`: two newer days in which only the frauds with the lowest V14 are called frauds;
- `relabelled`: the champion's days and two newer ones, easy frauds only;
- `copies`: two newer days with four jittered copies of each fraud, split at random.

Every sixth draw also plays two chains: champions that follow each other over newer days, each
promoted where the gate lets it, of the same recipe or with ever fewer frauds to learn from. `loss`
is how much average precision the last champion has lost against the first, on 40,000 other rows.

The smoke test is left out, which takes longer than all else and decides nothing here.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest import mock

import mlflow
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from fraud_model.data.schema import DEFAULT_TARGET as TARGET
from fraud_model.data.schema import DEFAULT_TIME as TIME
from fraud_model.data.schema import SECONDS_PER_DAY
from fraud_model.data.simulation import FEATURES, simulate
from fraud_model.errors import TrainingError
from fraud_model.registry import gate, versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.gate import GateResult, Opponents
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import train

ROWS, FRAUDS, ROUNDS = 6_000, 120, 60
SPAN_DAYS = 2
LEARNED = 0.8
# Shares of the frauds that are left to learn from, one step of the chain after the other.
CHAIN = (0.75, 0.55, 0.4, 0.3, 0.22, 0.16)
CHAIN_EVERY = 6
EARLIER = 3
JITTER = 0.01


@dataclass(frozen=True)
class Outcome:
    """What the gate said to one challenger."""

    passed: bool = False
    better: bool = False
    trained: bool = True


def main() -> None:
    """Plays all draws and prints the counts as Markdown tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=60)
    draws: int = parser.parse_args().draws
    logging.disable(logging.WARNING)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    chains: dict[str, list[tuple[int, float]]] = defaultdict(list)
    skipped = Check("loads and scores known rows", "left out", "", True)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(gate, "smoke_check", lambda _: skipped),
    ):
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("fraud-detector", artifact_location=f"file://{folder}/artifacts")
        for draw in range(draws):
            for name, outcome in play(Path(folder), draw).items():
                outcomes[name].append(outcome)
            if draw % CHAIN_EVERY == 0:
                for kind, shares in {"same recipe": (1.0,) * len(CHAIN), "losing": CHAIN}.items():
                    chains[kind].append(play_chain(Path(folder), draw, shares))
    print("| challenger | passed | called better | refused by training | of |")
    print("|---|---|---|---|---|")
    for name, found in outcomes.items():
        passed, better = sum(o.passed for o in found), sum(o.better for o in found)
        refused = sum(not o.trained for o in found)
        print(f"| {name} | {passed} | {better} | {refused} | {len(found)} |")
    print(f"\n| chain | steps passed of {len(CHAIN)}, median | loss, median | most |")
    print("|---|---|---|---|")
    for kind, ends in chains.items():
        steps, losses = zip(*ends, strict=True)
        print(
            f"| {kind} | {statistics.median(steps):g} | {statistics.median(losses):.3f} "
            f"| {max(losses):.3f} |"
        )


def play(folder: Path, draw: int) -> dict[str, Outcome]:
    """One champion and its challengers."""
    rng = np.random.default_rng(draw)
    old, new = days(draw, 0), days(draw, 1)
    champion = fit(folder, old)
    defaults, old_data_too = GateThresholds(), GateThresholds(min_new_days=0)
    half = fewer_frauds(old, 0.5, rng)
    largest = new.assign(**{TARGET: (new["V1"] >= new["V1"].quantile(0.98)).astype(np.int64)})

    def judged(
        table: pd.DataFrame,
        split: str = "time",
        seed: int = 0,
        thresholds: GateThresholds = defaults,
    ) -> Outcome:
        try:
            challenger = fit(folder, table, split=split, seed=seed)
        except TrainingError:
            return Outcome(trained=False)
        return judge(challenger, champion, thresholds)

    return {
        "seed": judged(old, seed=1),
        "half of the frauds": judged(half),
        "half of the frauds, `min_new_days=0`": judged(half, thresholds=old_data_too),
        "newer": judged(pd.concat([old, new])),
        "largest V1": judged(largest),
        "easy frauds": judged(easy(new)),
        "relabelled": judged(easy(pd.concat([old, new]))),
        "copies": judged(copied(new, rng), split="stratified"),
    }


def play_chain(folder: Path, draw: int, shares: tuple[float, ...]) -> tuple[int, float]:
    """Steps that passed, and the average precision that the last champion lost on other rows."""
    rng = np.random.default_rng(draw)
    champions = [fit(folder, days(draw, 0))]
    for step, share in enumerate(shares, start=1):
        try:
            challenger = fit(folder, fewer_frauds(days(draw, step), share, rng))
        except TrainingError:
            continue
        result = run(challenger, champions, GateThresholds())
        if not result.failed:
            champions.append(challenger)
    first, last = (truth(version) for version in (champions[0], champions[-1]))
    return len(champions) - 1, first - last


def days(draw: int, block: int) -> pd.DataFrame:
    """Two simulated days; each block of a draw lies two days later than the one before."""
    table = simulate(ROWS, FRAUDS, seed=1_000 * draw + block)
    return table.assign(**{TIME: table[TIME] + block * SPAN_DAYS * SECONDS_PER_DAY})


def fewer_frauds(table: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """The table with a share of the frauds of its earlier part; those of the holdout stay."""
    early = table[TIME] <= table[TIME].quantile(LEARNED)
    frauds = table.index[early & (table[TARGET] == 1)]
    return table.drop(rng.choice(frauds, round((1 - share) * len(frauds)), replace=False))


def easy(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the half of the frauds that V14 gives away; the others count as genuine."""
    frauds = table[TARGET] == 1
    bound = table.loc[frauds, "V14"].median()
    return table.assign(**{TARGET: (frauds & (table["V14"] <= bound)).astype(np.int64)})


def copied(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The table with four copies of each fraud, a hundredth of a standard deviation apart."""
    frauds = pd.concat([table[table[TARGET] == 1]] * 4, ignore_index=True)
    moved = [name for name in FEATURES if name.startswith("V")]
    noise = rng.standard_normal((len(frauds), len(moved))) * table[moved].std().to_numpy()
    frauds[moved] += JITTER * noise
    return pd.concat([table, frauds]).sort_values(TIME, ignore_index=True)


def fit(folder: Path, table: pd.DataFrame, *, split: str = "time", seed: int = 0) -> str:
    """Trains on a table; returns the version's number."""
    path = folder / "transactions.csv"
    table.to_csv(path, index=False)
    config = TrainingConfig(
        data=str(path), split=split, hyperparameters=Hyperparameters(rounds=ROUNDS, seed=seed)
    )
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), open_run("train"):
        return train(config).version


def judge(challenger: str, champion: str, thresholds: GateThresholds) -> Outcome:
    """Puts a challenger before the gate."""
    result = run(challenger, [champion], thresholds)
    verdict = result.verdict
    return Outcome(not result.failed, verdict is not None and verdict.standing == "better")


def run(challenger: str, champions: list[str], thresholds: GateThresholds) -> GateResult:
    """Runs the gate; the last of `champions` stands, the three before it are looked back at."""
    *before, standing = (candidate(version) for version in champions)
    opponents = Opponents(standing, before[-EARLIER:])
    return gate.run_gate(
        versions.find_version(versions.DEFAULT_MODEL_NAME, challenger), opponents, thresholds
    )


def candidate(version: str) -> Candidate:
    """A version as the gate takes it."""
    return Candidate.registered(versions.find_version(versions.DEFAULT_MODEL_NAME, version))


def truth(version: str) -> float:
    """The average precision of the model that answers, on rows that no other draw has."""
    table = simulate(40_000, 800, seed=999_999)
    model = mlflow.pyfunc.load_model(f"models:/{versions.DEFAULT_MODEL_NAME}/{version}")
    scores = model.predict(table[list(FEATURES)])["fraud_probability"]
    return float(average_precision_score(table[TARGET], scores))


if __name__ == "__main__":
    main()
