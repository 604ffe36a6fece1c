"""A scoring in MLflow: counts, the distribution of the scores, and what they were given by."""

from __future__ import annotations

import mlflow
import numpy as np
from matplotlib.figure import Figure
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from fraud_model.data.stream import Stream
from fraud_model.evaluation.plots import ACCENT, FRAUD, GENUINE
from fraud_model.model.profile import Profile
from fraud_model.scoring.manifest import Manifest
from fraud_model.scoring.table import ScoredTable, Totals

EXPERIMENT = "scoring"
PLOT_FILE = "plots/score_distribution.png"


def beginning(table: ScoredTable, stream: Stream, label: str) -> str:
    """What is to be done, in a line, after a line for each thing recognised in the table."""
    notes = [f"{stream.place}: {note}" for note in stream.notes]
    of = f" of {stream.rows:,}" if stream.rows is not None else ""
    if table.is_complete:
        notes.append(f"all {table.done:,} rows have scores by {label}: there is nothing to score")
    elif table.done:
        notes.append(f"going on after {table.done:,}{of} rows, which have scores by {label}")
    else:
        notes.append(f"scoring {stream.place} with {label}")
    return "\n".join(notes)


def summary(table: ScoredTable, manifest: Manifest) -> str:
    """What came of it, in a line."""
    totals = table.totals
    parts = len(manifest.parts)
    rate = f", {table.rate:,.0f} rows a second" if table.rate else ""
    return (
        f"{totals.rows:,} rows in {parts:,} part{'s' * (parts != 1)}, {totals.flagged:,} flagged "
        f"({totals.flagged / totals.rows:.3%}){rate}"
    )


def log_scoring(table: ScoredTable, manifest: Manifest, profile: Profile, label: str) -> None:
    """Logs a scoring to the active run."""
    totals = table.totals
    mlflow.set_tags(
        {
            MLFLOW_RUN_NAME: f"{label}: {totals.rows:,} rows scored",
            "scoring.version": label,
            "scoring.parts": str(len(manifest.parts)),
        }
    )
    metrics = {
        "rows": float(totals.rows),
        "flagged": float(totals.flagged),
        "flagged_rate": totals.flagged / totals.rows,
        "mean_probability": totals.probability / totals.rows,
    }
    if table.rate is not None:
        metrics["rows_per_second"] = table.rate
    mlflow.log_metrics(metrics)
    mlflow.log_figure(draw(totals, profile, label), PLOT_FILE)


def draw(totals: Totals, profile: Profile, label: str) -> Figure:
    """The scores of a table and of the version's profile, by the bins of the profile."""
    reference = np.array(profile.scores.counts).sum(axis=0)
    edges = np.array(profile.scores.edges)
    # The outermost bins are open.
    edges = np.concatenate([[edges[0] / 2], edges, [1.0]])
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    figure.suptitle(f"Scores of {totals.rows:,} transactions by {label}")
    left, right = figure.subplots(1, 2)
    for counts, name, color in (
        (reference, "profile of the version", GENUINE),
        (totals.counts, "this table", FRAUD),
    ):
        shares = counts / counts.sum()
        left.stairs(shares, edges, color=color, label=name)
        right.step(edges[:-1], shares[::-1].cumsum()[::-1], where="post", color=color, label=name)
    left.set(ylabel="share of transactions in each bin of the profile")
    right.set(yscale="log", ylabel="share of transactions above it (log scale)")
    for panel in (left, right):
        if profile.threshold is not None:
            panel.axvline(profile.threshold, color=ACCENT, linestyle=":", label="threshold")
        panel.set(xscale="log", xlabel="fraud probability (log scale)")
        panel.grid(alpha=0.3)
        panel.legend()
    return figure
