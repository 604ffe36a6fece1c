"""The parameters of the entry points: their help, how they are read, and what is refused."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from entrypoints.reporting import entry_point
from fraud_model.commands import temporary_copy_of
from fraud_model.errors import ParameterError
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.tracking import name_run
from fraud_model.training.config import Hyperparameters, TrainingConfig

HELP = {
    "data": "CSV, Parquet, JSON or Feather file, folder, pattern, address (https, s3, gs, abfss, a "
    "database), kaggle, simulated, or auto (data/creditcard.csv where it exists, else simulated)",
    "query": "SQL that selects the transactions, where data is the address of a database",
    "target": "column that says which transactions are fraud",
    "fraud": "value of the target that means fraud, unless that is 1, true or yes",
    "columns": "YAML file that says what columns are, where that is not to be inferred",
    "exclude": "names of columns to leave out, with commas between",
    "include": "names of the only features, with commas between",
    "missing": "refuse a missing value in a column that had none, or accept it",
    "time_unit": "unit of a time that is a number: ns, us, ms, s, min, h, d, or auto",
    "time_column": "column with the time, a date or a number; optional under its default name",
    "amount_column": "column with the amount of money; optional under its default name",
    "split": "time (the last 20 %% are held out) or stratified",
    "threshold": "f1, precision:P, recall:R, alerts:N (a day), cost:C (flags where probability x "
    "amount reaches the cost C of a review), or a number",
    "alert_budget": "alerts that people can review in a day",
    "model_name": "name of the registered model",
    "keep_holdout": "true keeps the holdout's rows with the run, false the scores alone",
    "refit": "true fits the model to serve on all rows once it has been evaluated, false does not",
    "label_delay": "how late labels are, such as 7d; 0 if they are known at once",
    "unlabelled": "what an empty label means after that delay: ignore (left out) or genuine",
    "fraud_rate": "share of frauds in the traffic, if genuine rows of the table were thinned; "
    "0 for the table's own",
    "risk_bounds": "probabilities from which the risk is Medium and High, such as 0.1,0.7; auto "
    "for the threshold and 0.7",
    "slices": "names of columns by whose values the card compares groups, with commas between",
    "cluster": "Dask cluster to train on: tcp://host:8786, or local:2 for two workers on this "
    "machine; empty trains in this process",
    "stage": "Staging or Production",
    "version": "a version number, or latest",
    "learning_rate": "shrinkage of each tree",
    "rounds": "maximum number of trees",
    "early_stopping_rounds": "rounds without improvement that end training; 0 turns it off",
    "num_leaves": "maximum number of leaves in a tree",
    "min_child_samples": "minimum number of transactions in a leaf",
    "min_sum_hessian_in_leaf": "minimum sum of p (1 - p) in a leaf",
    "lambda_l1": "L1 regularisation of leaf values",
    "lambda_l2": "L2 regularisation of leaf values",
    "feature_fraction": "share of features that each tree may use",
    "bagging_fraction": "share of transactions that each tree is drawn from; 1 for all",
    "cat_smooth": "how many transactions a category's value is smoothed by",
    "seed": "seed for sampling and splitting",
    "seeds": "how many boosters, of seed, seed + 1 and so on, are averaged",
    "min_accuracy": "minimum accuracy on the holdout",
    "min_average_precision": "minimum average precision on the holdout",
    "min_recall_at_budget": "minimum share of the recall that the alert budget can reach",
    "min_recall": "minimum recall of the version's decision on the holdout",
    "min_precision": "minimum precision of the version's decision on the holdout",
    "max_miscalibration": "factor by which expected and seen frauds may differ",
    "tolerance": "how much lower than a champion's average precision, recall or precision may be",
    "min_frauds": "fewest frauds that neither version has learned from for a comparison",
    "min_new_days": "days that the champion has not learned, where a version is neither better "
    "nor worse",
    "champion": "stage compares with the version in the stage, none with no version",
    "source": "mirror (no account) or kaggle (KAGGLE_USERNAME and KAGGLE_KEY)",
    "output": "file or directory to write",
    "model_dir": "exported model directory to use instead of the registry",
    "champion_dir": "exported model directory to use as the champion instead of the registry's",
    "comparison": "directory to write the comparison to",
    "proposal": "directory with the files of a pull request",
    "workflow": "name of the workflow that failed",
    "image": "name of the image; the version is its tag",
    "space": "Hugging Face Space, as user/name",
    "patience": "seconds to wait until the Space serves the version",
    "log": "the server's audit log, or a CSV, CSV.gz or Parquet table of transactions",
    "labels": "table of labels, matched by request_id and row, or by the table's own key columns",
    "test_requests": "true counts what came from the server's page or a test as traffic",
    "base": "table of an earlier collect to go on from, a file or an address; may be missing where "
    "it is the output",
    "window": "1d, 12h, 30m, or a number of transactions",
    "report": "directory to write the report to",
    "keys": "names of columns to carry over beside the scores, with commas between",
    "reasons": "how many features to name for each row, those that moved its score most",
    "monitor": "true checks the transactions for drift in the same pass",
    "trials": "trials that the study has in the end, those of earlier runs among them",
    "minutes": "minutes until this run starts no further trial; 0 for no limit",
    "folds": "folds that a trial is measured on",
    "study": "name of the study; empty for one that follows from table and settings",
    "storage": "address of the database of studies, or auto (studies.db beside the tracking store)",
    "register": "true trains and registers the winner, false does not",
    "dry_run": "true lists what would be sent, and sends nothing",
}


# What a parameter means to one entry point alone.
OWN_HELP = {
    ("tune", "space"): "YAML file with the search space; empty for the built-in one",
    ("collect", "output"): "file to write, or its address in an object store (s3, gs, abfss)",
}

# Parameters that name what is written.
OUTPUTS = frozenset({"output", "report", "comparison", "proposal"})
# Parameters that name what is read; some take other words too.
INPUTS = frozenset({"base", "columns", "data", "log", "labels", "model_dir", "champion_dir"})
OWN_INPUTS = frozenset({("tune", "space")})
NO_FILES = frozenset({"auto", "kaggle", "simulated"})

KINDS = {int: "a whole number", float: "a number", str: "text"}


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ParameterError where argparse would print its usage."""

    def error(self, message: str) -> NoReturn:
        """Raises the error instead of printing it."""
        raise ParameterError(f"{message}. {_list_parameters(self)}")


