"""Put back the version that was in a stage before the current one.

example:
  mlflow run . -e rollback --env-manager local
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from entrypoints.arguments import add_option, new_parser, parse
from entrypoints.promote import report
from fraud_model import commands
from fraud_model.registry.promotion import EXPERIMENT, rollback
from fraud_model.registry.versions import DEFAULT_MODEL_NAME, parse_stage
from fraud_model.tracking import open_run


def main() -> None:
    """Rolls back to the version that the ledger names."""
    parser = new_parser(__doc__)
    add_option(parser, "stage", "Production")
    add_option(parser, "model_name", DEFAULT_MODEL_NAME)
    arguments = parse(parser)
    with open_run("rollback", EXPERIMENT):
        moved = rollback(arguments.model_name, parse_stage(arguments.stage))
    report(moved)
    print(commands.shown("version", commands.version_page(moved.name, moved.version)))


if __name__ == "__main__":
    run_entry_point(main)
