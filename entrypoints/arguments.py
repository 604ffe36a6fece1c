"""Arguments that more than one entry point takes: of a training run, and of the gate."""

from __future__ import annotations

import argparse
from dataclasses import fields

from fraud_model.errors import ParameterError
from fraud_model.registry.gate import GateThresholds
from fraud_model.training.config import Hyperparameters, TrainingConfig

HELP = {
    "data": "CSV, CSV.gz or Parquet file, http(s) URL, kaggle, simulated, or auto",
    "target": "column with 1 for fraud and 0 for genuine",
    "time_column": "column with seconds; may be absent under its default name",
    "amount_column": "column with money; may be absent under its default name",
    "split": "time (the last 20 %% are held out) or stratified",
    "threshold": "f1, precision:P, recall:R, alerts:N a day, cost:C a review, or a number",
    "alert_budget": "alerts a day that people can review",
    "model_name": "registered model",
    "stage": "Staging or Production",
    "version": "a number, or latest",
    "learning_rate": "shrinkage of each tree",
    "rounds": "most trees",
    "early_stopping_rounds": "rounds without improvement that end the training; 0 never does",
    "num_leaves": "most leaves of a tree",
    "min_child_samples": "fewest transactions in a leaf",
    "min_sum_hessian_in_leaf": "least sum of p (1 - p) in a leaf",
    "lambda_l2": "L2 regularisation of leaf values",
    "feature_fraction": "share of features that each tree may use",
    "seed": "seed of sampling and splitting",
    "min_accuracy": "floor for the accuracy on the holdout",
    "min_average_precision": "floor for the average precision on the holdout",
    "min_recall_at_budget": "floor for the recall at the alert budget on the holdout",
    "tolerance": "average precision that may be lost against the champion",
    "source": "mirror (no account) or kaggle (KAGGLE_USERNAME and KAGGLE_KEY)",
    "output": "file or directory to write",
    "model_dir": "exported directory to take instead of asking the registry",
    "champion_dir": "exported directory that is the champion, instead of the registry's",
    "comparison": "directory to write the comparison to",
    "proposal": "directory of what a pull request carries",
    "workflow": "name of the workflow that failed",
    "image": "name of the image; its tag is the version",
    "space": "Hugging Face Space, as user/name",
    "patience": "seconds until the Space has to serve the version",
    "log": "the server's audit log, or a CSV, CSV.gz or Parquet table of transactions",
    "labels": "table of labels, found by request_id and row, or by a table's own key columns",
    "window": "1d, 12h, 30m, or a number of transactions",
    "report": "directory to write the report to",
    "dry_run": "true lists what would go, and sends nothing",
}


def new_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the entry point's own docstring, example included."""
    return argparse.ArgumentParser(
        description=doc,
        usage="%(prog)s [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_option(parser: argparse.ArgumentParser, name: str, default: object) -> None:
    """One option, named as the MLproject parameter, of its default's type."""
    parser.add_argument(
        f"--{name.replace('_', '-')}",
        dest=name,
        type=type(default),
        default=default,
        metavar=type(default).__name__,
        help=f"{HELP[name]} [default: %(default)s]",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """One option per field of TrainingConfig and Hyperparameters."""
    for field in fields(TrainingConfig):
        if field.name != "hyperparameters":
            add_option(parser, field.name, field.default)
    for field in fields(Hyperparameters):
        add_option(parser, field.name, field.default)


def add_thresholds(parser: argparse.ArgumentParser) -> None:
    """One option per field of GateThresholds that the parser does not have yet."""
    for field in fields(GateThresholds):
        if not any(field.name == action.dest for action in parser._actions):
            add_option(parser, field.name, field.default)


def parse_truth(name: str, text: str) -> bool:
    """Reads true or false.

    Raises:
        ParameterError: it is neither.
    """
    if text.lower() not in ("true", "false"):
        raise ParameterError(f"{name}={text!r}: it is true or false.")
    return text.lower() == "true"


def config_from(arguments: argparse.Namespace) -> TrainingConfig:
    """The training config that the options describe."""
    hyperparameters = Hyperparameters(
        **{field.name: getattr(arguments, field.name) for field in fields(Hyperparameters)}
    )
    own = {
        f.name: getattr(arguments, f.name)
        for f in fields(TrainingConfig)
        if f.name != "hyperparameters"
    }
    return TrainingConfig(**own, hyperparameters=hyperparameters)


def thresholds_from(arguments: argparse.Namespace) -> GateThresholds:
    """The thresholds of the gate that the options describe."""
    return GateThresholds(
        **{field.name: getattr(arguments, field.name) for field in fields(GateThresholds)}
    )
