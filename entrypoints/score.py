"""Score a table of any size with a version, in batches, to Parquet files.

The scores go to the directory `output` in parts, in the order of the rows, beside the columns that
`keys` names; a directory whose name ends in .csv gets CSV files. A run that was interrupted leaves
whole parts, and the same command goes on from them. `version` takes a version of the registry other
than the one in the stage. With `monitor` the transactions are checked for drift in the same pass,
as the entry point `monitor` does; an alarm is no failure.

example:
  mlflow run . -e score --env-manager local -P data=transactions.parquet -P output=scores -P keys=id
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

import argparse
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from tqdm import tqdm

from entrypoints.arguments import add_option, new_parser, parse
from entrypoints.monitor import next_steps
from entrypoints.monitor import report as report_check
from fraud_model.data.stream import Stream
from fraud_model.model.directory import ModelDirectory
from fraud_model.monitoring.check import check
from fraud_model.monitoring.report import write_report
from fraud_model.monitoring.run_log import log_check, standing_alarm
from fraud_model.monitoring.target import Monitored, resolve
from fraud_model.monitoring.windows import Span
from fraud_model.registry import versions
from fraud_model.scoring.manifest import Manifest
from fraud_model.scoring.output import ending_of, open_output
from fraud_model.scoring.run_log import EXPERIMENT, beginning, log_scoring, summary
from fraud_model.scoring.scorer import Scorer
from fraud_model.scoring.table import ScoredTable
from fraud_model.tracking import log_parameters, open_run

RECORDED = ("data", "output", "keys", "reasons", "monitor", "window")


def main() -> None:
    """Scores, records, and checks for drift if that is asked for."""
    parser = new_parser(__doc__)
    add_option(parser, "data", "")
    add_option(parser, "output", "scores")
    add_option(parser, "keys", "")
    add_option(parser, "reasons", 0)
    add_option(parser, "stage", "Production")
    add_option(parser, "version", "")
    add_option(parser, "model_name", versions.DEFAULT_MODEL_NAME)
    add_option(parser, "model_dir", "")
    add_option(parser, "monitor", False)
    add_option(parser, "window", "1d")
    add_option(parser, "report", "monitoring")
    arguments = parse(parser)
    keys = list(dict.fromkeys(key.strip() for key in arguments.keys.split(",") if key.strip()))
    output = Path(arguments.output).expanduser()
    with (
        open_run(f"score {arguments.model_name}", EXPERIMENT),
        tempfile.TemporaryDirectory() as folder,
        _resolved(arguments) as chosen,
    ):
        log_parameters({name: getattr(arguments, name) for name in RECORDED})
        span = Span.parse(arguments.window)
        stream = Stream(arguments.data, Path(folder))
        scorer = Scorer(
            chosen.path,
            chosen.number,
            keys,
            arguments.reasons,
            watched=list(chosen.profile.features) if arguments.monitor else (),
            time=chosen.profile.time if arguments.monitor else None,
        )
        settings = {"keys": keys, "reasons": arguments.reasons, "format": ending_of(output)}
        asked = Manifest(stream.identity, _identity(chosen), settings)
        with open_output(output, asked) as written:
            table = ScoredTable(stream, scorer, written, chosen.profile)
            print(beginning(table, stream, chosen.label))
            if arguments.monitor:
                _check(table, chosen, span, arguments)
            else:
                with tqdm(total=stream.rows, unit=" rows", unit_scale=True) as progress:
                    table.score(progress.update)
            log_scoring(table, written.manifest, chosen.profile, chosen.label)
    print(f"{output}: {summary(table, written.manifest)}")


def _resolved(arguments: argparse.Namespace) -> AbstractContextManager[Monitored]:
    return resolve(
        arguments.model_name,
        versions.parse_stage(arguments.stage),
        arguments.model_dir,
        arguments.version,
        "score with",
    )


def _identity(chosen: Monitored) -> dict[str, str]:
    run = ModelDirectory(chosen.path).run_id
    return {"name": chosen.name, "number": chosen.number, "run": run}


def _check(
    table: ScoredTable, chosen: Monitored, span: Span, arguments: argparse.Namespace
) -> None:
    """Checks the transactions while they are scored, as `monitor` does, in a run of its own."""
    done = check(table, chosen.label, chosen.profile, span, None)
    folder = Path(arguments.report)
    parameters = {"window": arguments.window, "model_name": chosen.name}
    with open_run(f"monitor {chosen.name}") as run:
        steps = next_steps(run, {"log": arguments.data, **parameters})
        write_report(done, folder, steps)
        recorded = {"data": arguments.data, "window": arguments.window}
        standing = standing_alarm(done, chosen.version)
        log_check(done, recorded, folder, chosen.version, standing)
    report_check(done, folder, steps, chosen.name, standing)


if __name__ == "__main__":
    run_entry_point(main)
