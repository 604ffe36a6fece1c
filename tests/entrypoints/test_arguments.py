"""A wrong parameter is answered with the right ones."""

from __future__ import annotations

import sys

import pytest

from entrypoints import main, monitor, train
from entrypoints.arguments import add_config, add_thresholds, config_from, new_parser, parse
from fraud_model.errors import ParameterError
from tests.support.environment import REPOSITORY


def refusal(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    with pytest.raises(ParameterError) as raised:
        train.main()
    return str(raised.value)


def test_an_unknown_parameter_gets_the_closest_and_all(monkeypatch: pytest.MonkeyPatch) -> None:
    # As `mlflow run . -e train -P roundz=5` passes it on.
    said = refusal(monkeypatch, "--rounds", "400", "--roundz", "5")
    assert "'roundz'" in said
    assert "'rounds'" in said
    _, _, listed = said.partition("train takes: ")
    assert set(listed.rstrip(".").split(", ")) >= {"rounds", "data", "min_sum_hessian_in_leaf"}


def test_an_abbreviation_is_no_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "'round'" in refusal(monkeypatch, "--round", "5")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("rounds", "abc", "whole number"),
        ("rounds", "", "whole number"),
        ("rounds", "4.5", "whole number"),
        ("learning_rate", "much", "number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(
    monkeypatch: pytest.MonkeyPatch, option: str, value: str, expected: str
) -> None:
    said = refusal(monkeypatch, f"--{option.replace('_', '-')}", value)
    assert f"{option}={value!r}" in said
    assert expected in said


def test_a_parameter_that_mlproject_does_not_declare_for_main_is_taken_under_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["main.py", "--min_child_samples", "7"])
    parser = new_parser(main.__doc__)
    add_config(parser)
    add_thresholds(parser)
    assert config_from(parse(parser)).hyperparameters.min_child_samples == 7


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--log", "audit.jsonl"], "log"),
        (["--log", "/somewhere/audit.jsonl", "--labels", "labels.csv"], "labels"),
        (["--log", "/somewhere/audit.jsonl"], "report"),
    ],
)
def test_a_relative_path_is_refused_in_a_temporary_copy(
    monkeypatch: pytest.MonkeyPatch, words: list[str], name: str
) -> None:
    address = "https://example.invalid/fraud.git"
    monkeypatch.setattr("entrypoints.arguments.temporary_copy_of", lambda: address)
    monkeypatch.setattr(sys, "argv", ["monitor.py", *words])
    with pytest.raises(ParameterError, match=rf"^{name}=.*{address}.*absolute path: -P {name}=/"):
        monitor.main()


@pytest.mark.parametrize(
    "data", ["auto", "simulated", "https://example.invalid/t.csv", "MLproject"]
)
def test_what_is_no_file_of_the_callers_is_taken_in_a_temporary_copy(
    monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    monkeypatch.setattr(
        "entrypoints.arguments.temporary_copy_of", lambda: "https://example.invalid"
    )
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", data])
    monkeypatch.chdir(REPOSITORY)
    parser = new_parser(train.__doc__)
    add_config(parser)
    assert parse(parser).data == data


@pytest.mark.parametrize(("words", "kept"), [([], True), (["--keep-holdout", "false"], False)])
def test_truths_are_read(monkeypatch: pytest.MonkeyPatch, words: list[str], kept: bool) -> None:
    monkeypatch.setattr(sys, "argv", ["train", *words])
    parser = new_parser("")
    add_config(parser)
    assert config_from(parse(parser)).keep_holdout is kept


def test_another_word_is_no_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "keep_holdout='maybe'" in refusal(monkeypatch, "--keep-holdout", "maybe")
