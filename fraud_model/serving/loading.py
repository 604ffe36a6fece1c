"""Loads a version and proves on its known rows how it may be served."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.pyfunc import CODE, FLAVOR_NAME
from mlflow.pyfunc.scoring_server import CONTENT_TYPE_JSON, invocations

from fraud_model.arrays import Floats
from fraud_model.errors import RegistryError
from fraud_model.model.directory import KnownRows, ModelDirectory
from fraud_model.model.profile import Distribution
from fraud_model.model.protocol import Scorer, announced_scorer
from fraud_model.registry.smoke import TOLERANCE
from fraud_model.serving import answer
from fraud_model.serving.failure import describe, first_line
from fraud_model.serving.fast_path import Recogniser
from fraud_model.serving.model import PROBABILITY, ServedModel
from fraud_model.serving.origin import Origin

log = logging.getLogger("fraud_model.serving")


def load_served(origin: Origin) -> ServedModel:
    """Loads the version and scores its known rows.

    `predict` has to answer them as it did when the version was trained. A version that announces
    the scoring protocol is served by its scorer if that answers them exactly as `predict` does.
    Every other version is served by `predict`.

    Raises:
        RegistryError: the version does not load, or `predict` does not answer as recorded.
    """
    try:
        served = ServedModel(origin, mlflow.pyfunc.load_model(origin.path))
    except Exception as error:
        raise RegistryError(
            f"{origin.path}: the model cannot be loaded: {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error
    served = _with_profile(served)
    scorer = announced_scorer(served.pyfunc)
    known = _known_rows(origin)
    if known is None:
        return replace(served, route_note="the version has no known rows to check it with")
    rows, recorded = known.rows, known.probability
    _check_predict(served, rows, recorded)
    records = known.records
    examples = {
        name: records[int(place)]
        for name, place in (("low", np.argmin(recorded)), ("high", np.argmax(recorded)))
    }
    served = replace(served, examples=examples)
    if scorer is None:
        return replace(served, route_note="the version does not announce the scoring protocol")
    fault = _fault_of(scorer, served, records)
    if fault:
        log.warning("the fast route is not used: %s", fault)
        return replace(served, route_note=fault)
    return replace(served, scorer=scorer)


def load_beside(origin: Origin) -> ServedModel:
    """Does what `load_served` does in a process that has loaded another version.

    Raises:
        RegistryError: as for `load_served`, or the version brings modules of its own, which Python
            would not import again where another version's have the same names.
    """
    pyfunc = ModelDirectory(Path(origin.path)).metadata.flavors.get(FLAVOR_NAME, {})
    if pyfunc.get(CODE):
        raise RegistryError(
            f"version {origin.model_version} of {origin.model_name} brings Python modules "
            "(`code_paths`), which cannot be loaded beside those of another version. Restart the "
            "server to serve it."
        )
    return load_served(origin)


def _with_profile(served: ServedModel) -> ServedModel:
    """The model with what its reference profile says, as it is where there is none to read."""
    try:
        profile = ModelDirectory(Path(served.origin.path)).required_profile()
    except RegistryError:
        # Scoring needs none.
        return served
    references = profile.features
    return replace(
        served,
        known={name: reference.feature for name, reference in references.items()},
        usual={
            name: reference.distribution.usual
            for name, reference in references.items()
            if isinstance(reference.distribution, Distribution) and reference.feature.is_number
        },
        amount=profile.amount or "",
        target=profile.target,
    )


def _known_rows(origin: Origin) -> KnownRows | None:
    try:
        known = ModelDirectory(Path(origin.path)).known_rows
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(
            f"{origin.path}: the known rows cannot be read: {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error
    if known is not None and not 0 < len(known.rows) == len(known.probability):
        raise RegistryError(
            f"{origin.path}: the known rows cannot be used: there are {len(known.rows)} rows and "
            f"{len(known.probability)} probabilities."
        )
    return known


def _check_predict(served: ServedModel, rows: pd.DataFrame, recorded: Floats) -> None:
    try:
        answered = served.pyfunc.predict(rows)[PROBABILITY].to_numpy(dtype=np.float64)
        off = np.abs(answered - recorded)
    except Exception as error:
        raise RegistryError(
            f"{served.origin.path}: the version cannot score its known rows: {describe(error)}."
        ) from error
    if not (off <= TOLERANCE).all():
        worst = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
        raise RegistryError(
            f"{served.origin.path}: known row {worst + 1} scores {answered[worst]:.9g}, and the "
            f"version recorded {recorded[worst]:.9g} when it was trained. Its files or its "
            "environment have changed. Export the version again, or install its requirements.txt."
        )


def _fault_of(scorer: Scorer, served: ServedModel, records: list[dict[str, Any]]) -> str:
    """What keeps the scorer from being used; empty if nothing does."""
    body = json.dumps({"dataframe_records": records}).encode()
    expected = invocations(body, CONTENT_TYPE_JSON, served.pyfunc, served.inputs).response
    try:
        rows = Recogniser(scorer.features).recognise(body)
        if rows is None:
            return "the version's known rows do not have exactly the scorer's features"
        inputs = scorer.encode_rows(rows)
        if inputs is None:
            return "the scorer does not take the version's known rows"
        found = answer.encode(scorer.score(inputs))
        if scorer.threshold is not None and not 0 <= scorer.threshold <= 1:
            return f"the scorer's threshold={scorer.threshold} does not lie from 0 to 1"
    except Exception as error:
        return f"the scorer failed on the version's known rows: {describe(error)}"
    if found != expected:
        return "the scorer does not answer the version's known rows exactly as `predict` does"
    return ""
