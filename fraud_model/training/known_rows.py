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
from fraud_model.data.column_files import pieces
from fraud_model.model.detector import FraudDetector
from fraud_model.model.feature import ISO, Feature
from fraud_model.model.profile import Categories, Distribution, Profile, Reference

KNOWN_ROWS, FEWEST = 10, 2
SEED = 0
# Nearly all plain draws score low. Each further generation changes some features of the rows that
# have scored highest so far.
GENERATIONS = 12
ROWS_PER_GENERATION = 1_000
PARENTS = 50
SHARE_CHANGED = 0.25
# A feature whose values have no more decimals than this, such as an amount or a count, keeps them.
MOST_DECIMALS = 4
# What stands for the categories of too few rows to be named.
INVENTED = "invented"


def make_known_rows(detector: FraudDetector, profile: Profile, table: pd.DataFrame) -> pd.DataFrame:
    """Invents transactions whose scores spread from low to high, in ascending order of score.

    None of them is a row of `table`, the table behind the profile, unless that holds all there can
    be. The same arguments give the same rows. Their columns are the detector's features, in order,
    as a request has them.
    """
    features = detector.encoder.features
    references = [
        # The profile leaves out times.
        profile.features.get(feature.name) or Reference.of(feature, table[feature.name])
        for feature in features
    ]
    known = _hashes(table[list(detector.features)])
    for decimals in (MOST_DECIMALS, -1):
        drawn, probability = _search(detector, references, decimals)
        # pandas looks them up in a hash table, where NumPy sorts all of them.
        taken = pd.Series(_hashes(drawn)).isin(known) | drawn.duplicated()
        unseen = ~taken.to_numpy()
        # A table of a few whole numbers may hold all that can be drawn of them.
        if unseen.sum() >= KNOWN_ROWS:
            break
    if unseen.sum() < FEWEST:
        # So does one of a few categories: a row that every table holds is nobody's.
        unseen = ~drawn.duplicated().to_numpy()
    drawn, probability = drawn[unseen], probability[unseen]
    chosen: pd.DataFrame = drawn.iloc[_spread(probability)].reset_index(drop=True)
    return chosen


def _search(
    detector: FraudDetector, references: Sequence[Reference], decimals: int
) -> tuple[pd.DataFrame, Floats]:
    """Draws rows with low, middling and high scores; returns them with their probabilities."""
    rng = np.random.default_rng(SEED)
    features = detector.encoder.features

    def draw() -> pd.DataFrame:
        pairs = zip(features, references, strict=True)
        return pd.DataFrame({f.name: _draw(f, known, decimals, rng) for f, known in pairs})

    rows = draw()
    probability = detector.probability(rows)
    for _ in range(GENERATIONS):
        parents = np.argsort(-probability, kind="stable")[:PARENTS]
        chosen = parents[rng.integers(len(parents), size=ROWS_PER_GENERATION)]
        children = rows.iloc[chosen].reset_index(drop=True)
        changed = rng.random(children.shape) < SHARE_CHANGED
        made = children.mask(changed, draw())
        rows = pd.concat([rows, made], ignore_index=True)
        probability = np.concatenate([probability, detector.probability(made)])
    return rows, probability


def _draw(feature: Feature, known: Reference, decimals: int, rng: np.random.Generator) -> pd.Series:
    """Values of one feature as a request has them, shape (ROWS_PER_GENERATION,)."""
    if isinstance(known.distribution, Categories):
        values = _draw_category(feature, known.distribution, rng)
    else:
        values = _as_payload(feature, _draw_number(known.distribution, decimals, rng))
    if not known.missing:
        return values
    return values.where(rng.random(len(values)) >= known.missing)


def _draw_category(feature: Feature, known: Categories, rng: np.random.Generator) -> pd.Series:
    places = rng.choice(len(known.shares), ROWS_PER_GENERATION, p=known.shares)
    if feature.payload == "string":
        return pd.Series(
            np.array([INVENTED, *feature.vocabulary], dtype=object)[places], dtype="str"
        )
    if feature.payload == "boolean":
        return pd.Series(np.array([word == "True" for word in ("", *feature.vocabulary)])[places])
    return pd.Series(np.array([float(word) for word in ("-1", *feature.vocabulary)])[places])


def _as_payload(feature: Feature, values: Floats) -> pd.Series:
    """Numbers as a request has them: as such, as texts, as true and false, or as dates."""
    if feature.kind == "time":
        if feature.payload == "double":
            return pd.Series(values / feature.seconds)
        dates = pd.Series(pd.to_datetime(np.rint(values), unit="s")).astype("datetime64[us]")
        return dates if feature.payload == "datetime" else dates.dt.strftime(_written(feature))
    if feature.kind == "boolean":
        truth = values >= 0.5
        if feature.payload == "string":
            yes, no = feature.format.split("/")
            return pd.Series(np.where(truth, yes, no), dtype="str")
        return pd.Series(truth if feature.payload == "boolean" else truth.astype(np.float64))
    if feature.payload == "double":
        return pd.Series(values)
    texts = pd.Series(values).map(lambda value: f"{value:.10g}")
    return texts.str.replace(".", feature.format or ".").astype("str")


def _written(feature: Feature) -> str:
    return "%Y-%m-%dT%H:%M:%S" if feature.format in ("", ISO) else feature.format


def _draw_number(distribution: Distribution, most: int, rng: np.random.Generator) -> Floats:
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
    numbers = rows.select_dtypes("float64").columns
    # Adding 0 turns -0.0, which has other bits, into 0.0.
    return np.concatenate(
        [
            hash_pandas_object(piece.assign(**{n: piece[n] + 0.0 for n in numbers}), index=False)
            for _, piece in pieces(rows)
        ]
    )


def _spread(probability: Floats) -> list[int]:
    """The places of the rows nearest to evenly spaced probabilities, in ascending order of them."""
    places: list[int] = []
    count = min(KNOWN_ROWS, len(probability))
    for wanted in np.linspace(probability.min(), probability.max(), count):
        distance = np.abs(probability - wanted)
        distance[places] = np.inf
        places.append(int(distance.argmin()))
    return sorted(places, key=lambda place: float(probability[place]))
