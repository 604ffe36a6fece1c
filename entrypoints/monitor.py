"""Check a version's served transactions for drift, and its performance once labels are known.

`log` is the server's audit log, or a table of transactions, which the version then scores. The
exit status is 0 without alarms, 3 on an alarm, and 4 if there is too little to judge. An alarm is
posted to ALERT_WEBHOOK, if set, and signed with ALERT_WEBHOOK_SECRET, if set. The Pushgateway at
PUSHGATEWAY, if set, is told of every check. In a GitHub Actions
workflow the step's output `retrain` tells whether learning anew would help.

example:
  mlflow run . -e monitor --env-manager local -P log=audit.jsonl -P labels=labels.csv
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

import sys
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Run

from entrypoints.arguments import add_option, given, new_parser, parse
from fraud_model import commands
from fraud_model.data.labels import LabelRule
from fraud_model.data.table_traffic import SUFFIXES
from fraud_model.monitoring.check import check
from fraud_model.monitoring.pushgateway import push_check
from fraud_model.monitoring.report import HTML_FILE, write_report
from fraud_model.monitoring.result import Check
from fraud_model.monitoring.run_log import EXPERIMENT, log_check, standing_alarm
from fraud_model.monitoring.summary import NextSteps, lines, read_line
from fraud_model.monitoring.target import open_traffic, resolve
from fraud_model.monitoring.webhook import send_alarm
from fraud_model.monitoring.windows import Span
from fraud_model.registry import versions
from fraud_model.review import github
from fraud_model.tracking import open_run

RECORDED = ("log", "labels", "fraud", "label_delay", "unlabelled", "test_requests", "window")
COLLECTED = (
    "log", "labels", "fraud", "label_delay", "unlabelled", "test_requests", "model_name",
)  # fmt: skip
TRAINED = ("fraud", "label_delay", "unlabelled", "model_name")
EXIT_STATUS = {"quiet": 0, "alarm": 3, "unknown": 4}


def main() -> None:
    """Checks, reports, records, and notifies the webhook."""
    parser = new_parser(__doc__)
    add_option(parser, "log", "")
    add_option(parser, "labels", "")
    add_option(parser, "fraud", "")
    add_option(parser, "label_delay", "0")
    add_option(parser, "unlabelled", "ignore")
    add_option(parser, "test_requests", False)
    add_option(parser, "window", "1d")
    add_option(parser, "stage", "Production")
    add_option(parser, "model_name", versions.DEFAULT_MODEL_NAME)
    add_option(parser, "model_dir", "")
    add_option(parser, "report", "monitoring")
    arguments = parse(parser)
    parameters = {name: getattr(arguments, name) for name in RECORDED}
    folder = Path(arguments.report)
    with open_run(f"monitor {arguments.model_name}", EXPERIMENT) as run:
        span = Span.parse(arguments.window)
        rule = LabelRule.parse(arguments.label_delay, arguments.unlabelled)
        stage = versions.parse_stage(arguments.stage)
        with resolve(arguments.model_name, stage, arguments.model_dir) as monitored:
            traffic, labels = open_traffic(
                monitored,
                arguments.log,
                arguments.labels,
                arguments.fraud,
                test_requests=arguments.test_requests,
            )
            print(f"checking the transactions in {arguments.log}")
            done = check(traffic, monitored.label, monitored.profile, span, labels, rule)
        target = monitored.profile.target
        holds_target = target in traffic.key_columns
        steps = next_steps(run, given(parser, arguments), target if holds_target else "")
        write_report(done, folder, steps)
        github.set_output("retrain", str(done.retrain).lower())
        standing = standing_alarm(done, monitored.version)
        report(done, folder, steps, monitored.name, standing)
        log_check(done, parameters, folder, monitored.version, standing)
    status = EXIT_STATUS[done.status]
    if status:
        print(
            f"the check itself went well: exit status {status} means {done.status}, and "
            "`mlflow run` calls every other status than 0 a failed run"
        )
    sys.exit(status)


def next_steps(run: Run, parameters: Mapping[str, object], target: str = "") -> NextSteps:
    """What can be done after a check with these parameters, which `run` records.

    `target` is the label's column if `log` is a table that holds it, and can be trained on.
    """
    collected = {name: parameters[name] for name in COLLECTED if name in parameters}
    learn = ""
    if target:
        table = {"data": parameters["log"], "target": target}
        kept = {name: parameters[name] for name in TRAINED if name in parameters}
        learn = commands.mlflow_run("train", **table, **kept)
    elif not str(parameters["log"]).lower().endswith(SUFFIXES):
        learn = commands.mlflow_run("collect", **collected)
    return NextSteps(
        again=commands.mlflow_run("monitor", **parameters),
        learn=learn,
        run=commands.address(commands.run_page(run)),
        ui=commands.ui(),
    )


def report(
    done: Check, folder: Path, steps: NextSteps, name: str, standing: frozenset[str]
) -> None:
    """Prints what was found and read, and tells webhook and Pushgateway; `name` is the model's.

    `standing` is an earlier alarm that this check could not judge.
    """
    print(*lines(done, steps), f"{done.version}: {read_line(done)}", sep="\n")
    keeps = done.status == "unknown" or (done.status == "quiet" and bool(standing))
    told = [
        send_alarm(done, steps) if done.status == "alarm" else "",
        push_check(done, name, keeps_alarm=keeps),
    ]
    if standing and keeps:
        told.append("the alarm of an earlier check stands: this one could not judge it")
    print(*filter(None, told), f"run: {steps.run}", sep="\n")
    print(f"status: {done.status}; see {folder / HTML_FILE}")


if __name__ == "__main__":
    run_entry_point(main)
