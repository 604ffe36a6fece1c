"""The simulated transactions: what they keep of the published figures, and how they drift."""

import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score

from fraud_model.data import simulation
from fraud_model.data.simulation import FULL_FRAUDS, FULL_ROWS, Drift, Rhythm, simulate
from fraud_model.errors import ParameterError

FIGURES = json.loads(
    Path(simulation.__file__).with_name("creditcard_figures.json").read_text("utf-8")
)
NAMES = list(FIGURES["features"])
COMPONENTS = [name for name in NAMES if name not in ("Time", "Amount")]
LEVELS = np.array(FIGURES["levels"])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulate(rows=60_000, frauds=6_000, seed=1)


def booster(table: pd.DataFrame) -> lightgbm.Booster:
    parameters = {
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_sum_hessian_in_leaf": 1,
        "objective": "binary",
        "num_threads": 1,
        "verbose": -1,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(table[NAMES], table["Class"]), 200)


def average_precision(model: lightgbm.Booster, table: pd.DataFrame) -> float:
    return float(average_precision_score(table["Class"], model.predict(table[NAMES])))


def distance(values: pd.Series, quantiles: list[float]) -> float:
    """Kolmogorov-Smirnov distance of values to the distribution that has the quantiles."""
    below = np.searchsorted(np.sort(values.to_numpy()), quantiles, side="right") / len(values)
    return float(np.abs(below - np.interp(quantiles, quantiles, LEVELS)).max())


def test_the_default_is_as_large_as_the_real_data() -> None:
    table = simulate()
    assert len(table) == FULL_ROWS == 284_807
    assert table["Class"].sum() == FULL_FRAUDS == 492
    assert table["Time"].min() < 60
    assert 172_792 - 60 < table["Time"].max() <= 172_792


@pytest.mark.parametrize(("rows", "frauds"), [(1, 0), (2, 1), (10, 9), (15_000, 26), (3_000, 60)])
def test_rows_and_frauds_are_exact(rows: int, frauds: int) -> None:
    table = simulate(rows, frauds, seed=3)
    assert len(table) == rows
    assert table["Class"].sum() == frauds
    assert set(table["Class"]) <= {0, 1}
    assert np.isfinite(table.to_numpy()).all()


def test_columns_are_those_of_the_real_file(table: pd.DataFrame) -> None:
    assert list(table.columns) == [*NAMES, "Class"]
    assert (table[NAMES].dtypes == np.float64).all()
    assert table["Class"].dtype == np.int64


def test_time_is_sorted_whole_seconds_within_two_days(table: pd.DataFrame) -> None:
    assert table["Time"].is_monotonic_increasing
    assert table["Time"].between(0, 172_792).all()
    assert (table["Time"] % 1 == 0).all()
    assert list(table.index) == list(range(len(table)))


def test_nights_are_quiet_and_both_days_alike(table: pd.DataFrame) -> None:
    hours = np.histogram(table["Time"] / 3600, bins=np.arange(49))[0]
    night, day = hours[2:6].mean(), hours[10:20].mean()
    assert night < day / 2
    assert hours[:24].sum() == pytest.approx(hours[24:].sum(), rel=0.02)


def test_amounts_are_cents_and_not_negative(table: pd.DataFrame) -> None:
    cents = table["Amount"] * 100
    assert (table["Amount"] >= 0).all()
    assert np.allclose(cents, cents.round(), atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("rows", "frauds"), [(15_000, 26), (15_000, 300), (40_000, 100)])
def test_a_split_by_time_shares_the_frauds_out_in_proportion(
    rows: int, frauds: int, seed: int
) -> None:
    labels = simulate(rows, frauds, seed)["Class"].to_numpy()
    parts = np.split(labels, [round(0.6 * rows), round(0.8 * rows)])
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert abs(part.sum() - share * frauds) < 1


def test_the_same_seed_gives_the_same_table_and_another_seed_another() -> None:
    first = simulate(2_000, 40, seed=5)
    pd.testing.assert_frame_equal(first, simulate(2_000, 40, seed=5))
    assert not first["V1"].equals(simulate(2_000, 40, seed=6)["V1"])


