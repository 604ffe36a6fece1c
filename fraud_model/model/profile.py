"""The reference profile of a model version: what its transactions and scores looked like.

Training stores it among the version's own files, so that monitoring needs no training data. It
holds shares and counts between quantiles, no transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fraud_model.arrays import Counts, Flags, Floats
from fraud_model.model.detector import flags
from fraud_model.model.feature import Feature
from fraud_model.model.hours import Hours
from fraud_model.model.metrics import Metrics

# Finer at both ends, where a distribution moves first.
LEVELS = np.concatenate([[0.001, 0.002, 0.005], np.linspace(0.01, 0.99, 99), [0.995, 0.998, 0.999]])
# Frauds are few, so scores are watched far into their upper tail.
SCORE_LEVELS = np.concatenate(
    [
        np.linspace(0.05, 0.95, 19),
        np.linspace(0.96, 0.99, 4),
        np.linspace(0.991, 0.999, 9),
        np.linspace(0.9991, 0.9999, 9),
    ]
)
# Between these levels lies what is usual.
USUAL = (0.01, 0.99)
FEWEST_ABOVE = 5
BLOCKS = 24
# Of a number's values or the categories that are known, for the population stability index.
MOST_GROUPS = 10


@dataclass(frozen=True)
class Distribution:
    """Shares of the reference's values between edges.

    `edges`, of shape (bins - 1,), ascend; bin i holds the values above `edges[i - 1]` and up to
    `edges[i]`. The first and the last bin lie outside of all that was seen, so their share is 0.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, values: Floats, weights: Floats | None = None) -> Distribution:
        """The distribution of finite values, each counted `weights` times, shape (rows,)."""
        if weights is None:
            # Sorting values takes a tenth of the time of sorting places.
            ordered, upto = np.sort(values), np.arange(1.0, len(values) + 1)
        else:
            order = np.argsort(values, kind="stable")
            ordered, upto = values[order], np.cumsum(weights[order])
        inner = np.searchsorted(upto, LEVELS * upto[-1], side="right")
        below = np.nextafter(ordered[0], -np.inf)
        inner_edges = ordered[np.minimum(inner, len(ordered) - 1)]
        edges = np.unique(np.concatenate([[below], inner_edges, [ordered[-1]]]))
        places = np.searchsorted(ordered, edges, side="right")
        counts = np.diff(np.concatenate([[0.0], upto])[places], prepend=0.0, append=upto[-1])
        return cls(tuple(edges.tolist()), tuple((counts / upto[-1]).tolist()))

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Distribution:
        """The distribution that `dataclasses.asdict` wrote."""
        return cls(tuple(content["edges"]), tuple(content["shares"]))

    def count(self, values: Floats) -> Counts:
        """How many finite values lie in each bin, shape (bins,)."""
        return np.bincount(self.places(values), minlength=len(self.shares))

    def places(self, values: Floats) -> Counts:
        """The bin of each value, of the values' shape."""
        return self._edges.searchsorted(values, side="left")

    def groups_of(self, values: Floats) -> Counts:
        """The group of each value, of the values' shape: as of its bin, and found sooner."""
        groups = self.groups
        last = np.flatnonzero(np.diff(groups))
        found: Counts = groups[np.append(last, -1)]
        return found[self._edges[last].searchsorted(values, side="left")]

    @property
    def usual(self) -> tuple[float, float]:
        """The range that 98 % of the reference's values lie in, to three digits."""
        upto = np.cumsum(self.shares[:-1])
        low, high = (self.edges[int(np.searchsorted(upto, level))] for level in USUAL)
        return float(f"{low:.3g}"), float(f"{high:.3g}")

    @property
    def groups(self) -> Counts:
        """The group of each bin, shape (bins,); each holds about a tenth of the reference."""
        shares = np.array(self.shares)
        middle = np.cumsum(shares) - shares / 2
        return np.minimum((middle * MOST_GROUPS).astype(np.int64), MOST_GROUPS - 1)

    @cached_property
    def _edges(self) -> Floats:
        return np.array(self.edges)


