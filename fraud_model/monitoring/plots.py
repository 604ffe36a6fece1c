"""Plots of a check: what moved, how far, and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.spines import Spine
from matplotlib.text import Text

from fraud_model.evaluation.plots import ACCENT, GENUINE
from fraud_model.model.profile import Profile
from fraud_model.monitoring.feature_plots import (
    MOST_TICKS,
    TRAFFIC,
    gaps_by_window,
    heat_map,
    moved_most,
    tick,
)
from fraud_model.monitoring.performance import Performance
from fraud_model.monitoring.result import Check, Judged
from fraud_model.monitoring.shadow_comparison import ODDS, ShadowComparison

# Of a page in the dark, and what is drawn in black on a light one.
DARK, LIGHT_INK, INKS = "#11151a", "#d5dbe2", ("black", "#000000", "k", ACCENT)


def draw(check: Check) -> dict[str, Figure]:
    """One plot per question that the check can answer, by file name without its ending."""
    plots = {}
    if check.windows:
        plots["timeline"] = _timeline(check)
    judged = check.judged
    if judged:
        plots["features_by_window"] = heat_map(judged)
        plots["scores"] = _scores(max(judged, key=lambda window: window.ratio), check.profile)
    shown = check.shown if check.shown.features else check.overall
    if shown.features:
        plots["features_moved_most"] = moved_most(shown)
    risen = gaps_by_window(check.windows)
    if risen is not None:
        plots["gaps"] = risen
    if check.performance and check.performance.by_window:
        plots["performance"] = _performance(check.performance, check)
    for comparison in check.shadows:
        plots[f"shadow_{comparison.version}"] = _shadow(comparison)
    return plots


def darken(figure: Figure) -> None:
    """Gives a plot the colours of a dark page; those of its data stay as they are."""
    figure.set_facecolor(DARK)
    for artist in figure.findobj():
        if isinstance(artist, Text | Line2D) and artist.get_color() in INKS:
            artist.set_color(LIGHT_INK)
        elif isinstance(artist, Spine):
            artist.set_edgecolor(LIGHT_INK)
        elif isinstance(artist, Axes):
            artist.set_facecolor(DARK)
        elif isinstance(artist, Legend):
            artist.get_frame().set_facecolor(DARK)


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
        panel.set_ylabel(name, fontsize=8)
        panel.set_ylim(bottom=0)
        if reference is not None:
            panel.axhline(reference, color=ACCENT, linestyle=":", label="reference")
            panel.legend(loc="best")
        panel.grid(alpha=0.3)
    _range_of_flagged(panels[1], windows)
    tick(panels[-1], windows)
    return figure


def _range_of_flagged(panel: Axes, windows: Sequence[Judged]) -> None:
    known = [(place, w.flagged) for place, w in enumerate(windows) if w.flagged]
    if known:
        places = [place for place, _ in known]
        low = [100 * flagged.low / flagged.rows for _, flagged in known]
        high = [100 * flagged.high / flagged.rows for _, flagged in known]
        panel.fill_between(places, low, high, color=ACCENT, alpha=0.15, label="by chance")
        panel.set_ylim(0, 1.1 * max(panel.get_ylim()[1], *high))
        panel.legend(loc="best")


def _scores(window: Judged, profile: Profile) -> Figure:
    assert window.scores is not None
    counts = np.array(profile.scores.counts).sum(axis=0)
    reference = window.scores.expected
    now = reference + window.scores.difference
    edges = np.array(profile.scores.edges)
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    figure.suptitle(f"Scores in {window.label}, {window.window.rows:,} transactions")
    left, right = figure.subplots(1, 2)
    floor = 0.3 / max(counts.sum(), window.window.rows)
    for share, name, color in ((reference, "reference", GENUINE), (now, window.label, TRAFFIC)):
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
    right.plot(reference, window.scores.difference / window.scores.band, "o-", color=TRAFFIC, ms=3)
    right.set(
        xscale="log",
        xlabel="share above it in the reference (log scale)",
        ylabel="difference from the reference, in bands",
    )
    right.invert_xaxis()
    right.legend(loc="best")
    for panel in (left, right):
        panel.grid(alpha=0.3)
    return figure


def _performance(reached: Performance, check: Check) -> Figure:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    labels = [window.label for window in check.windows if window.number in reached.by_window]
    places = np.arange(len(labels))
    axes.plot(places, list(reached.by_window.values()), "o-", color=TRAFFIC, label="by window")
    now = reached.intervals.get("average_precision")
    if now is not None:
        axes.axhspan(now.low, now.high, color=TRAFFIC, alpha=0.15, label="all matured windows")
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
