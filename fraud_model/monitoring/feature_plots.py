"""Plots of the features of a check: which moved, how, and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from fraud_model.arrays import Floats
from fraud_model.evaluation.plots import FRAUD, GENUINE, wrapped
from fraud_model.model.profile import Distribution
from fraud_model.monitoring.categories import bars, cut
from fraud_model.monitoring.drift import PSI_THRESHOLD
from fraud_model.monitoring.findings import alarming_windows, risen_gaps
from fraud_model.monitoring.result import Judged

# Red is for what alarms.
TRAFFIC = "#8f5fbf"
MOST_FEATURES = 20
MOST_MOVED = 6
MOST_BARS = 7
COLUMNS = 2
MOST_TICKS = 12
CELLS = 40
# Longer names take another line.
CHARACTERS = 36
# The label of a bar.
LONGEST = 24


def heat_map(judged: Sequence[Judged]) -> Figure:
    """The PSI of the features that moved most, in each window; red is what alarms."""
    most = {name: max(w.features[name].psi for w in judged) for name in judged[0].features}
    names = sorted(most, key=lambda name: -most[name])[:MOST_FEATURES]
    values = np.array([[window.features[name].psi for window in judged] for name in names])
    figure = Figure(figsize=(9, 1.8 + 0.27 * _lines(names)), layout="constrained")
    axes = figure.subplots()
    alarming = alarming_windows(judged)
    alarms = np.array([[w.number in alarming.get(name, ()) for w in judged] for name in names])
    image = axes.imshow(
        values, aspect="auto", cmap="Greys", vmin=0, vmax=2 * PSI_THRESHOLD, interpolation="nearest"
    )
    red = np.ma.masked_where(~alarms, np.ones(alarms.shape))
    axes.imshow(red, aspect="auto", cmap=ListedColormap([FRAUD]), interpolation="nearest")
    axes.set_title(
        f"PSI of each feature by window; red: an alarm, {PSI_THRESHOLD:g} or more twice in a row"
    )
    axes.set_yticks(
        np.arange(len(names)), [wrapped(name, CHARACTERS) for name in names], fontsize=9
    )
    if len(judged) <= MOST_TICKS:
        for row, column in np.ndindex(values.shape):
            dark = alarms[row, column] or values[row, column] > PSI_THRESHOLD
            axes.text(
                column,
                row,
                f"{values[row, column]:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="#ffffff" if dark else "#111111",
            )
    tick(axes, judged)
    figure.colorbar(image, ax=axes, label="PSI", extend="max")
    return figure


def moved_most(judged: Judged) -> Figure:
    """The features that moved most in a window: distributions of numbers, shares of categories."""
    names = sorted(judged.features, key=lambda name: -judged.features[name].psi)[:MOST_MOVED]
    profile = judged.expected
    counts = judged.window.feature_counts(profile)
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(9, 2.9 * rows), layout="constrained")
    figure.suptitle(f"The features that moved most in {judged.label}, beside the reference")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        known, drift = profile.features[name], judged.features[name]
        now = counts[name] / max(1, counts[name].sum())
        if isinstance(known.distribution, Distribution) and drift.is_median:
            _distributions(panel, known.distribution, now)
            moved = f"median {drift.shown(drift.before)} -> {drift.shown(drift.now)}"
        else:
            _bars(panel, bars(now, known, MOST_BARS))
            moved = "share of the values, %"
        panel.set_title(f"{wrapped(name, CHARACTERS)}\nPSI {drift.psi:.2f}, {moved}", fontsize=9)
    for panel in panels[len(names) :]:
        panel.axis("off")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _distributions(panel: Axes, known: Distribution, now: Floats) -> None:
    grid = _grid(known, now)
    for shares, label, color in (
        (np.array(known.shares), "reference", GENUINE),
        (now, "traffic", TRAFFIC),
    ):
        height = np.diff(np.interp(grid, known.edges, np.cumsum(shares)[:-1]))
        panel.stairs(height, grid, color=color, fill=True, alpha=0.45, label=label)
    panel.set_yticks([])


def _bars(panel: Axes, shares: Sequence[tuple[str, float, float]]) -> None:
    labels, before, now = zip(*shares, strict=True)
    places = np.arange(len(labels))
    for offset, values, label, color in (
        (-0.2, before, "reference", GENUINE),
        (0.2, now, "traffic", TRAFFIC),
    ):
        panel.barh(
            places + offset, 100 * np.array(values), 0.4, color=color, alpha=0.7, label=label
        )
    panel.set_yticks(places, [cut(label, LONGEST) for label in labels], fontsize=8)
    panel.invert_yaxis()


def gaps_by_window(windows: Sequence[Judged]) -> Figure | None:
    """The shares of missing and unknown values that rose, in each window; None if none has."""
    judged = [window for window in windows if window.gaps]
    most = {
        pair: max(gap.now - gap.before for _, gap in found)
        for pair, found in risen_gaps(judged).items()
    }
    shown = sorted(most, key=lambda pair: -most[pair])[:MOST_MOVED]
    if not shown:
        return None
    figure = Figure(figsize=(9, 3.6 + 0.2 * len(shown)), layout="constrained")
    axes = figure.subplots()
    shares = [{(gap.feature, gap.kind): gap for gap in window.gaps} for window in judged]
    for place, (name, kind) in enumerate(shown):
        of = [gaps[name, kind] for gaps in shares]
        color = f"C{place}"
        label = f"{name}, {kind}"
        axes.plot([100 * gap.now for gap in of], "o-", color=color, markersize=4, label=label)
        axes.axhline(100 * of[0].before, color=color, linestyle=":")
    axes.set(ylim=(0, None), ylabel="share, %")
    axes.set_title("Missing and unknown values that rose; dotted: in the reference")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower left", fontsize=8)
    tick(axes, judged)
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


def tick(axes: Axes, windows: Sequence[Judged]) -> None:
    """Labels the places 0, 1, … of an axis with the windows, as far as there is room."""
    step = -(-len(windows) // MOST_TICKS)
    places = np.arange(len(windows))[::step]
    labels = [windows[place].label for place in places]
    axes.set_xticks(places, labels, rotation=20, ha="right", fontsize=8)


def _lines(names: Sequence[str]) -> int:
    return sum(wrapped(name, CHARACTERS).count("\n") + 1 for name in names)
