"""What the gate makes of challengers whose true quality is known.

    python -m benchmarks.gate --draws 60

Each draw simulates tables of transactions, trains small models on them, and asks the gate's own
checks (all but the smoke test) about a challenger:

- `seed`: it differs from the champion by its seed alone, on the same table;
- `half`: it learned from half of the frauds, on a newer table;
- `newer`: the same recipe on a newer table;
- `rule`: the 2 % largest V1 of a newer table are labelled frauds;
- `easy`: of a newer table's frauds only the half that the champion ranks highest is kept;
- `copies`: jittered copies of a newer table's frauds, split stratified;
- `relabelled`: the champion's own table with the frauds of `rule`.

`chain` proposes eight challengers one after the other, each on a newer table. Each is worse than
the champion by noise of variance `STEP` in the log-odds, about 0.01 of average precision; `even` is
the same without the noise. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fraud_model.arrays import Floats
from fraud_model.data.dataset import Dataset
from fraud_model.data.labels import IGNORE_UNLABELLED
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.simulation import simulate
from fraud_model.data.split import split
from fraud_model.data.table import columns_of
from fraud_model.durations import SECONDS_PER_DAY
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.holdout import Holdout
from fraud_model.evaluation.learned import Learned, Which
from fraud_model.evaluation.threshold import decide, parse_policy
from fraud_model.model.detector import FraudDetector
from fraud_model.registry.candidate import Candidate, HoldoutResult
from fraud_model.registry.champions import LOOK_BACK
from fraud_model.registry.gate import GateResult, judge
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.knowledge import Knowledge
from fraud_model.registry.pairing import Bench
from fraud_model.training.config import Hyperparameters
from fraud_model.training.fit import calibrate, fit_all

ROWS, FRAUDS, ROUNDS = 12_000, 150, 60
PERIOD = 2 * SECONDS_PER_DAY
STEPS, STEP = 8, 1.0
# The tables hold far more frauds than traffic does, so the budget does too.
THRESHOLDS = GateThresholds(min_average_precision=0, min_accuracy=0)


@dataclass(frozen=True)
class Model(Candidate):
    """A candidate that is in memory; `noise` is added to its log-odds."""

    detector: FraudDetector = field(kw_only=True)
    noise: float = 0.0

    def score(
        self, holdout: Holdout, alert_budget: float, which: Which = "evaluation"
    ) -> HoldoutResult:
        """Scores without MLflow."""
        *_, decision = self.detector.parts
        probability = self.detector.probability(holdout.rows)
        if self.noise:
            # The same rows always get the same noise from one model.
            seed = np.frombuffer(self.uri.encode(), np.uint8)
            jitter = np.random.default_rng(seed).normal(0, self.noise, len(probability))
            odds = np.log(probability / (1 - probability)) + jitter
            probability = 1 / (1 + np.exp(-odds))
        scored = holdout.scored(probability)
        flagged = decision.flags(probability, scored.amounts)
        return HoldoutResult.of(scored, flagged, str(decision), alert_budget)


@dataclass(frozen=True)
class Known(Knowledge):
    """What a model in memory has learned, and its holdout."""

    learned: Learned = field(kw_only=True)
    holdout: Holdout = field(kw_only=True)

    @property
    def detector(self) -> FraudDetector:
        """The model itself."""
        assert isinstance(self.candidate, Model)
        return self.candidate.detector


def main() -> None:
    """Plays the draws and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--chains", type=int, default=10)
    arguments = parser.parse_args()
    better: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for draw in range(arguments.draws):
        print(f"draw {draw + 1}", file=sys.stderr)
        champion = train(newer_table(10 * draw, 0))
        for name, challenge in CHALLENGES.items():
            result = ask(challenge(champion, draw), champion, [])
            better[name] += result.verdict is not None and result.verdict.standing == "better"
            passed[name] += not result.failed
    print(f"| challenger | called better | passes | of {arguments.draws} |\n|---|---|---|---|")
    for name in CHALLENGES:
        print(f"| `{name}` | {better[name]} | {passed[name]} | {arguments.draws} |")
    print(f"\n| {STEPS} challengers in a row | accepted | average precision lost |\n|---|---|---|")
    for name, step in (("chain", STEP), ("even", 0.0)):
        runs = [chain(number, step) for number in range(arguments.chains)]
        accepted, lost = np.array(runs).mean(axis=0)
        print(f"| `{name}` | {accepted:.1f} of {STEPS} | {lost:.3f} |")


def ask(challenger: Known, champion: Known, earlier: list[Known]) -> GateResult:
    """The gate's checks of a challenger."""
    return judge(Bench(challenger, THRESHOLDS, challenger.holdout), champion, earlier)


