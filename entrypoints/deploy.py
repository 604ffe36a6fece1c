"""Deploy the serving image of a version to a Hugging Face Space, and wait until it serves.

The environment variable HF_TOKEN holds a token with write access. A Space that does not come up
with the version gets its previous files back.

example:
  mlflow run . -e deploy --env-manager local -P space=user/fraud-detector -P dry_run=true
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

import os
import tempfile
from pathlib import Path

from entrypoints.arguments import add_option, new_parser, parse, parse_truth
from fraud_model.delivery import space
from fraud_model.delivery.bundle import assemble
from fraud_model.errors import ParameterError, SpaceError
from fraud_model.registry import versions
from fraud_model.stores import reach_store
from fraud_model.tracking import name_run


def main() -> None:
    """Uploads and waits, or lists what would be sent."""
    parser = new_parser(__doc__)
    add_option(parser, "space", "")
    add_option(parser, "stage", "Production")
    add_option(parser, "model_name", versions.DEFAULT_MODEL_NAME)
    add_option(parser, "model_dir", "")
    add_option(parser, "patience", 1200.0)
    add_option(parser, "dry_run", "false")
    arguments = parse(parser)
    stage, dry_run = (
        versions.parse_stage(arguments.stage),
        parse_truth("dry_run", arguments.dry_run),
    )
    name, token = arguments.space, os.environ.get("HF_TOKEN", "")
    if name.count("/") != 1:
        raise ParameterError(f"space={name!r} is invalid: expected user/name.")
    if not token and not dry_run:
        raise ParameterError("HF_TOKEN is not set. Export a token with write access to the Space.")
    if not arguments.model_dir:
        reach_store()
    name_run(f"deploy to {name}")
    with tempfile.TemporaryDirectory() as folder:
        bundle = assemble(Path(folder), arguments.model_name, stage, arguments.model_dir)
        if dry_run:
            for path, content in space.contents(bundle).items():
                print(f"{len(content):>12,}  {path}")
            print(f"{bundle.name} version {bundle.version} would go to {name}. Nothing was sent.")
            return
        commit = space.upload(name, bundle, token)
    print(f"{len(commit.sent)} files sent, {len(commit.removed)} removed: {commit.url}")
    try:
        address = space.wait_until_served(name, bundle, token, print, arguments.patience)
    except SpaceError as error:
        back = space.restore(name, commit, token)
        then = "Its previous files are back." if back else "It served nothing before."
        raise SpaceError(f"{error} {then}") from error
    print(f"{address} serves {bundle.name} version {bundle.version}")


if __name__ == "__main__":
    run_entry_point(main)