def new_parser(doc: str | None) -> Parser:
    """A parser whose help is the entry point's own docstring, example included."""
    return Parser(
        prog=f"python -m entrypoints.{entry_point()}",
        description=doc,
        usage="%(prog)s [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def parse(parser: Parser) -> argparse.Namespace:
    """Reads the command line, and names the run that `mlflow run` made after the entry point.

    Raises:
        ParameterError: a parameter is unknown, or its value cannot be used.
    """
    # Before anything can be refused: a run that `mlflow run` made has a random name until then.
    name_run(entry_point())
    # MLflow passes on a parameter that MLproject does not declare under the name it was given.
    given = [_dashed(word) if word.startswith("--") else word for word in sys.argv[1:]]
    arguments, unknown = parser.parse_known_args(given)
    if unknown:
        _refuse_unknown(parser, unknown)
    _check_paths(arguments)
    return arguments


def given(parser: Parser, arguments: argparse.Namespace) -> dict[str, object]:
    """The parameters whose values are not their defaults, as `-P` takes them."""
    found = {}
    for action in parser._actions:
        value = getattr(arguments, action.dest, None)
        text = str(value).lower() if isinstance(value, bool) else value
        if action.dest != "help" and str(text) != str(action.default):
            found[action.dest] = text
    return found


def add_option(parser: Parser, name: str, default: object) -> None:
    """One option, named as the MLproject parameter, of its default's type."""
    parser.add_argument(
        f"--{name.replace('_', '-')}",
        dest=name,
        type=_reader(name, type(default)),
        # A default that is text is read as if it had been given.
        default=str(default).lower() if isinstance(default, bool) else default,
        metavar=type(default).__name__,
        help=f"{OWN_HELP.get((entry_point(), name), HELP[name])} [default: %(default)s]",
    )


def add_config(
    parser: Parser, hyperparameters: Collection[str] | None = None, without: Collection[str] = ()
) -> None:
    """One option per field of TrainingConfig and Hyperparameters, of these alone where named."""
    for field in fields(TrainingConfig):
        if field.name != "hyperparameters" and field.name not in without:
            add_option(parser, field.name, field.default)
    for field in fields(Hyperparameters):
        if hyperparameters is None or field.name in hyperparameters:
            add_option(parser, field.name, field.default)


def add_thresholds(parser: Parser) -> None:
    """One option per field of GateThresholds that the parser does not have yet."""
    for field in fields(GateThresholds):
        if not any(field.name == action.dest for action in parser._actions):
            add_option(parser, field.name, field.default)


def parse_champion(text: str) -> bool:
    """Reads `stage` or `none`: whether the champion is compared with.

    Raises:
        ParameterError: it is neither.
    """
    if text not in ("stage", "none"):
        raise ParameterError(f"champion={text!r} is invalid: expected stage or none.")
    return text == "stage"


def parse_truth(name: str, text: str) -> bool:
    """Reads true or false.

    Raises:
        ParameterError: it is neither.
    """
    if text.lower() not in ("true", "false"):
        raise ParameterError(f"{name}={text!r} is invalid: expected true or false.")
    return text.lower() == "true"


def config_from(arguments: argparse.Namespace) -> TrainingConfig:
    """The training configuration that the options describe."""
    given = vars(arguments)
    hyperparameters = Hyperparameters(
        **{f.name: given[f.name] for f in fields(Hyperparameters) if f.name in given}
    )
    own = {
        f.name: given[f.name]
        for f in fields(TrainingConfig)
        if f.name != "hyperparameters" and f.name in given
    }
    return TrainingConfig(**own, hyperparameters=hyperparameters)


def thresholds_from(arguments: argparse.Namespace) -> GateThresholds:
    """The gate thresholds that the options describe."""
    return GateThresholds(
        **{field.name: getattr(arguments, field.name) for field in fields(GateThresholds)}
    )


def _reader(name: str, kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if kind is bool:
            return parse_truth(name, text)
        try:
            return kind(text)
        except ValueError:
            raise ParameterError(f"{name}={text!r} is invalid: expected {KINDS[kind]}.") from None

    return read


def _dashed(word: str) -> str:
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def _refuse_unknown(parser: Parser, words: list[str]) -> NoReturn:
    names = [w.partition("=")[0].lstrip("-").replace("-", "_") for w in words if w.startswith("--")]
    if not names:
        raise ParameterError(f"unexpected argument {' '.join(words)!r}. {_list_parameters(parser)}")
    parts = []
    for name in names:
        close = difflib.get_close_matches(name, _parameters(parser), n=1)
        parts.append(f"{name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    raise ParameterError(f"unknown parameter {', '.join(parts)}. {_list_parameters(parser)}")


def _list_parameters(parser: Parser) -> str:
    return f"{entry_point()} takes: {', '.join(_parameters(parser))}."


def _parameters(parser: Parser) -> list[str]:
    return sorted(action.dest for action in parser._actions if action.dest != "help")


def _check_paths(arguments: argparse.Namespace) -> None:
    """Refuses relative paths if `mlflow run` has fetched the project into a temporary folder.

    The caller's files are not there, and output would be lost. MLproject's type `path`, which
    MLflow makes absolute, allows no empty default, no word instead of a file, and no file that does
    not exist yet.
    """
    for name, value in vars(arguments).items():
        is_input = name in INPUTS or (entry_point(), name) in OWN_INPUTS
        if not is_input and name not in OUTPUTS:
            continue
        if value in NO_FILES or not value or "://" in value:
            continue
        path = Path(value).expanduser()
        if path.is_absolute() or (is_input and path.exists()):
            continue
        address = temporary_copy_of()
        if address is None:
            continue
        raise ParameterError(
            f"{name}={value!r} is relative, and `mlflow run` runs {address} in a temporary folder. "
            f"Give an absolute path: -P {name}=/…/{path.name}"
        )