def chain(number: int, step: float) -> tuple[int, float]:
    """How many of a chain's challengers are accepted, and what average precision that cost."""
    first = train(newer_table(1000 + 100 * number, 0))
    stood = [first]
    for turn in range(1, STEPS + 1):
        noise = step * float(np.sqrt(len(stood)))
        table = newer_table(1000 + 100 * number + turn, turn)
        challenger = train(table, seed=turn, noise=noise)
        if not ask(challenger, stood[-1], stood[-1 - LOOK_BACK : -1]).failed:
            stood.append(challenger)
    test = simulate(4 * ROWS, 4 * FRAUDS, seed=999_000 + number)
    whole = Holdout(test, first.holdout.columns, 2.0)
    begin, end = (model.candidate.score(whole, 100).metrics for model in (first, stood[-1]))
    return len(stood) - 1, begin.average_precision - end.average_precision


def newer_table(seed: int, periods: int) -> pd.DataFrame:
    """Simulated transactions, so many periods later."""
    table = simulate(ROWS, FRAUDS, seed=seed)
    return table.assign(Time=table["Time"] + periods * PERIOD)


def train(
    table: pd.DataFrame,
    *,
    seed: int = 0,
    noise: float = 0.0,
    by: str = "time",
    weaken: Callable[[pd.DataFrame], pd.DataFrame] = lambda part: part,
) -> Known:
    """An evaluation model of a table; the refitted one is never compared, so it is not fitted."""
    columns, _ = columns_of(table, "simulation", "Class", "Time", "Amount", ColumnRules())
    table = table[[*columns.features, "Class"]]
    dataset = Dataset(
        table, columns, "simulation", "simulated", "", 0, table.iloc[:0], 0, IGNORE_UNLABELLED
    )
    parts = split(dataset, by, seed)
    recipe = Hyperparameters(rounds=ROUNDS, seed=seed)
    with contextlib.redirect_stdout(None):
        early = fit_all(weaken(parts.train), columns, recipe, (ROUNDS,))
    scaled = early.scaler.transform(early.encoder.encode(parts.validation))
    log_odds = np.asarray(early.booster.predict(scaled, raw_score=True))
    calibration = calibrate(log_odds, parts.validation["Class"].to_numpy(), 1.0)
    validation = Scored.from_part(
        parts.validation,
        columns,
        calibration.probability(log_odds),
        seconds=parts.seconds["validation"],
        days=parts.days["validation"],
        genuine_weight=1.0,
    )
    decision = decide(parse_policy("f1"), calibration, validation, columns.amount, None)
    learned = Learned.of(table, parts, columns, refitted=True)
    model = Model(
        f"{seed} {noise} {table['Time'].iloc[0]} {len(table)}",
        "the champion",
        "simulated",
        None,
        facts=learned.tags(),
        detector=FraudDetector(early.booster, early.encoder, early.scaler, decision),
        noise=noise,
    )
    holdout = Holdout(parts.holdout, columns, parts.days["holdout"])
    return Known(model, learned=learned, holdout=holdout)


def by_another_rule(table: pd.DataFrame) -> pd.DataFrame:
    """The same transactions, of which the 2 % with the largest V1 are frauds."""
    return table.assign(Class=(table["V1"] > table["V1"].quantile(0.98)).astype(np.int64))


def easy_only(table: pd.DataFrame, probability: Floats) -> pd.DataFrame:
    """Without the half of the frauds that a champion ranks lowest."""
    fraud = (table["Class"] == 1).to_numpy()
    return table[~fraud | (probability >= np.median(probability[fraud]))].reset_index(drop=True)


def jittered(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """With four copies of each fraud, moved by a hundredth of a standard deviation."""
    random = np.random.default_rng(seed)
    features = [name for name in table.columns if name not in ("Class", "Time")]
    scale = 0.01 * table[features].std()
    frauds = table[table["Class"] == 1]
    copies = []
    for _ in range(4):
        noise = random.normal(size=(len(frauds), len(features))) * scale.to_numpy()
        copies.append(frauds.assign(**{n: frauds[n] + noise[:, i] for i, n in enumerate(features)}))
    return pd.concat([table, *copies]).sort_values("Time", ignore_index=True)


def half_of_the_frauds(part: pd.DataFrame) -> pd.DataFrame:
    """Without every other fraud."""
    frauds = part.index[part["Class"] == 1]
    return part.drop(index=frauds[::2])


CHALLENGES: dict[str, Callable[[Known, int], Known]] = {
    "seed": lambda _, draw: train(newer_table(10 * draw, 0), seed=1),
    "half": lambda _, draw: train(newer_table(10 * draw + 1, 1), seed=1, weaken=half_of_the_frauds),
    "newer": lambda _, draw: train(newer_table(10 * draw + 1, 1), seed=1),
    "rule": lambda _, draw: train(by_another_rule(newer_table(10 * draw + 1, 1))),
    "easy": lambda champion, draw: train(
        easy_only(
            newer_table(10 * draw + 1, 1),
            champion.detector.probability(newer_table(10 * draw + 1, 1)),
        )
    ),
    "copies": lambda _, draw: train(jittered(newer_table(10 * draw + 1, 1), draw), by="stratified"),
    "relabelled": lambda _, draw: train(by_another_rule(newer_table(10 * draw, 0))),
}


if __name__ == "__main__":
    main()
