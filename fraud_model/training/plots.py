"""Plots of a fit: its learning curve, and the features that its trees use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fraud_model.arrays import Floats
from fraud_model.evaluation.plots import ACCENT, GENUINE, MARGINS
from fraud_model.training.curve import LearningCurve

MOST_FEATURES = 20


def draw_learning_curve(curve: LearningCurve, kept: int) -> Figure:
    """Validation metrics by boosting round, one panel each, and the round that was kept."""
    figure = Figure(figsize=(8, 3.2 * len(curve.metrics)))
    figure.suptitle("Learning curve on the validation part")
    figure.subplots_adjust(**MARGINS, hspace=0.3)
    panels = figure.subplots(len(curve.metrics), 1, squeeze=False)[:, 0]
    for panel, (metric, values) in zip(panels, curve.metrics.items(), strict=True):
        panel.plot(curve.rounds, values, color=GENUINE)
        panel.axvline(kept, color=ACCENT, linestyle=":", label=f"kept: round {kept}")
        panel.set(xlabel="boosting round", ylabel=metric.replace("_", " "))
        panel.legend()
        panel.grid(alpha=0.3)
    return figure


def draw_importance(features: Sequence[str], gain: Floats, shap: Floats) -> Figure:
    """Total gain of each feature's splits beside its mean absolute SHAP value.

    `shap` has shape (transactions, features), in log-odds.
    """
    height = 0.28 * min(len(features), MOST_FEATURES) + 1.8
    # Names of features have any length, so this one plot measures its labels.
    figure = Figure(figsize=(11, height), layout="constrained")
    figure.suptitle("Feature importance")
    left, right = figure.subplots(1, 2)
    _bars(left, features, 100 * gain / max(gain.sum(), 1e-12), "share of the trees' gain, %")
    _bars(right, features, np.abs(shap).mean(axis=0), "mean |SHAP value|, log-odds")
    return figure


def _bars(axes: Axes, features: Sequence[str], values: Floats, unit: str) -> None:
    top = np.argsort(-values, kind="stable")[:MOST_FEATURES][::-1]
    axes.barh([features[i] for i in top], values[top], color=GENUINE)
    axes.set_xlabel(unit)
    axes.grid(alpha=0.3, axis="x")
