"""Parts whose shares of frauds differ."""

from __future__ import annotations

import pytest

from fraud_model.training.fraud_rates import question_fraud_rates


def parts(train: int, validation: int, holdout: int, rows: int = 10_000) -> str | None:
    return question_fraud_rates(
        {
            "train": (train, 3 * rows),
            "validation": (validation, rows),
            "holdout": (holdout, rows),
        }
    )


@pytest.mark.parametrize(("validation", "holdout"), [(10, 120), (120, 10)])
def test_a_tenfold_difference_is_said_with_both_rates(validation: int, holdout: int) -> None:
    line = parts(100, validation, holdout)
    assert line is not None
    assert f"{validation / 100:.3f}% in the validation part ({validation} of 10,000)" in line
    assert f"{holdout / 100:.3f}% in the holdout part" in line


def test_the_train_part_is_compared_too() -> None:
    line = parts(6_000, 20, 30)
    assert line is not None
    assert "20.000% in the train part" in line


def test_smaller_differences_and_chance_are_not_questioned() -> None:
    assert parts(60, 20, 150) is None
    assert (
        question_fraud_rates({"train": (10, 3_000), "validation": (5, 2_000), "holdout": (5, 200)})
        is not None
    )
    assert (
        question_fraud_rates({"train": (10, 3_000), "validation": (1, 1_000), "holdout": (3, 300)})
        is None
    )
