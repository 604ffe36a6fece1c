"""Export the version in a stage as a model directory.

example:
  mlflow run . -e export --env-manager local -P stage=Production -P output=model
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from pathlib import Path

from entrypoints.arguments import add_option, new_parser, parse
from fraud_model.registry.export import export
from fraud_model.registry.versions import DEFAULT_MODEL_NAME, parse_stage
from fraud_model.stores import reach_store
from fraud_model.tracking import name_run


def main() -> None:
    """Exports the version and reports it."""
    parser = new_parser(__doc__)
    add_option(parser, "stage", "Production")
    add_option(parser, "model_name", DEFAULT_MODEL_NAME)
    add_option(parser, "output", "model")
    arguments = parse(parser)
    name, stage = arguments.model_name, parse_stage(arguments.stage)
    reach_store()
    name_run(f"export {name} {stage}")
    origin = export(name, stage, Path(arguments.output))
    name_run(f"export {name} version {origin['model_version']}")
    print(
        f"{origin['model_name']} version {origin['model_version']} ({origin['model_stage']}) "
        f"is in {arguments.output}"
    )


if __name__ == "__main__":
    run_entry_point(main)
