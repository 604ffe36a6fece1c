"""Plots of a fit: its learning curve, and the features that its trees use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fraud_model.arrays import Floats
from fraud_model.evaluation.plots import ACCENT, GENUINE, MARGINS, wrapped
from fraud_model.training.curve import LearningCurve

MOST_FEATURES = 20
# Longer names take another line.
CHARACTERS = 32


def draw_learning_curve(curve: LearningCurve, kept: int) -> Figure:
    """Metrics of both parts by boosting round, one panel each, and the round that was kept."""
    figure = Figure(figsize=(8, 3.2 * len(curve.metrics)))
    figure.suptitle("Learning curve")
    figure.subplots_adjust(**MARGINS, hspace=0.3)
    panels = figure.subplots(len(curve.metrics), 1, squeeze=False)[:, 0]
    for panel, (metric, values) in zip(panels, curve.metrics.items(), strict=True):
        panel.plot(curve.rounds, values, color=GENUINE, label="validation part")
        if metric in curve.training:
            label = "train part, a sample of its rows"
            panel.plot(
                curve.rounds, curve.training[metric], color=ACCENT, linestyle="--", label=label
            )
        panel.axvline(kept, color=ACCENT, linestyle=":", label=f"kept: round {kept}")
        panel.set(xlabel="boosting round", ylabel=metric.replace("_", " "))
        panel.legend()
        panel.grid(alpha=0.3)
    return figure


def draw_importance(features: Sequence[str], gain: Floats, shap: Floats) -> Figure:
    """Total gain of each feature's splits beside its mean absolute SHAP value.

    `shap` has shape (transactions, features), in log-odds.
    """
    names = [wrapped(name, CHARACTERS) for name in features]
    lines = sorted((name.count("\n") + 1 for name in names), reverse=True)[:MOST_FEATURES]
    height = 0.28 * len(lines) + 0.14 * (sum(lines) - len(lines)) + 1.8
    # Names of features have any length, so this one plot measures its labels.
    figure = Figure(figsize=(11, height), layout="constrained")
    figure.suptitle("Feature importance")
    left, right = figure.subplots(1, 2)
    _bars(left, names, 100 * gain / max(gain.sum(), 1e-12), "share of the trees' gain, %")
    _bars(right, names, np.abs(shap).mean(axis=0), "mean |SHAP value|, log-odds")
    return figure


def _bars(axes: Axes, features: Sequence[str], values: Floats, unit: str) -> None:
    top = np.argsort(-values, kind="stable")[:MOST_FEATURES][::-1]
    axes.barh(np.arange(len(top)), values[top], color=GENUINE)
    axes.set_yticks(np.arange(len(top)), [features[i] for i in top], fontsize=8)
    axes.set_xlabel(unit)
    axes.grid(alpha=0.3, axis="x")
