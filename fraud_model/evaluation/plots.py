"""Plots of scored transactions: the curves of one model on one part, and models side by side."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from fraud_model.arrays import Floats
from fraud_model.evaluation.evaluate import Scored
from fraud_model.evaluation.intervals import share_interval
from fraud_model.evaluation.threshold import Policy, cost_of, operating_points, total_cost
from fraud_model.model.detector import Decision
from fraud_model.model.metrics import Metrics

GENUINE, FRAUD, ACCENT = "#4477aa", "#cc3311", "#222222"
RELIABILITY_BINS = 10
MOST_POINTS = 2_000
# Fixed, since matplotlib's own fitting of margins doubles the time that a plot takes.
MARGINS = {"left": 0.13, "right": 0.97, "bottom": 0.12, "top": 0.87}


def draw_curves(
    scored: Scored,
    metrics: Metrics,
    *,
    part: str,
    decision: Decision,
    policy: Policy,
) -> dict[str, Figure]:
    """One plot per question about a scored part, by file name without its ending.

    `metrics` are those of `decision`, which came of `policy`.
    """
    title = f"{part} part, {len(scored.labels):,} transactions, {scored.labels.sum():,} frauds"
    return {
        "precision_recall": _precision_recall(scored, metrics, decision, title),
        "roc": _roc(scored, metrics, decision, title),
        "reliability": _reliability(scored, metrics, title),
        "score_distribution": _score_distribution(scored, decision, title),
        "threshold": _against_threshold(scored, decision, policy, title),
        "confusion_matrix": _confusion_matrix(metrics, decision, title),
    }


def mark_simulated(figure: Figure) -> None:
    """Says on a plot that no real transaction is behind it."""
    figure.text(0.99, 0.985, "simulated", color=FRAUD, fontsize=9, ha="right", va="top")


def wrapped(name: str, characters: int) -> str:
    """A long name in lines, broken after underscores and the like where it can be."""
    breakable = re.sub(r"([_\-./:])", r"\1 ", name)
    lines = textwrap.wrap(breakable, characters) or [name]
    return "\n".join(re.sub(r"([_\-./:]) ", r"\1", line).strip() for line in lines)


def _axes(title: str, subtitle: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 5))
    figure.subplots_adjust(**MARGINS)
    axes = figure.subplots()
    figure.suptitle(title)
    axes.set_title(subtitle, fontsize=9)
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return figure, axes


def _log_scale(axes: Axes, *names: Literal["x", "y"]) -> None:
    """Log scales with plain numbers: powers of ten are harder to read, and slower to draw."""
    for name in names:
        axes.set(**{f"{name}scale": "log"})
        (axes.xaxis if name == "x" else axes.yaxis).set_major_formatter("{x:,g}")
    axes.minorticks_off()


def _precision_recall(
    scored: Scored, metrics: Metrics, decision: Decision, subtitle: str
) -> Figure:
    figure, axes = _axes("Precision and recall", subtitle, "recall", "precision")
    precision, recall, _ = precision_recall_curve(
        scored.labels, scored.probability, sample_weight=scored.weights, drop_intermediate=True
    )
    label = (
        f"average precision {metrics.average_precision:.3f} "
        f"[{metrics.average_precision_low:.3f}, {metrics.average_precision_high:.3f}]"
    )
    axes.step(recall, precision, where="post", color=GENUINE, label=label)
    axes.plot(
        metrics.recall,
        metrics.precision,
        "o",
        color=FRAUD,
        label=str(decision),
    )
    chance = float(scored.labels.sum() / scored.weights.sum())
    axes.axhline(chance, color=ACCENT, linestyle=":", label=f"chance {chance:.2%}")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
    axes.legend(loc="lower left")
    return figure


def _roc(scored: Scored, metrics: Metrics, decision: Decision, subtitle: str) -> Figure:
    figure, axes = _axes(
        "ROC curve",
        subtitle,
        "false positive rate (share of genuine transactions flagged, log scale)",
        "true positive rate (recall)",
    )
    false_rate, true_rate, _ = roc_curve(scored.labels, scored.probability)
    # Alerts live far left: on a linear axis the useful part is one pixel wide.
    lowest = 0.5 / max(1, int((scored.labels == 0).sum()))
    axes.step(
        np.maximum(false_rate, lowest),
        true_rate,
        where="post",
        color=GENUINE,
        label=f"area {metrics.roc_auc:.4f}",
    )
    flagged_of_genuine = metrics.false_positives / (
        metrics.false_positives + metrics.true_negatives
    )
    at = max(flagged_of_genuine, lowest)
    axes.plot(at, metrics.recall, "o", color=FRAUD, label=str(decision))
    by_chance = np.geomspace(lowest, 1, 100)
    axes.plot(by_chance, by_chance, color=ACCENT, linestyle=":", label="chance")
    _log_scale(axes, "x")
    axes.set(xlim=(lowest, 1), ylim=(0, 1.03))
    axes.legend(loc="lower right")
    return figure


def _reliability(scored: Scored, metrics: Metrics, subtitle: str) -> Figure:
    figure, axes = _axes(
        "Reliability of the probabilities",
        f"{subtitle}; Brier score {metrics.brier:.5f}",
        "mean predicted fraud probability (log scale)",
        "observed share of frauds (log scale)",
    )
    # Nearly all scores are tiny: bins of equal width or count would hold genuine transactions
    # only. Edges at quantiles of the frauds' own scores put equally many frauds into each bin.
    fraud_scores = scored.probability[scored.labels == 1]
    inner = np.quantile(fraud_scores, np.linspace(0, 1, RELIABILITY_BINS + 1)[1:-1])
    bins = np.digitize(scored.probability, np.unique(inner))
    counts = np.bincount(bins, scored.weights)
    predicted = np.bincount(bins, scored.weights * scored.probability) / np.maximum(counts, 1)
    observed = np.bincount(bins, scored.labels) / np.maximum(counts, 1)
    shown = observed > 0
    # One by one: those who know of bursts look at the intervals of the metrics.
    ends = np.array(
        [
            share_interval(int(caught), max(int(caught), round(count)))
            for caught, count in zip(
                np.bincount(bins, scored.labels)[shown], counts[shown], strict=True
            )
        ]
    ).T
    away = np.maximum([observed[shown] - ends[0], ends[1] - observed[shown]], 0)
    axes.errorbar(
        predicted[shown],
        observed[shown],
        away,
        fmt="o-",
        color=GENUINE,
        capsize=3,
        label="bins with as many frauds each, 95 % intervals",
    )
    low = max(1e-5, 0.5 * min(predicted[shown].min(), observed[shown].min()))
    axes.plot([low, 1], [low, 1], color=ACCENT, linestyle=":", label="perfect")
    _log_scale(axes, "x", "y")
    axes.legend(loc="upper left")
    return figure


def _score_distribution(scored: Scored, decision: Decision, subtitle: str) -> Figure:
    figure, axes = _axes(
        "Score distribution",
        subtitle,
        "fraud probability (log-odds scale)",
        "transactions per bin (log scale)",
    )
    odds = _logit(scored.probability)
    bins = np.linspace(odds.min(), max(odds.max(), odds.min() + 1e-6), 60).tolist()
    for label, name, color in ((0, "genuine", GENUINE), (1, "fraud", FRAUD)):
        axes.hist(odds[scored.labels == label], bins=bins, color=color, alpha=0.65, label=name)
    if decision.threshold is not None:
        threshold = _logit(np.array([decision.threshold]))[0]
        axes.axvline(threshold, color=ACCENT, linestyle=":", label=str(decision))
    ticks = [
        p
        for p in (1e-6, 1e-4, 1e-2, 0.5, 0.99, 0.9999)
        if odds.min() <= _logit(np.array([p]))[0] <= odds.max()
    ]
    axes.set_xticks([_logit(np.array([p]))[0] for p in ticks], [f"{p:g}" for p in ticks])
    _log_scale(axes, "y")
    axes.legend()
    return figure


def _against_threshold(scored: Scored, decision: Decision, policy: Policy, subtitle: str) -> Figure:
    if decision.review_cost is not None and scored.amounts is not None:
        figure, axes = _axes(
            "Cost against threshold",
            subtitle,
            "threshold (log scale)",
            "cost, in units of the amounts",
        )
        review = decision.review_cost
        at, cost = total_cost(scored, scored.amounts, review)
        axes.plot(at, cost, color=GENUINE, label=f"missed amounts + {review:g} per review")
        flagged = decision.flags(scored.probability, scored.amounts)
        own = cost_of(scored, scored.amounts, flagged, review)
        axes.axhline(own, color=FRAUD, linestyle="--", label=f"{decision}: {own:,.0f}")
    else:
        figure, axes = _axes(
            "F1, precision and recall against threshold", subtitle, "threshold (log scale)", "share"
        )
        points = operating_points(scored)
        # Dense where few transactions are flagged, which is where the shares change.
        ranks = np.geomspace(1, len(points.threshold), MOST_POINTS).round()
        shown = np.unique(ranks.astype(np.int64)) - 1
        at = points.threshold[shown]
        axes.plot(at, points.f1[shown], color=ACCENT, label="F1")
        axes.plot(at, points.precision[shown], color=GENUINE, alpha=0.7, label="precision")
        axes.plot(at, points.recall[shown], color=FRAUD, alpha=0.7, label="recall")
    if decision.threshold is not None:
        chosen = decision.threshold
        axes.axvline(chosen, color=ACCENT, linestyle=":", label=f"chosen by {policy}: {chosen:.3g}")
    _log_scale(axes, "x")
    axes.set_xlim(left=max(1e-5, float(at.min())))
    axes.legend()
    return figure


def _confusion_matrix(metrics: Metrics, decision: Decision, subtitle: str) -> Figure:
    figure = Figure(figsize=(5.5, 4.6))
    figure.subplots_adjust(**MARGINS)
    axes = figure.subplots()
    figure.suptitle(f"Confusion matrix, {decision}")
    axes.set_title(subtitle, fontsize=9)
    counts = np.array(
        [
            [metrics.true_negatives, metrics.false_positives],
            [metrics.false_negatives, metrics.true_positives],
        ]
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(2, 2):
        axes.text(
            column,
            row,
            f"{counts[row, column]:,.0f}\n{shares[row, column]:.2%}",
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.5 else "black",
        )
    axes.set_xticks([0, 1], ["passed", "flagged"])
    axes.set_yticks([0, 1], ["genuine", "fraud"])
    axes.set(xlabel="decision (count, share of the row)", ylabel="truth")
    return figure


def _logit(probability: Floats) -> Floats:
    inside = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(inside / (1 - inside))


def draw_comparison(scored: Mapping[str, Scored]) -> Figure:
    """Precision against recall of several models on the same part, by what each is called."""
    figure = Figure(figsize=(6.4, 4.8))
    figure.subplots_adjust(**MARGINS)
    panel = figure.subplots()
    for (name, part), color in zip(scored.items(), (FRAUD, GENUINE), strict=False):
        precision, recall, _ = precision_recall_curve(part.labels, part.probability)
        panel.step(recall, precision, where="post", color=color, label=name)
    panel.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
    panel.set_title("Precision and recall on the challenger's holdout")
    panel.legend(loc="lower left")
    panel.grid(alpha=0.3)
    return figure
