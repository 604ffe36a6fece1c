"""Train a detector, promote it to Production, and show how to serve and query it.

example:
  mlflow run . -P data=creditcard.csv
"""

from __future__ import annotations

import json

import mlflow.artifacts

from entrypoints import promote as promotion_report
from entrypoints import train as training_report
from entrypoints.arguments import (
    add_config,
    add_thresholds,
    config_from,
    new_parser,
    thresholds_from,
)
from entrypoints.reporting import run_entry_point
from fraud_model.registry.promotion import promote
from fraud_model.tracking import open_run
from fraud_model.training.pipeline import Trained, train

PORT = 5001


def main() -> None:
    """Trains and promotes; the promotion is a run of its own under the training run."""
    parser = new_parser(__doc__)
    add_config(parser)
    add_thresholds(parser)
    arguments = parser.parse_args()
    config, limits = config_from(arguments), thresholds_from(arguments)
    with open_run("train and promote"):
        trained = train(config)
        training_report.report(trained)
        with open_run("promote"):
            moved = promote(trained.name, trained.version, "Production", limits)
    promotion_report.report(moved)
    print(_how_to_use(trained))


def _how_to_use(trained: Trained) -> str:
    example = mlflow.artifacts.load_dict(
        f"models:/{trained.name}/{trained.version}/serving_input_example.json"
    )
    split = example["dataframe_split"]
    row = dict(zip(split["columns"], split["data"][0], strict=True))
    body = json.dumps({"dataframe_records": [row]})
    return (
        f"\nserve:\n  mlflow models serve -m models:/{trained.name}/Production -p {PORT}\n"
        f"query:\n  curl localhost:{PORT}/invocations -H 'Content-Type: application/json' "
        f"-d '{body}'"
    )


if __name__ == "__main__":
    run_entry_point(main)
