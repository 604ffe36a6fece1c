"""Make a training table of the server's audit log and the labels that have arrived.

The table holds request id, row, time and version of each scored row, its features as they were
sent, and its label: 1, 0, or nothing while it is not known. `base` is an earlier table, whose rows
come first; labels that have arrived since are theirs too. Where it is the output itself, it may be
missing the first time. What a shadow scored, what was refused, and what the server's page or a test
sent is left out.

example:
  mlflow run . -e collect --env-manager local -P log=audit.jsonl -P labels=labels.csv -P label_delay=30d -P unlabelled=genuine
"""  # noqa: E501

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from pathlib import Path

import mlflow

from entrypoints.arguments import add_option, new_parser, parse
from fraud_model.commands import mlflow_run
from fraud_model.data.cloud import without_secrets
from fraud_model.data.collect import collect
from fraud_model.data.collected_files import local_files
from fraud_model.data.label_table import read_label_table
from fraud_model.data.labels import LabelRule
from fraud_model.data.sent_rows import REQUEST, ROW, SentRows
from fraud_model.errors import ParameterError
from fraud_model.registry import versions
from fraud_model.tracking import log_parameters, open_run, rename_run
from fraud_model.training.successor import handed_on


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
    place = without_secrets(arguments.output)
    with open_run("collect", "collecting"):
        own = {"output": place, "base": without_secrets(arguments.base)}
        log_parameters({**vars(arguments), **own})
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
        with local_files(arguments.output, arguments.base) as (output, base):
            done = collect(sent, labels, rule, arguments.target, output, base)
        mlflow.log_metrics({name: float(value) for name, value in done.counts().items()})
        rename_run(f"{arguments.model_name}: {done.rows:,} rows collected")
    print(f"{place}: {done.summary()}")
    train = handed_on(arguments.model_name, done.columns)
    if rule.delay and train.get("time_column", "Time") in done.columns:
        train |= {"label_delay": arguments.label_delay, "unlabelled": arguments.unlabelled}
    if arguments.model_name != versions.DEFAULT_MODEL_NAME:
        train["model_name"] = arguments.model_name
    print(f"next: {mlflow_run(data=place, target=arguments.target, **train)}")
    if place != arguments.output:
        print("  output= holds secrets, which are not shown: give them in data= as well")


if __name__ == "__main__":
    run_entry_point(main)
