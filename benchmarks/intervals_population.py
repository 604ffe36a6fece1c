"""A population of scores whose average precision is known, and the holdouts drawn from it.

The log-odds have the shape of those that a model trained on the real transactions gives to others:
two thirds of the frauds stand out, an eighth lies among the highest genuine transactions, and the
rest is missed. Frauds of one burst are ranked alike: what they have in common explains the share
`ALIKE` of the variance of their normal scores (on the real transactions some 0.2 to 0.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats
from scipy.special import ndtr

from fraud_model.arrays import Floats, Labels

FRAUD_RATE = 0.00172
ALIKE = 0.4
HOURS = 10
MANY = 1_500_000


@dataclass(frozen=True)
class Holdout:
    """Labels, both models' scores and times, each of shape (rows,)."""

    labels: Labels
    champion: Floats
    challenger: Floats
    times: Floats
    genuine_weight: float


@dataclass(frozen=True)
class Population:
    """How frauds come and how a champion and a challenger score them.

    `missed`, `middling` and `found` describe the frauds: two shares, and the mean log-odds of the
    others. Frauds come in bursts of `burst` on average, `gap` seconds apart. `thinned` is how many
    genuine transactions stand behind each one in the holdout.
    """

    name: str
    missed: float = 0.2
    middling: float = 0.12
    found: float = 5.0
    burst: float = 1.0
    gap: float = 90.0
    thinned: float = 1.0
    lost: float = 1.0
    noise: float = 0.6

    @cached_property
    def truth(self) -> tuple[float, float]:
        """The champion's average precision, and the challenger's minus the champion's."""
        random = np.random.default_rng(99)
        champion, challenger = (
            _average_precision(frauds, genuine)
            for frauds, genuine in zip(
                self._frauds(random, np.arange(MANY)),
                self._genuine(random, 2 * MANY),
                strict=True,
            )
        )
        return champion, challenger - champion

    def draw(self, random: np.random.Generator, frauds: int) -> Holdout:
        """A holdout of ten hours, with so many frauds on average; at least three."""
        sizes = np.zeros(0, np.int64)
        while sizes.sum() < 3:
            sizes = random.geometric(1 / self.burst, random.poisson(frauds / self.burst))
        burst = np.repeat(np.arange(len(sizes)), sizes)
        seconds = HOURS * 3600.0
        since = random.exponential(self.gap, len(burst)).cumsum()
        first = np.append(0, sizes.cumsum()[:-1])[burst]
        begun = random.random(len(sizes))[burst] * seconds
        genuine = round(frauds * (1 / FRAUD_RATE - 1) / self.thinned)
        champion, challenger = (
            np.append(*pair)
            for pair in zip(
                self._frauds(random, burst), self._genuine(random, genuine), strict=True
            )
        )
        return Holdout(
            np.repeat([1, 0], [len(burst), genuine]),
            champion,
            challenger,
            np.append(begun + since - since[first], random.random(genuine) * seconds),
            self.thinned,
        )

    def _frauds(self, random: np.random.Generator, burst: Labels) -> tuple[Floats, Floats]:
        def normal() -> Floats:
            common = random.standard_normal(int(burst.max()) + 1)[burst]
            own = random.standard_normal(len(burst))
            return np.asarray(np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * own)

        log_odds = np.interp(ndtr(normal()), *self._quantiles)
        noise = 1.2 * self.noise
        return log_odds + noise * normal(), log_odds - self.lost + noise * normal()

    def _genuine(self, random: np.random.Generator, number: int) -> tuple[Floats, Floats]:
        usual = -10.7 + 1.3 * random.standard_normal(number)
        unusual = -9.2 + random.exponential(1.35, number)
        log_odds = np.where(random.random(number) < 0.2, unusual, usual)
        noise = 0.7 * self.noise * random.standard_normal((2, number))
        return log_odds + noise[0], log_odds - self.lost / 2 + noise[1]

    @cached_property
    def _quantiles(self) -> tuple[Floats, Floats]:
        grid = np.linspace(-25, 15, 8_001)
        share = (
            self.missed * stats.norm.cdf(grid, -5.5, 3.5)
            + self.middling * stats.norm.cdf(grid, 2.0, 1.2)
            + (1 - self.missed - self.middling) * stats.norm.cdf(grid, self.found, 1.5)
        )
        return share, grid


def _average_precision(frauds: Floats, genuine: Floats) -> float:
    """At `FRAUD_RATE`, however many of each there are."""
    genuine = np.sort(genuine)
    descending = np.sort(frauds)[::-1]
    caught = FRAUD_RATE * np.arange(1, len(frauds) + 1) / len(frauds)
    above = len(genuine) - np.searchsorted(genuine, descending)
    false = (1 - FRAUD_RATE) * above / len(genuine)
    return float((caught / (caught + false)).mean())


POPULATIONS = (
    Population("frauds one by one"),
    Population("short bursts", burst=3),
    Population("long bursts", burst=6, gap=400),
    Population("long bursts, a weak model", missed=0.4, middling=0.3, found=1, burst=6, gap=400),
    Population("short bursts, genuine thinned 12-fold", burst=3, thinned=12),
)