def test_genuine_transactions_have_the_published_quantiles(table: pd.DataFrame) -> None:
    genuine = table[table["Class"] == 0]
    figures = FIGURES["classes"]["genuine"]["quantiles"]
    for name in [*COMPONENTS, "Amount"]:
        # 1.95 / sqrt(n) is the 0.1 % critical value of the Kolmogorov-Smirnov test.
        assert distance(genuine[name], figures[name]) < 1.95 / np.sqrt(len(genuine)), name


def test_frauds_have_the_published_quantiles_but_for_the_overlap(table: pd.DataFrame) -> None:
    frauds = table[table["Class"] == 1]
    figures = FIGURES["classes"]["fraud"]["quantiles"]
    for name in [*COMPONENTS, "Amount"]:
        noise = 1.95 / np.sqrt(len(frauds))
        assert distance(frauds[name], figures[name]) < simulation.OVERLAP + noise, name


@pytest.mark.parametrize(("label", "tolerance"), [("genuine", 0.03), ("fraud", 0.13)])
def test_features_correlate_as_published(table: pd.DataFrame, label: str, tolerance: float) -> None:
    rows = table.loc[table["Class"] == (label == "fraud"), COMPONENTS]
    scores = norm.ppf(rows.rank() / (len(rows) + 1))
    order = [NAMES.index(name) for name in COMPONENTS]
    published = np.array(FIGURES["classes"][label]["correlation"])[np.ix_(order, order)]
    assert np.abs(np.corrcoef(scores, rowvar=False) - published).max() < tolerance


def test_extremes_come_together_as_in_the_real_data(table: pd.DataFrame) -> None:
    genuine = table.loc[table["Class"] == 0, COMPONENTS]
    level = genuine.rank() / (len(genuine) + 1)
    extremes = ((level < 0.01) | (level > 0.99)).sum(axis=1)
    # The real sample has 0.017; independent extremes would have next to none.
    assert 0.010 < (extremes >= 6).mean() < 0.025


def test_the_features_that_matter_in_the_real_data_matter_here(table: pd.DataFrame) -> None:
    gains = pd.Series(booster(table).feature_importance("gain"), NAMES)
    strongest = set(gains.nlargest(8).index)
    assert len(strongest & {"V14", "V17", "V10", "V4", "V12"}) >= 4
    assert gains.idxmax() in {"V14", "V17"}


def test_frauds_overlap_with_genuine_transactions_as_real_ones_do() -> None:
    learnt, held_out = simulate(40_000, 800, seed=1), simulate(40_000, 800, seed=2)
    assert 0.80 < average_precision(booster(learnt), held_out) < 0.95


def test_a_shift_moves_a_mean_by_its_deviations_and_touches_nothing_else() -> None:
    before = simulate(4_000, 80, seed=7)
    after = simulate(4_000, 80, seed=7, drift=Drift(shift={"V4": 1.5, "V20": -0.25}))
    for name, sds in {"V4": 1.5, "V20": -0.25}.items():
        moved = after[name] - before[name]
        assert np.allclose(moved, sds * before[name].std(ddof=0))
    rest = [name for name in before.columns if name not in ("V4", "V20")]
    pd.testing.assert_frame_equal(after[rest], before[rest])


@pytest.mark.parametrize("sds", [-0.2, 0.5, 2.0])
def test_a_shift_of_amounts_moves_their_mean_and_keeps_them_amounts(sds: float) -> None:
    before = simulate(4_000, 80, seed=7)
    after = simulate(4_000, 80, seed=7, drift=Drift(shift={"Amount": sds}))
    moved = after["Amount"].mean() - before["Amount"].mean()
    assert moved == pytest.approx(sds * before["Amount"].std(ddof=0), abs=0.01)
    assert (after["Amount"] >= 0).all()
    assert np.allclose(after["Amount"] * 100, (after["Amount"] * 100).round(), atol=1e-6)
    rest = [name for name in before.columns if name != "Amount"]
    pd.testing.assert_frame_equal(after[rest], before[rest])


def test_no_drift_changes_nothing() -> None:
    pd.testing.assert_frame_equal(simulate(2_000, 40, drift=Drift()), simulate(2_000, 40))


