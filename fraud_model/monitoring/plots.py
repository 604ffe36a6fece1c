"""Plots of a check: what moved, how far, and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from fraud_model.arrays import Floats
from fraud_model.evaluation.plots import ACCENT, FRAUD, GENUINE
from fraud_model.model.profile import Distribution, Profile
from fraud_model.monitoring.drift import PSI_THRESHOLD
from fraud_model.monitoring.performance import Performance
from fraud_model.monitoring.result import Check, Judged
from fraud_model.monitoring.shadow_comparison import ODDS, ShadowComparison

MOST_FEATURES = 20
MOST_MOVED = 6
MOST_TICKS = 12
CELLS = 40


def draw(check: Check) -> dict[str, Figure]:
    """One plot per question that the check can answer, by file name without its ending."""
    plots = {}
    if check.windows:
        plots["timeline"] = _timeline(check)
    judged = check.judged
    if judged:
        plots["features_by_window"] = _heat_map(judged)
        plots["scores"] = _scores(max(judged, key=lambda window: window.ratio), check.profile)
    if check.overall.features:
        plots["features_moved_most"] = _moved(check.overall, check.profile)
    if check.performance and check.performance.by_window:
        plots["performance"] = _performance(check.performance, check)
    for comparison in check.shadows:
        plots[f"shadow_{comparison.version}"] = _shadow(comparison)
    return plots


def _timeline(check: Check) -> Figure:
    windows = check.windows
    figure = Figure(figsize=(9, 7.2), layout="constrained")
    figure.suptitle(f"Traffic of {check.version} by window")
    panels = figure.subplots(4, 1, sharex=True)
    places = np.arange(len(windows))
    series: list[tuple[str, list[float], float | None]] = [
        ("transactions scored", [w.window.rows for w in windows], None),
        (
            "flagged, %",
            [100 * w.window.flagged_rate for w in windows],
            100 * check.profile.flagged_rate,
        ),
        ("refused or incomplete, %", [100 * w.window.refused_share for w in windows], None),
        (
            "mean amount",
            [np.nan if w.window.mean_amount is None else w.window.mean_amount for w in windows],
            check.profile.mean_amount,
        ),
    ]
    for panel, (name, values, reference) in zip(panels, series, strict=True):
        panel.plot(places, values, "o-", color=GENUINE, markersize=4)
        panel.set_ylabel(name)
        panel.set_ylim(bottom=0)
        if reference is not None:
            panel.axhline(reference, color=ACCENT, linestyle=":", label="reference")
            panel.legend(loc="upper left")
        panel.grid(alpha=0.3)
    _ticks(panels[-1], windows)
    return figure


def _heat_map(judged: Sequence[Judged]) -> Figure:
    most = {name: max(w.features[name].psi for w in judged) for name in judged[0].features}
    names = sorted(most, key=lambda name: -most[name])[:MOST_FEATURES]
    values = np.array([[window.features[name].psi for window in judged] for name in names])
    figure = Figure(figsize=(9, 1.8 + 0.27 * len(names)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        values,
        aspect="auto",
        cmap="YlOrRd",
        vmin=0,
        vmax=2 * PSI_THRESHOLD,
        interpolation="nearest",
    )
    axes.set_title(
        f"PSI of each feature by window; {PSI_THRESHOLD:g} or more twice in a row is an alarm"
    )
    axes.set_yticks(np.arange(len(names)), names)
    if len(judged) <= MOST_TICKS:
        for row, column in np.ndindex(values.shape):
            dark = values[row, column] > PSI_THRESHOLD
            axes.text(
                column,
                row,
                f"{values[row, column]:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    _ticks(axes, judged)
    figure.colorbar(image, ax=axes, label="PSI", extend="max")
    return figure


def _scores(window: Judged, profile: Profile) -> Figure:
    assert window.scores is not None
    counts = np.array(profile.scores.counts).sum(axis=0)
    reference = 1 - np.cumsum(counts)[:-1] / counts.sum()
    now = reference + window.scores.difference
    edges = np.array(profile.scores.edges)
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    figure.suptitle(f"Scores in {window.label}, {window.window.rows:,} transactions")
    left, right = figure.subplots(1, 2)
    floor = 0.3 / max(counts.sum(), window.window.rows)
    for share, name, color in ((reference, "reference", GENUINE), (now, window.label, FRAUD)):
        left.step(edges, np.maximum(share, floor), where="post", color=color, label=name)
    left.axvline(profile.threshold, color=ACCENT, linestyle=":", label="threshold")
    left.set(
        xscale="log",
        yscale="log",
        xlabel="fraud probability (log scale)",
        ylabel="share of transactions above it (log scale)",
    )
    left.legend(loc="lower left")
    right.axhspan(-1, 1, color=GENUINE, alpha=0.2, label="band of the reference")
    right.plot(reference, window.scores.difference / window.scores.band, "o-", color=FRAUD, ms=3)
    right.set(
        xscale="log",
        xlabel="share above it in the reference (log scale)",
        ylabel="difference from the reference, in bands",
    )
    right.invert_xaxis()
    right.legend(loc="upper left")
    for panel in (left, right):
        panel.grid(alpha=0.3)
    return figure


def _moved(overall: Judged, profile: Profile) -> Figure:
    names = sorted(overall.features, key=lambda name: -overall.features[name].psi)[:MOST_MOVED]
    counts = overall.window.feature_counts(profile)
    rows = -(-len(names) // 3)
    figure = Figure(figsize=(9, 2.6 * rows), layout="constrained")
    figure.suptitle("The features that moved most: reference and traffic")
    panels = figure.subplots(rows, 3, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        known = profile.features[name]
        now = counts[name] / max(1, counts[name].sum())
        grid = _grid(known, now)
        for shares, label, color in (
            (np.array(known.shares), "reference", GENUINE),
            (now, "traffic", FRAUD),
        ):
            height = np.diff(np.interp(grid, known.edges, np.cumsum(shares)[:-1]))
            panel.stairs(height, grid, color=color, fill=True, alpha=0.45, label=label)
        drift = overall.features[name]
        panel.set_title(
            f"{name}: PSI {drift.psi:.2f}\nmedian {drift.before:.3g} -> {drift.now:.3g}", fontsize=9
        )
        panel.set_yticks([])
    for panel in panels[len(names) :]:
        panel.axis("off")
    panels[0].legend(fontsize=8)
    return figure


def _grid(known: Distribution, now: Floats) -> Floats:
    """Even cells over all but the outermost hundredths of both distributions."""
    edges = np.array(known.edges)
    ends = [
        np.interp(level, np.cumsum(shares)[:-1], edges)
        for shares in (np.array(known.shares), now)
        for level in (0.01, 0.99)
    ]
    low, high = min(ends), max(ends)
    return np.linspace(low, high if high > low else low + 1, CELLS + 1)


def _performance(reached: Performance, check: Check) -> Figure:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    labels = [window.label for window in check.windows if window.number in reached.by_window]
    places = np.arange(len(labels))
    axes.plot(places, list(reached.by_window.values()), "o-", color=FRAUD, label="by window")
    now = reached.intervals.get("average_precision")
    if now is not None:
        axes.axhspan(now.low, now.high, color=FRAUD, alpha=0.15, label="all matured windows")
    held = check.profile.metrics
    axes.axhspan(
        held.average_precision_low,
        held.average_precision_high,
        color=GENUINE,
        alpha=0.2,
        label="holdout of the version",
    )
    step = -(-len(labels) // MOST_TICKS)
    axes.set_xticks(places[::step], labels[::step], rotation=20, ha="right", fontsize=8)
    axes.set(ylim=(0, 1.02), ylabel="average precision")
    axes.set_title("Average precision on labelled transactions, with 95 % intervals")
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)
    return figure


def _shadow(comparison: ShadowComparison) -> Figure:
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    cells = comparison.counts[1:-1, 1:-1].T
    mesh = axes.pcolormesh(
        ODDS, ODDS, np.ma.masked_equal(cells, 0), norm=LogNorm(), cmap="viridis_r"
    )
    axes.plot(ODDS[[0, -1]], ODDS[[0, -1]], color=ACCENT, linestyle=":")
    axes.set(xlabel="champion, log-odds of fraud", ylabel="shadow, log-odds of fraud")
    axes.set_title(f"Shadow version {comparison.version} beside the champion")
    figure.colorbar(mesh, ax=axes, label="transactions (log scale)")
    return figure


def _ticks(axes: Axes, windows: Sequence[Judged]) -> None:
    step = -(-len(windows) // MOST_TICKS)
    places = np.arange(len(windows))[::step]
    labels = [windows[place].label for place in places]
    axes.set_xticks(places, labels, rotation=20, ha="right", fontsize=8)
