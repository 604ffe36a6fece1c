"""Train a detector on labelled transactions and register it as a model version.

example:
  mlflow run . -e train --env-manager local -P data=data/creditcard.csv -P threshold=precision:0.9
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from entrypoints.arguments import add_config, config_from, new_parser, parse
from fraud_model import commands
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.versions import DEFAULT_MODEL_NAME
from fraud_model.tracking import open_run
from fraud_model.training.pipeline import Trained, train


def main() -> None:
    """Trains, and says what came out and what to do next."""
    parser = new_parser(__doc__)
    add_config(parser)
    arguments = parse(parser)
    with open_run("train"):
        trained = train(config_from(arguments))
    report(trained)
    print(commands.shown("version", commands.version_page(trained.name, trained.version)))
    promote = {"version": trained.version, "stage": "Production"}
    if trained.name != DEFAULT_MODEL_NAME:
        promote["model_name"] = trained.name
    if trained.result.alert_budget != GateThresholds.alert_budget:
        promote["alert_budget"] = f"{trained.result.alert_budget:g}"
    print(f"next: {commands.mlflow_run('promote', **promote)}")


def report(trained: Trained) -> None:
    """Prints the version and its main metrics on the holdout."""
    result = trained.result
    held = result.metrics["holdout"]
    print(
        f"{trained.name} version {trained.version}, trained on {result.dataset.kind} data "
        f"({result.dataset.source})\n"
        f"  holdout: average precision {held.average_precision:.4f} "
        f"[{held.average_precision_low:.4f}, {held.average_precision_high:.4f}], "
        f"ROC AUC {held.roc_auc:.4f}, Brier {held.brier:.6f}\n"
        f"  where {result.decision}: {held.alerts_per_day:,.1f} alerts a day, "
        f"precision {held.precision:.4f}, recall {held.recall:.4f}, F1 {held.f1:.4f}, "
        f"accuracy {held.accuracy:.5f}\n"
        f"  at the alert budget ({held.alerts_in_budget} alerts): "
        f"precision {held.precision_at_budget:.4f}, recall {held.recall_at_budget:.4f} of "
        f"{held.recall_at_budget_reachable:.4f} within reach"
    )
    for warning in result.warnings:
        print(f"  warning: {warning}".replace("\n", "\n  "))
    if held.alerts_per_day > result.alert_budget:
        print(
            f"  warning: {held.alerts_per_day:,.1f} alerts a day are above the budget of "
            f"{result.alert_budget:g}. Choose the threshold by it: "
            f"-P threshold=alerts:{result.alert_budget:g}"
        )
    if result.refitted:
        print("  these are the evaluation model's; the model to serve has learned from all rows")


if __name__ == "__main__":
    run_entry_point(main)
