"""Write the version that stands in a stage as a model directory.

example:
  mlflow run . -e export -P stage=Production -P output=model
"""

from __future__ import annotations

from pathlib import Path

from entrypoints.arguments import add_option, new_parser
from entrypoints.reporting import run_entry_point
from fraud_model.registry.export import export
from fraud_model.registry.versions import DEFAULT_MODEL_NAME, parse_stage


def main() -> None:
    """Exports the version and says what was written."""
    parser = new_parser(__doc__)
    add_option(parser, "stage", "Production")
    add_option(parser, "model_name", DEFAULT_MODEL_NAME)
    add_option(parser, "output", "model")
    arguments = parser.parse_args()
    origin = export(arguments.model_name, parse_stage(arguments.stage), Path(arguments.output))
    print(
        f"{origin['model_name']} version {origin['model_version']} ({origin['model_stage']}) "
        f"is in {arguments.output}"
    )


if __name__ == "__main__":
    run_entry_point(main)
