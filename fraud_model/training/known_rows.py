"""Makes a version's known rows: invented transactions that cover the range of its scores.

Known rows travel with a version wherever it goes, so they must not be card data. They are drawn
from what the reference profile shows anyway, the distribution of each feature by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.util import hash_pandas_object

from fraud_model.arrays import Floats
from fraud_model.model.detector import FraudDetector
from fraud_model.model.profile import Distribution, Profile

KNOWN_ROWS = 10
SEED = 0
# Nearly all plain draws score low. Each further generation changes some features of the rows that
# have scored highest so far.
GENERATIONS = 12
ROWS_PER_GENERATION = 1_000
PARENTS = 50
SHARE_CHANGED = 0.25
# A feature whose values have no more decimals than this, such as an amount or a count, keeps them.
MOST_DECIMALS = 4


def make_known_rows(detector: FraudDetector, profile: Profile, table: pd.DataFrame) -> pd.DataFrame:
    """Invents transactions whose scores spread from low to high, in ascending order of score.

    None of them is a row of `table`, the table behind the profile. The same arguments give the
    same rows. Their columns are the detector's features, in order.
    """
    features = list(detector.features)
    columns = [
        # The profile leaves out the time.
        profile.features.get(name) or Distribution.of(table[name].to_numpy())
        for name in features
    ]
    known = _hashes(table[features])
    for decimals in (MOST_DECIMALS, -1):
        drawn, probability = _search(detector, columns, decimals)
        unseen = ~np.isin(_hashes(drawn), known) & ~drawn.duplicated().to_numpy()
        # A table of a few whole numbers may hold all that can be drawn of them.
        if unseen.sum() >= KNOWN_ROWS:
            break
    drawn, probability = drawn[unseen], probability[unseen]
    chosen: pd.DataFrame = drawn.iloc[_spread(probability)].reset_index(drop=True)
    return chosen


def _search(
    detector: FraudDetector, columns: Sequence[Distribution], decimals: int
) -> tuple[pd.DataFrame, Floats]:
    """Draws rows with low, middling and high scores; returns them with their probabilities."""
    rng = np.random.default_rng(SEED)
    rows = pd.DataFrame(_draw(columns, decimals, rng), columns=list(detector.features))
    probability = detector.probability(rows)
    for _ in range(GENERATIONS):
        parents = rows.to_numpy()[np.argsort(-probability, kind="stable")[:PARENTS]]
        children = parents[rng.integers(PARENTS, size=ROWS_PER_GENERATION)]
        changed = rng.random(children.shape) < SHARE_CHANGED
        children = np.where(changed, _draw(columns, decimals, rng), children)
        made = pd.DataFrame(children, columns=rows.columns)
        rows = pd.concat([rows, made], ignore_index=True)
        probability = np.concatenate([probability, detector.probability(made)])
    return rows, probability


def _draw(columns: Sequence[Distribution], decimals: int, rng: np.random.Generator) -> Floats:
    return np.column_stack([_draw_one(column, decimals, rng) for column in columns])


def _draw_one(distribution: Distribution, most: int, rng: np.random.Generator) -> Floats:
    """Draws values between the edges, with the decimals of the edges if these have at most so many.

    Below 0, `most` rounds nothing.
    """
    edges = np.array(distribution.edges)
    levels = np.cumsum(distribution.shares)[:-1]
    values: Floats = np.interp(rng.random(ROWS_PER_GENERATION), levels, edges)
    for decimals in range(most + 1):
        # The first edge lies just below the smallest value.
        if np.array_equal(edges[1:], edges[1:].round(decimals)):
            return np.round(values, decimals)
    return values


def _hashes(rows: pd.DataFrame) -> npt.NDArray[np.uint64]:
    # Adding 0 turns -0.0, which has other bits, into 0.0.
    return np.asarray(hash_pandas_object(rows + 0.0, index=False), dtype=np.uint64)


def _spread(probability: Floats) -> list[int]:
    """The places of the rows nearest to evenly spaced probabilities, in ascending order of them."""
    places: list[int] = []
    for wanted in np.linspace(probability.min(), probability.max(), KNOWN_ROWS):
        distance = np.abs(probability - wanted)
        distance[places] = np.inf
        places.append(int(distance.argmin()))
    return sorted(places, key=lambda place: float(probability[place]))
