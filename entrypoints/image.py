"""Build the serving image of a version, and keep it only if it scores as the version does.

example:
  mlflow run . -e image --env-manager local -P stage=Production
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

import tempfile
from pathlib import Path

from entrypoints.arguments import add_option, new_parser, parse
from fraud_model.delivery.bundle import assemble
from fraud_model.delivery.image import DEFAULT_NAME, build_image
from fraud_model.registry.versions import DEFAULT_MODEL_NAME, parse_stage
from fraud_model.stores import reach_store
from fraud_model.tracking import name_run


def main() -> None:
    """Builds, checks and tags the image."""
    parser = new_parser(__doc__)
    add_option(parser, "stage", "Production")
    add_option(parser, "model_name", DEFAULT_MODEL_NAME)
    add_option(parser, "model_dir", "")
    add_option(parser, "image", DEFAULT_NAME)
    arguments = parse(parser)
    stage = parse_stage(arguments.stage)
    if not arguments.model_dir:
        reach_store()
    name_run(f"image {arguments.image}")
    with tempfile.TemporaryDirectory() as folder:
        bundle = assemble(Path(folder), arguments.model_name, stage, arguments.model_dir)
        image = build_image(bundle, arguments.image)
    print(
        f"{image.name} gives {len(bundle.rows)} known rows the same scores as {bundle.name} "
        f"version {bundle.version}. {image.size / 1e6:,.0f} MB, first answer {image.seconds:.1f} s "
        f"after the start.\nrun:\n  docker run -p 7860:7860 {image.name}"
    )


if __name__ == "__main__":
    run_entry_point(main)