def test_a_new_pattern_changes_its_share_of_the_frauds_alone() -> None:
    before = simulate(4_000, 80, seed=7)
    after = simulate(4_000, 80, seed=7, drift=Drift(new_pattern=0.25))
    changed = (before != after).any(axis=1)
    assert changed.sum() == 20
    assert (before.loc[changed, "Class"] == 1).all()
    pd.testing.assert_frame_equal(after[["Time", "Class"]], before[["Time", "Class"]])


def test_a_new_pattern_looks_genuine_where_known_frauds_stand_out() -> None:
    table = simulate(15_000, 1_000, seed=7, drift=Drift(new_pattern=1.0))
    frauds = table[table["Class"] == 1]
    figures = FIGURES["classes"]["genuine"]["quantiles"]
    for name in ("V14", "V17", "V10", "V4", "V12"):
        # Known frauds are 0.76 to 0.86 away; what little is left is noise.
        assert distance(frauds[name], figures[name]) < 0.1, name


def test_a_new_pattern_evades_an_old_model_and_can_be_learnt() -> None:
    old = booster(simulate(15_000, 300, seed=1))
    retrained = booster(simulate(15_000, 300, seed=2, drift=Drift(new_pattern=1.0)))
    usual = simulate(15_000, 300, seed=3)
    drifted = simulate(15_000, 300, seed=3, drift=Drift(new_pattern=1.0))
    assert average_precision(old, usual) > 0.75
    assert average_precision(old, drifted) < 0.15
    assert average_precision(retrained, drifted) > 0.75


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"rows": 0, "frauds": 0}, "rows=0"),
        ({"rows": -5, "frauds": 0}, "rows=-5"),
        ({"rows": 100, "frauds": -1}, "frauds=-1"),
        ({"rows": 100, "frauds": 100}, "frauds=100"),
        ({"rows": 100}, "frauds=492"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_counts_that_make_no_sense_are_refused(arguments: dict[str, int], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        simulate(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shift", "new_pattern", "named"),
    [
        ({"V99": 1.0}, 0.0, "V99"),
        ({"Class": 1.0}, 0.0, "Class"),
        ({"Time": 1.0}, 0.0, "Time"),
        ({"V1": float("nan")}, 0.0, "V1=nan"),
        ({"V1": float("inf")}, 0.0, "V1=inf is invalid"),
        ({}, -0.1, "-0.1"),
        ({}, 1.1, "1.1"),
        ({}, float("nan"), "nan"),
    ],
)
def test_a_drift_that_makes_no_sense_is_refused(
    shift: dict[str, float], new_pattern: float, named: str
) -> None:
    with pytest.raises(ParameterError, match=named):
        Drift(shift=shift, new_pattern=new_pattern)


def test_a_shift_that_would_turn_amounts_negative_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"Amount=-5.*least -0\.\d"):
        simulate(2_000, 40, drift=Drift(shift={"Amount": -5.0}))


def test_a_rhythm_brings_bursts_and_a_swing_and_keeps_the_rest() -> None:
    plain = simulate(20_000, 600, seed=7)
    pd.testing.assert_frame_equal(plain, simulate(20_000, 600, seed=7, rhythm=None))
    table = simulate(20_000, 600, seed=7, rhythm=Rhythm(swing=0.8, burst=4))
    assert (len(table), table["Class"].sum()) == (20_000, 600)
    assert table["Time"].is_monotonic_increasing
    fraud_hours = [
        np.bincount((t.loc[t["Class"] == 1, "Time"] // 3600).astype(int), minlength=48)
        for t in (plain, table)
    ]
    before, after = (counts.var(ddof=1) / counts.mean() for counts in fraud_hours)
    # The simulated volume has a rhythm of its own.
    assert after > before + 3
    hours = (table["Time"] // 3600 % 24).astype(int)
    swings = table[["V1", "V8", "V20"]].groupby(hours).mean() / plain[["V1", "V8", "V20"]].std()
    assert (swings.max() - swings.min() > 1.2).all()


@pytest.mark.parametrize(("swing", "burst", "named"), [(-1, 1, "swing=-1"), (0, 0.5, "burst=0.5")])
def test_a_rhythm_that_makes_no_sense_is_refused(swing: float, burst: float, named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        Rhythm(swing, burst)
