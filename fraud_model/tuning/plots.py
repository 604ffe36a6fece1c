"""Pictures of a study: how the search went, and which hyperparameters mattered."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from fraud_model.evaluation.plots import ACCENT, FRAUD, GENUINE, MARGINS
from fraud_model.tuning.trial_runs import scores_of

# Fewer complete trials than this say nothing of what mattered.
FEWEST_TRIALS = 4


def draw_history(trials: Sequence[FrozenTrial], default: float) -> Figure:
    """Average precision of each trial over the folds, the best so far, and the defaults'."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    numbers = [trial.number for trial in complete]
    values = [float(trial.value or 0) for trial in complete]
    figure = Figure(figsize=(8, 5))
    figure.subplots_adjust(**MARGINS)
    axes = figure.subplots()
    counts = f"{len(complete)} complete and {len(pruned)} pruned trials"
    figure.suptitle(f"Optimisation history, {counts}")
    axes.scatter(numbers, values, color=GENUINE, label="complete, mean over the folds")
    if pruned:
        axes.scatter(
            [trial.number for trial in pruned],
            [np.mean(scores_of(trial)) for trial in pruned],
            color=FRAUD,
            marker="x",
            label="pruned, mean over the folds scored",
        )
    best = np.maximum.accumulate(values)
    axes.step(numbers, best, where="post", color=ACCENT, label="best so far")
    axes.axhline(default, color=ACCENT, linestyle=":", label="defaults")
    axes.set(xlabel="trial", ylabel="average precision")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def draw_importance(importance: dict[str, float]) -> Figure:
    """How much of the spread between trials each hyperparameter explains (fANOVA)."""
    figure = Figure(figsize=(8, 0.3 * len(importance) + 1.6), layout="constrained")
    figure.suptitle("Importance of the hyperparameters")
    axes = figure.subplots()
    names = list(importance)[::-1]
    axes.barh(names, [importance[name] for name in names], color=GENUINE)
    axes.set_xlabel("share of the variance of average precision between trials")
    axes.grid(alpha=0.3, axis="x")
    return figure


def importance_of(study: optuna.Study, seed: int) -> dict[str, float]:
    """The share of variance that each hyperparameter explains; empty if too few trials tell."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = {trial.value for trial in complete}
    if len(complete) < FEWEST_TRIALS or len(values) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        return optuna.importance.get_param_importances(study, evaluator=evaluator)
