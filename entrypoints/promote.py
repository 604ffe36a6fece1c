"""Promote a version to a stage if it passes the gate.

example:
  mlflow run . -e promote --env-manager local -P version=3 -P stage=Production
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from pathlib import Path

from entrypoints.arguments import (
    add_option,
    add_thresholds,
    new_parser,
    parse,
    parse_champion,
    thresholds_from,
)
from fraud_model import commands
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry.gate_thresholds import table
from fraud_model.registry.promotion import EXPERIMENT, Moved, promote
from fraud_model.registry.versions import DEFAULT_MODEL_NAME, parse_stage
from fraud_model.tracking import open_run


def main() -> None:
    """Runs the gate, moves the version, and prints each check."""
    parser = new_parser(__doc__)
    add_option(parser, "stage", "Production")
    add_option(parser, "version", "latest")
    add_option(parser, "model_dir", "")
    add_option(parser, "model_name", DEFAULT_MODEL_NAME)
    add_option(parser, "champion", "stage")
    add_thresholds(parser)
    arguments = parse(parser)
    compared = parse_champion(arguments.champion)
    name, version = arguments.model_name, arguments.version
    if arguments.model_dir:
        origin = ModelDirectory(Path(arguments.model_dir)).required_origin()
        name, version = origin["model_name"], origin["model_version"]
    with open_run("promote", EXPERIMENT):
        print(f"checking {name} version {version} against the gate")
        moved = promote(
            name,
            version,
            parse_stage(arguments.stage),
            thresholds_from(arguments),
            compared=compared,
        )
    report(moved)
    print(commands.shown("version", commands.version_page(moved.name, moved.version)))


def report(moved: Moved) -> None:
    """Prints the checks with what else there is to say, and which version is in the stage now."""
    if moved.before == moved.version:
        print(f"{moved.name} version {moved.version} is already in {moved.stage}")
        return
    if moved.checks:
        print(table(moved.checks))
    for note in moved.notes:
        print(f"note: {note}")
    print(
        f"{moved.name} version {moved.version} is now in {moved.stage}"
        + (f"; version {moved.before} is archived" if moved.before else "")
    )


if __name__ == "__main__":
    run_entry_point(main)