@dataclass(frozen=True)
class Categories:
    """Shares of the reference's values by their code, shape (categories + 1,).

    The code 0 is that of all that are not in the feature's vocabulary.
    """

    shares: tuple[float, ...]

    def count(self, codes: Floats) -> Counts:
        """How many values have each code, shape (categories + 1,)."""
        return np.bincount(self.places(codes), minlength=len(self.shares))

    def places(self, codes: Floats) -> Counts:
        """The place of each code among the shares, of the codes' shape."""
        return codes.astype(np.int64)

    def groups_of(self, codes: Floats) -> Counts:
        """The group of each code, of the codes' shape."""
        return self.groups[self.places(codes)]

    @property
    def groups(self) -> Counts:
        """The group of each code, shape (categories + 1,); that of unknown values is 0.

        Up to ten categories are a group each. More are put together from the most frequent one
        down, a tenth of the reference in each, so that a rare one that becomes frequent stands out.
        """
        shares = np.array(self.shares)
        order = np.argsort(-shares[1:], kind="stable")
        group = np.arange(len(order))
        if len(order) > MOST_GROUPS:
            ordered = shares[1:][order]
            middle = (np.cumsum(ordered) - ordered / 2) / max(ordered.sum(), np.finfo(float).tiny)
            group = np.minimum((middle * MOST_GROUPS).astype(np.int64), MOST_GROUPS - 1)
        of_code = np.zeros(len(shares), np.int64)
        of_code[order + 1] = group + 1
        return of_code


@dataclass(frozen=True)
class Reference:
    """What the values of a feature were, as `feature` reads them.

    `missing` is the share of rows without a value; the others have the `distribution`.
    """

    feature: Feature
    distribution: Distribution | Categories
    missing: float = 0.0

    @classmethod
    def of(cls, feature: Feature, values: pd.Series, weights: Floats | None = None) -> Reference:
        """The reference of a column, each value counted `weights` times, shape (rows,)."""
        read = feature.read(values)
        known = ~np.isnan(read)
        if weights is None and not known.all():
            weights = np.ones(len(read))
        missing = 0.0 if weights is None else 1 - float(weights[known].sum() / weights.sum())
        read, weights = read[known], None if weights is None else weights[known]
        if feature.kind == "category":
            counts = np.bincount(read.astype(np.int64), weights, len(feature.vocabulary) + 1)
            shares = counts / max(counts.sum(), 1)
            return cls(feature, Categories(tuple(shares.tolist())), missing)
        if not len(read):
            return cls(feature, Distribution((0.0,), (1.0, 0.0)), missing)
        return cls(feature, Distribution.of(read, weights), missing)

    @classmethod
    def read(cls, name: str, content: Mapping[str, Any]) -> Reference:
        """The reference that `dataclasses.asdict` wrote, or release 0.1.0, which knew numbers."""
        if "feature" not in content:
            return cls(Feature(name), Distribution.read(content))
        feature, found = Feature.from_dict(content["feature"]), content["distribution"]
        distribution: Distribution | Categories
        if feature.kind == "category":
            distribution = Categories(tuple(found["shares"]))
        else:
            distribution = Distribution.read(found)
        return cls(feature, distribution, content["missing"])


