"""The other direction: the challenger on the champion's holdout, whose labels were trusted before.

A table whose labels follow another rule makes a model that wins on its own holdout. On the
champion's it collapses; or, where it has learned those rows, their labels have changed.
"""

from __future__ import annotations

import numpy as np

from fraud_model.arrays import Flags
from fraud_model.errors import RegistryError
from fraud_model.evaluation.holdout import Holdout
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.knowledge import Knowledge
from fraud_model.registry.pairing import Bench, Pair, Untold
from fraud_model.registry.verdict import Standing, loses, shown

TRUSTED = "on the champion's holdout"
# The share of the champion's frauds that must still be frauds to the challenger.
LEAST_AGREEMENT = 0.9
# Where so many of the champion's genuine rows are in the challenger's table, its frauds should be.
COVERED = 0.9
# How far below its own holdout the champion's average precision must fall to be called a collapse.
COLLAPSE = 0.2
UNEXPLAINED = (
    ", and the champion collapses on the challenger's: whether the labels there are right cannot "
    "be told. If they are, let the challenger in with -P champion=none"
)


def on_trusted_rows(
    challenger: Knowledge,
    champion: Knowledge,
    thresholds: GateThresholds,
    standing: Standing,
    collapsed: bool,
) -> Check:
    """Whether the challenger holds up on the rows that the champion's run kept.

    `standing` is how both compare on the challenger's holdout; where nothing can be seen in this
    direction, it has to do that this could be told. One that is better there may lose here by
    chance, beyond which the tolerance holds; any other may not lose by more than a standard error
    either. `collapsed` tells whether the champion collapses on the challenger's holdout, which
    nothing explains then.

    Raises:
        ModelFailed, RegistryError: the champion cannot be scored, as `Candidate.score`.
    """
    tolerance, told = thresholds.tolerance, standing != "cannot be told"
    required = f"upper end >= -{tolerance:g}, and the same labels"
    unexplained = UNEXPLAINED if collapsed else ""
    holdout = champion.holdout
    if holdout is None:
        gone = f"the holdout of {champion.candidate.label} is gone or was not kept{unexplained}"
        return Check(TRUSTED, gone, required, told and not collapsed)
    agreement = _agreement(challenger, holdout)
    if agreement is not None and agreement[0] / agreement[1] < LEAST_AGREEMENT:
        same, frauds = agreement
        changed = (
            f"of the champion's {frauds:,} frauds that the challenger's table covers, "
            f"{same:,} ({same / frauds:.0%}) are frauds in it"
        )
        return Check(TRUSTED, changed, f">= {LEAST_AGREEMENT:.0%} with the same label", False)
    bench = Bench(champion, thresholds, holdout)
    unable = _cannot_score(bench, challenger, champion)
    if unable is not None:
        return Check(TRUSTED, unable, required, False)
    pair = bench.compare(challenger, champion)
    if isinstance(pair, Pair):
        mine, theirs = (side.metrics.average_precision for side in (pair.challenger, pair.champion))
        value = f"{shown(pair.difference)}: {mine:.4f} to the champion's {theirs:.4f} ({pair.text})"
        lost = pair.difference.high < -tolerance
        if standing != "better":
            lost = lost or loses(pair.difference, tolerance)
            required = f">= -{tolerance:g}, or within one standard error, and the same labels"
        return Check(TRUSTED, value, required, not lost)
    if agreement is None:
        untold = f"cannot be told: {pair.reason}{unexplained}"
        return Check(TRUSTED, untold, required, told and not collapsed)
    same, frauds = agreement
    value = f"the challenger has learned it, {same:,} of its {frauds:,} frauds with the same label"
    return Check(TRUSTED, value, required, True)


def collapse_of_champion(pair: Pair | Untold, champion: Knowledge) -> str | None:
    """A note where the champion scores far less on the challenger's holdout than on its own."""
    recorded = champion.candidate.facts.get("holdout_average_precision")
    if isinstance(pair, Untold) or recorded is None:
        return None
    there, here = float(recorded), pair.champion.metrics
    if here.average_precision_high >= there or here.average_precision >= there - COLLAPSE:
        return None
    return (
        f"The champion, {champion.candidate.label}, has an average precision of "
        f"{here.average_precision:.4f} on the challenger's holdout and had {there:.4f} on its own: "
        "the transactions have drifted, or the labels of the challenger's table are wrong."
    )


def _cannot_score(bench: Bench, challenger: Knowledge, champion: Knowledge) -> str | None:
    """What the challenger cannot do with the champion's holdout; None where it can be compared."""
    common = bench.common(challenger, champion)
    if isinstance(common, Untold):
        return None
    which, _ = common
    try:
        bench.score(challenger.candidate, which)
    except RegistryError as error:
        return (
            f"the challenger, {challenger.candidate.label}, cannot score it: {error}. Train it for "
            "such transactions, or let it in without a comparison: -P champion=none"
        )
    return None


def _agreement(challenger: Knowledge, holdout: Holdout) -> tuple[int, int] | None:
    """How many of the champion's frauds are frauds to the challenger, of how many it covers.

    A fraud that is missing from a table which holds its neighbours in time was left out, and counts
    as covered. None where the challenger's table covers none.
    """
    learned, columns = challenger.learned, holdout.columns
    if learned is None or not learned.rows.can_tell(columns.features):
        return None
    rows = holdout.rows
    labels = rows[columns.target].to_numpy()
    period = challenger.period()
    inside = np.ones(len(rows), dtype=bool)
    times = columns.seconds(rows)
    if times is not None and period is not None:
        inside = (times >= period[0]) & (times <= period[1])
    places = learned.rows.places(rows, columns)
    known: Flags = places >= 0
    genuine, frauds = inside & (labels == 0), inside & (labels == 1)
    whole = genuine.any() and known[genuine].mean() >= COVERED
    covered = frauds if whole else frauds & known
    if not covered.any():
        return None
    same = covered & known & (learned.rows.labels[places] == 1)
    return int(same.sum()), int(covered.sum())
