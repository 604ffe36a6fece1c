"""Champion and shadow are compared on days whose labels are known, and on no others."""

from __future__ import annotations

import numpy as np
import pytest

from fraud_model.data.label_table import LabelTable
from fraud_model.data.labels import IGNORE_UNLABELLED, LabelRule
from fraud_model.data.traffic import Shadowed
from fraud_model.monitoring.shadow_comparison import ShadowTally

DAY = 86_400
ROWS = 1_000


def part(day: int) -> Shadowed:
    """A day of transactions that both scored, every 20th of them a fraud that the shadow sees."""
    fraud = np.arange(ROWS) % 20 == 0
    random = np.random.default_rng(day)
    champion = random.uniform(0, 0.5, ROWS)
    shadow = np.where(fraud, 0.9, champion)
    return Shadowed(
        version="2",
        seconds=day * DAY + np.linspace(0, DAY - 1, ROWS),
        champion=champion,
        shadow=shadow,
        champion_flagged=champion >= 0.5,
        shadow_flagged=shadow >= 0.5,
        keys=[(f"{day}-{i}", "0") for i in range(ROWS)],
    )


FRAUDS = LabelTable(
    ("request_id", "row"),
    {(f"{day}-{i}", "0"): 1.0 for day in range(3) for i in range(0, ROWS, 20)},
    0,
)


@pytest.mark.parametrize(
    ("rule", "labelled"),
    [
        # Frauds alone say nothing, and neither do those of days that are not over.
        (IGNORE_UNLABELLED, 0),
        (LabelRule(1.0 * DAY, "genuine"), 2 * ROWS),
        (LabelRule(1.5 * DAY, "genuine"), ROWS),
    ],
)
def test_a_day_counts_once_its_labels_are_known(rule: LabelRule, labelled: int) -> None:
    tally = ShadowTally("2", rule)
    for day in range(3):
        tally.add(part(day), FRAUDS)
    compared = tally.result(alert_budget=50, now=3.0 * DAY)
    assert compared.rows == 3 * ROWS
    assert (compared.labelled, compared.frauds) == (labelled, labelled // 20)
    if labelled:
        assert compared.difference
        assert compared.difference.low > 0
    else:
        assert "only labels tell" in compared.verdict()
