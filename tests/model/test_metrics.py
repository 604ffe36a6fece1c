"""Metrics have names, types and a form to be shown in, and are read as release 0.1.0 wrote them."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from fraud_model.model.metrics import Metrics, shown_rows

METRICS = Metrics(
    rows=1_000,
    frauds=10,
    accuracy=0.99,
    precision=0.5,
    recall=0.8,
    f1=0.6153846,
    roc_auc=0.95,
    average_precision=0.7,
    average_precision_low=0.6,
    average_precision_high=0.8,
    brier=0.00125,
    expected_frauds=9.5,
    alerts_per_day=16.0,
    alerts_in_budget=100,
    precision_at_budget=0.09,
    recall_at_budget=0.9,
    recall_at_budget_reachable=1.0,
    true_positives=8,
    false_positives=8,
    false_negatives=2,
    true_negatives=982,
    fraud_value_caught=12_345.6,
    fraud_value_missed=78.9,
)
WITHOUT_AMOUNTS = replace(METRICS, fraud_value_caught=None, fraud_value_missed=None)


@pytest.mark.parametrize("metrics", [METRICS, WITHOUT_AMOUNTS])
def test_what_is_written_is_read(metrics: Metrics) -> None:
    assert Metrics.read(asdict(metrics)) == metrics
    # Release 0.1.0 wrote counts as floats, and left out what it did not know.
    assert Metrics.read({**metrics.by_name(), "lift": 3.0}) == metrics


def test_what_release_0_1_0_did_not_measure_is_not_known() -> None:
    since = {"expected_frauds", "alerts_per_day", "recall_at_budget_reachable"}
    old = Metrics.read({k: v for k, v in METRICS.by_name().items() if k not in since})
    assert set(METRICS.by_name()) - set(old.by_name()) == since
    assert "| alerts a day |  | 16.0 |" in shown_rows([old, METRICS])


def test_a_missing_metric_is_an_error() -> None:
    content = asdict(METRICS)
    del content["brier"]
    with pytest.raises(KeyError, match="brier"):
        Metrics.read(content)


def test_names_are_those_of_the_fields_without_what_is_unknown() -> None:
    assert set(METRICS.by_name()) == set(asdict(METRICS))
    assert set(METRICS.by_name()) - set(WITHOUT_AMOUNTS.by_name()) == {
        "fraud_value_caught",
        "fraud_value_missed",
    }


def test_rows_show_one_column_each() -> None:
    rows = shown_rows([METRICS, WITHOUT_AMOUNTS])
    assert "| average precision | 0.700 [0.600, 0.800] | 0.700 [0.600, 0.800] |" in rows
    assert "| Brier score | 0.00125 | 0.00125 |" in rows
    assert "| fraud value caught (sum of amounts) | 12,346 |  |" in rows
    (recall,) = shown_rows(
        [METRICS, replace(METRICS, recall=0.75)],
        ["recall"],
        [{"recall": (0.5, 0.9)}, {}],
        difference=True,
    )
    assert recall == "| recall at the threshold | 0.800 [0.500, 0.900] | 0.750 | +0.050 |"
    assert not [row for row in shown_rows([WITHOUT_AMOUNTS]) if "fraud value" in row]
