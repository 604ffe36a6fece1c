"""Make a training table of the server's audit log and the labels that have arrived.

The table holds request id, row, time and version of each scored row, its features as they were
sent, and its label: 1, 0, or nothing while it is not known. `base` is an earlier table, whose rows
come first; labels that have arrived since are theirs too. What a shadow scored, what was refused,
and what the server's page or a test sent is left out.

example:
  mlflow run . -e collect --env-manager local -P log=audit.jsonl -P labels=labels.csv -P label_delay=30d -P unlabelled=genuine
"""  # noqa: E501

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from dataclasses import fields
from pathlib import Path

import mlflow

from entrypoints.arguments import add_option, new_parser, parse
from fraud_model.commands import mlflow_run
from fraud_model.data.collect import Collected, collect
from fraud_model.data.label_table import read_label_table
from fraud_model.data.labels import LabelRule
from fraud_model.data.sent_rows import REQUEST, ROW, SentRows
from fraud_model.errors import ParameterError
from fraud_model.registry import versions
from fraud_model.tracking import log_parameters, open_run
from fraud_model.training.config import TrainingConfig

# What a version was trained with and its successor should be, too.
HANDED_ON = ("time_column", "amount_column", "missing", "time_unit", "split", "threshold")
# Counts of what is not in the table.
LEFT_OUT = (
    "double_rows",
    "torn_lines",
    "unreadable_lines",
    "refused_requests",
    "shadow_lines",
    "page_and_test_lines",
    "other_models_lines",
)


def main() -> None:
    """Collects, records the counts, and says how to train on the table."""
    parser = new_parser(__doc__)
    add_option(parser, "log", "")
    add_option(parser, "labels", "")
    add_option(parser, "output", "collected.parquet")
    add_option(parser, "base", "")
    add_option(parser, "target", "Class")
    add_option(parser, "fraud", "")
    add_option(parser, "label_delay", "0")
    add_option(parser, "unlabelled", "ignore")
    add_option(parser, "test_requests", False)
    add_option(parser, "model_name", versions.DEFAULT_MODEL_NAME)
    arguments = parse(parser)
    with open_run("collect"):
        log_parameters(vars(arguments))
        for name in ("log", "labels"):
            if not getattr(arguments, name):
                what = "server's audit log" if name == "log" else "table of labels"
                raise ParameterError(f"{name} is empty: name the {what} with -P {name}=.")
        rule = LabelRule.parse(arguments.label_delay, arguments.unlabelled)
        labels = read_label_table(
            Path(arguments.labels).expanduser(), arguments.target, (REQUEST, ROW), arguments.fraud
        )
        sent = SentRows(
            Path(arguments.log).expanduser(),
            arguments.model_name,
            with_marked=arguments.test_requests,
        )
        print(f"collecting the transactions in {arguments.log}")
        done = collect(
            sent,
            labels,
            rule,
            arguments.target,
            Path(arguments.output).expanduser(),
            Path(arguments.base).expanduser() if arguments.base else None,
        )
        mlflow.log_metrics({name: float(value) for name, value in counts(done).items()})
    report(done, arguments.output)
    train = handed_on(arguments.model_name, done.columns)
    if rule.delay and train.get("time_column", "Time") in done.columns:
        train |= {"label_delay": arguments.label_delay, "unlabelled": arguments.unlabelled}
    if arguments.model_name != versions.DEFAULT_MODEL_NAME:
        train["model_name"] = arguments.model_name
    print(f"next: {mlflow_run(data=arguments.output, target=arguments.target, **train)}")


def counts(done: Collected) -> dict[str, int]:
    """What was counted, by name."""
    seen = done.seen
    return {
        "rows": done.rows,
        "new_rows": done.new,
        "frauds": done.frauds,
        "genuine": done.genuine,
        "not_known_yet": done.unknown,
        "younger_than_label_delay": done.young,
        "corrected_labels": done.corrected,
        "versions": len(seen.versions),
        "features_of_some_versions": len(done.partly),
        "features_as_text": len(done.as_text),
        "double_rows": done.doubles,
        "lines": seen.tally.lines,
        "torn_lines": seen.tally.torn,
        "unreadable_lines": seen.tally.unreadable,
        "refused_requests": seen.refused,
        "shadow_lines": seen.shadow,
        "page_and_test_lines": seen.tally.marked.total(),
        "other_models_lines": seen.tally.other_versions.total(),
    }


def report(done: Collected, output: str) -> None:
    """Prints what was collected and what was left out."""
    count = counts(done)
    print(
        f"{output}: {done.rows:,} rows, {done.new:,} of them new; {done.frauds:,} frauds, "
        f"{done.genuine:,} genuine, {done.unknown:,} not known yet "
        f"({done.young:,} younger than the label delay)"
    )
    print(f"  {count['lines']:,} lines in {done.seen.tally.files} files")
    for version, rows in done.seen.versions.items():
        print(f"  scored by version {version or 'unregistered'}: {rows:,}")
    left_out = [f"{count[name]:,} {name.replace('_', ' ')}" for name in LEFT_OUT if count[name]]
    if left_out:
        print(f"  left out: {', '.join(left_out)}")
    if done.corrected:
        print(f"  {done.corrected:,} labels of the earlier table have changed")
    if done.partly:
        print(f"  not in the rows of all versions, and empty there: {', '.join(done.partly)}")
    if done.as_text:
        print(f"  text here, because versions took different kinds: {', '.join(done.as_text)}")


def handed_on(model_name: str, columns: tuple[str, ...]) -> dict[str, object]:
    """The parameters of the version in Production that the next training should have, too.

    Nothing without such a version.
    """
    version = versions.current_version(model_name, "Production")
    if version is None or not version.run_id:
        return {}
    given = mlflow.get_run(version.run_id).data.params
    default = {field.name: str(field.default) for field in fields(TrainingConfig)}
    return {
        name: given[name]
        for name in HANDED_ON
        if name in given
        and given[name] != default[name]
        and (not name.endswith("_column") or given[name] in columns)
    }


if __name__ == "__main__":
    run_entry_point(main)