@dataclass(frozen=True)
class Scores:
    """The fraud probabilities that the served model gives the validation and holdout parts.

    `counts`, of shape (blocks, bins), counts them in consecutive blocks of time, so that a
    bootstrap over blocks knows how much the distribution changes over a day by itself. A block
    spans `seconds_per_block`, or None where the table has no time. Bins are as in Distribution.
    """

    edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]
    seconds_per_block: float | None

    @classmethod
    def of(
        cls,
        probability: Floats,
        threshold: float | None,
        seconds: float | None,
        weights: Floats | None = None,
    ) -> Scores:
        """The distribution of probabilities in order of time, which cover `seconds`.

        Each is counted `weights` times, shape (rows,).
        """
        rows = len(probability)
        weights = np.ones(rows) if weights is None else weights
        levels = SCORE_LEVELS[rows * (1 - SCORE_LEVELS) >= FEWEST_ABOVE]
        order = np.argsort(probability, kind="stable")
        upto = np.cumsum(weights[order])
        edges = probability[order][np.searchsorted(upto, levels * upto[-1])]
        if threshold is not None:
            # An edge just below the threshold, so that exactly the flagged scores lie above it.
            edges = np.append(edges, np.nextafter(threshold, -np.inf))
        edges = np.unique(edges)
        blocks = [
            np.rint(
                np.bincount(edges.searchsorted(block), weights[part], minlength=len(edges) + 1)
            ).astype(np.int64)
            for part in np.array_split(np.arange(rows), min(BLOCKS, rows))
            for block in [probability[part]]
        ]
        return cls(
            tuple(edges.tolist()),
            tuple(tuple(block.tolist()) for block in blocks),
            None if seconds is None else seconds / len(blocks),
        )

    def count(self, probability: Floats) -> Counts:
        """How many probabilities lie in each bin, shape (bins,)."""
        return np.bincount(np.searchsorted(self.edges, probability), minlength=len(self.edges) + 1)


@dataclass(frozen=True)
class Profile:
    """What a version's traffic is compared with.

    `features` leaves out times, which move by nature; the distributions are those of
    all transactions that the version was made from. `metrics` are those of the holdout.
    `fraud_rate` is a share of all transactions, `flagged_rate` one of those behind `scores`, and
    `holdout_fraud_rate` one of the traffic that the holdout stands for; release 0.1.0 did not tell.
    The version flags from `threshold`, or where probability x amount reaches `review_cost`; the
    other one is None. `alert_budget` is in alerts a day, `mean_amount` in the currency of the
    amounts, or None without them. `hours` tell what all of it was at each hour of the day, and are
    None where the version's table has no time, or too few rows.
    """

    target: str
    time: str | None
    amount: str | None
    rows: int
    fraud_rate: float
    flagged_rate: float
    threshold: float | None
    review_cost: float | None
    alert_budget: float
    mean_amount: float | None
    features: dict[str, Reference]
    scores: Scores
    metrics: Metrics
    hours: Hours | None = None
    holdout_fraud_rate: float | None = None

    @property
    def amount_column(self) -> int | None:
        """The position of the amount among the features, from 0; None without amounts."""
        names = list(self.features)
        return names.index(self.amount) if self.amount in names else None

    def flags(self, probability: Floats, amounts: Floats | None) -> Flags:
        """Which transactions the version's own decision flags; all arrays of shape (rows,)."""
        return flags(probability, amounts, self.threshold, self.review_cost)

    def write(self, path: Path) -> None:
        """Writes the profile as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Reads a profile, including one of release 0.1.0; unknown content is left out.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: it is not a profile.
        """
        content = json.loads(path.read_text())
        # The name in release 0.1.0.
        metrics = content.get("metrics") or content["figures"]
        scores = content["scores"]
        read = {"features", "scores", "metrics", "hours"}
        others = {field.name for field in fields(cls)} - read
        # Every version of release 0.1.0 has a threshold.
        content = {"review_cost": None, "holdout_fraud_rate": None, **content}
        return cls(
            **{name: content[name] for name in others},
            features={
                name: Reference.read(name, known) for name, known in content["features"].items()
            },
            scores=Scores(
                tuple(scores["edges"]),
                tuple(tuple(block) for block in scores["counts"]),
                scores["seconds_per_block"],
            ),
            metrics=Metrics.read(metrics),
            # Release 0.1.0 did not tell hours apart.
            hours=Hours.read(content["hours"]) if content.get("hours") else None,
        )
