"""What a study leaves in MLflow, on the run that its trials lie under."""

from __future__ import annotations

import time
from dataclasses import fields

import mlflow
import optuna
from mlflow.entities import Metric, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from fraud_model.tuning.outcome import Outcome
from fraud_model.tuning.plots import draw_history, draw_importance, importance_of
from fraud_model.tuning.verdict import Verdict

REPORT_FILE = "tuning.md"


def log_outcome(run: str, study: optuna.Study, outcome: Outcome, seed: int) -> None:
    """Logs metrics, pictures, and the text as description and artifact."""
    client = mlflow.MlflowClient()
    now = int(time.time() * 1000)
    verdict = outcome.verdict
    metrics = _metrics(verdict) | {
        "trials/complete": float(outcome.complete),
        "trials/pruned": float(outcome.pruned),
        "trials/failed": float(outcome.failed),
    }
    client.log_batch(
        run,
        metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
        tags=[
            RunTag("study", outcome.study),
            RunTag("best_trial", str(outcome.winner)),
            RunTag("train_command", outcome.command),
            RunTag("tuned", verdict.standing),
        ],
    )
    pictures = {"optimisation_history": draw_history(study.trials, verdict.on_folds.default)}
    importance = importance_of(study, seed)
    if importance:
        pictures["parameter_importance"] = draw_importance(importance)
    for name, figure in pictures.items():
        client.log_figure(run, figure, f"plots/{name}.png")
    text = markdown(outcome)
    client.log_text(run, text, REPORT_FILE)
    client.set_tag(run, MLFLOW_RUN_NOTE, text)


def markdown(outcome: Outcome) -> str:
    """The outcome with its commands as blocks."""
    lines = []
    for line in outcome.text().splitlines():
        block = line.startswith("  mlflow run ")
        lines.append(f"```sh\n{line.strip()}\n```" if block else line.replace("  ", "- ", 1))
    return "\n\n".join(lines) + "\n"


def _metrics(verdict: Verdict) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for field in fields(verdict):
        gain = getattr(verdict, field.name)
        metrics |= {
            f"{field.name}/average_precision": gain.tuned,
            f"{field.name}/average_precision_of_defaults": gain.default,
            f"{field.name}/difference": gain.difference.value,
            f"{field.name}/difference_low": gain.difference.low,
            f"{field.name}/difference_high": gain.difference.high,
        }
    return metrics
