"""Train a detector, promote it to Production, and show how to serve and query it.

example:
  mlflow run . --env-manager local -P data=data/creditcard.csv
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

import json
import shlex

import mlflow.artifacts

from entrypoints import promote as promotion_report
from entrypoints import train as training_report
from entrypoints.arguments import (
    add_config,
    add_option,
    add_thresholds,
    config_from,
    new_parser,
    parse,
    parse_champion,
    thresholds_from,
)
from fraud_model import commands
from fraud_model.registry.promotion import promote
from fraud_model.tracking import open_run, rename_run
from fraud_model.training.pipeline import Trained, train

PORT = 5001


def main() -> None:
    """Trains and promotes; the promotion is a run of its own under the training run."""
    parser = new_parser(__doc__)
    add_config(parser)
    add_option(parser, "champion", "stage")
    add_thresholds(parser)
    arguments = parse(parser)
    config, limits = config_from(arguments), thresholds_from(arguments)
    compared = parse_champion(arguments.champion)
    with open_run("train and promote"):
        trained = train(config)
        training_report.report(trained)
        print("checking it against the gate")
        with open_run("promote"):
            moved = promote(trained.name, trained.version, "Production", limits, compared=compared)
        rename_run(f"{trained.label}: trained, now in {moved.stage}")
    promotion_report.report(moved)
    print(_how_to_use(trained))


def _how_to_use(trained: Trained) -> str:
    example = mlflow.artifacts.load_dict(
        f"models:/{trained.name}/{trained.version}/serving_input_example.json"
    )
    serve = commands.models_serve(f"models:/{trained.name}/Production", PORT)
    split = example["dataframe_split"]
    row = dict(zip(split["columns"], split["data"][0], strict=True))
    body = shlex.quote(json.dumps({"dataframe_records": [row]}))
    page = commands.version_page(trained.name, trained.version)
    return (
        f"\n{commands.shown('version', page)}\n"
        f"serve:\n  {serve}\n"
        f"query:\n  curl localhost:{PORT}/invocations -H 'Content-Type: application/json' -d {body}"
    )


if __name__ == "__main__":
    run_entry_point(main)
