"""The search space: what is built in, what a file may say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from fraud_model.errors import ParameterError
from fraud_model.training.config import Hyperparameters
from fraud_model.tuning.space import default_space, read_space

DEFAULTS = Hyperparameters(seed=3)


def test_the_defaults_lie_in_the_built_in_space() -> None:
    space = default_space(DEFAULTS, categories=True)
    assert space.holds(DEFAULTS)
    # Without a category there is nothing to smooth.
    assert set(space.dimensions) - set(default_space(DEFAULTS, categories=False).dimensions) == {
        "cat_smooth"
    }


def test_a_trial_takes_from_the_file_and_leaves_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "num_leaves: {low: 4, high: 8}\nlearning_rate: {low: 0.01, high: 0.1, log: true}\n"
        "rounds: [20, 40]\nlambda_l2: 3\n"
    )
    space = read_space(str(file), DEFAULTS)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        drawn = space.suggest(study.ask())
        assert 4 <= drawn.num_leaves <= 8
        assert drawn.rounds in (20, 40)
        assert 0.01 <= drawn.learning_rate <= 0.1
        # Short enough for the command that trains with it.
        assert drawn.learning_rate == float(f"{drawn.learning_rate:.4g}")
        assert drawn.lambda_l2 == 3
        assert (drawn.seed, drawn.feature_fraction) == (3, DEFAULTS.feature_fraction)
    assert not space.holds(DEFAULTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("num_leafs: 3\n", "did you mean 'num_leaves'"),
        ("seed: [1, 2]\n", "seed cannot be searched"),
        ("num_leaves: {low: 9, high: 4}\n", "low=9 is above high=4"),
        ("num_leaves: {low: 1, high: 4}\n", "num_leaves=1 is invalid"),
        ("num_leaves: [4.5, 8]\n", "4.5 is no whole number"),
        ("lambda_l2: {low: 0, high: 4, log: true}\n", "a logarithm needs low above 0"),
        ("lambda_l2: {low: 0, hihg: 4}\n", "'hihg'"),
        ("lambda_l2: none\n", "lambda_l2 is 'none'"),
        ("lambda_l2: 4\n", "leaves nothing to search"),
        ("- 1\n", "expected hyperparameters by name"),
        ("a: [\n", "is no YAML file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(
    tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(ParameterError) as refused:
        read_space(str(file), DEFAULTS)
    assert told in str(refused.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ParameterError, match=r"nowhere\.yaml"):
        read_space("nowhere.yaml", DEFAULTS)
