"""The process in which a worker scores its shadow: `python -m` this module.

Standard input is a line of JSON, which says what to load and what to expect, and then frames.
Standard output is a line that says what was loaded, or why nothing was, and then audit lines.
The shadow has a process of its own so that it never holds the interpreter that answers requests.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import BinaryIO

import orjson
from mlflow.exceptions import MlflowException

from fraud_model.errors import FraudModelError, RegistryError
from fraud_model.serving import child
from fraud_model.serving.loading import load_served
from fraud_model.serving.model import FLAG, PROBABILITY, ServedModel
from fraud_model.serving.origin import resolve
from fraud_model.serving.shadow import frames
from fraud_model.serving.shadow.frames import DROPPED

# Only what nobody else wants of the processor.
NICENESS = 19
CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")


def main() -> None:
    """Loads the model and scores frames until the input ends."""
    child.run(_serve, NICENESS)


def _serve(stream: BinaryIO, output: BinaryIO, loaded: threading.Event) -> None:
    line = stream.readline()
    if not line:
        return
    order = orjson.loads(line)
    try:
        served = load(order["model_uri"], order["features"])
    except Exception as error:
        output.write(orjson.dumps({"refused": _in_one_line(error)}) + b"\n")
        output.flush()
        return
    loaded.set()
    origin = served.origin
    output.write(orjson.dumps({"model_version": origin.model_version}) + b"\n")
    output.flush()
    scorer = ShadowScorer(served, order["features"], order["shadow_of"])
    while frame := frames.read(stream, len(order["features"])):
        output.write(scorer.lines(frame))
        output.flush()


def load(model_uri: str, features: Sequence[str]) -> ServedModel:
    """The model that the URI names, if its scores of these features can be compared.

    Raises:
        FraudModelError: there is no such model, it cannot be compared, or it needs more features.
    """
    served = load_served(resolve(model_uri))
    if not served.is_comparable:
        raise RegistryError(
            f"{model_uri}: its signature does not answer rows with {PROBABILITY} and {FLAG}, so "
            "it cannot be compared with the served model."
        )
    missing = [feature for feature in served.features if feature not in features]
    if missing:
        raise RegistryError(
            f"{model_uri} needs {', '.join(missing)}, which requests to the served model do not "
            "have."
        )
    return served


class ShadowScorer:
    """Scores frames of rows with the champion's `features`, and writes audit lines of them."""

    def __init__(self, served: ServedModel, features: Sequence[str], shadow_of: str) -> None:
        self._served = served
        self._columns = [features.index(feature) for feature in served.features]
        self._model = {
            "model_name": served.origin.model_name,
            "model_version": served.origin.model_version,
            "shadow_of": shadow_of,
        }

    def lines(self, frame: frames.Frame) -> bytes:
        """One line per row; `DROPPED` for the rows of a request that this version refuses."""
        try:
            return self._lines(frame)
        except MlflowException:
            if len(frame.requests) == 1:
                return DROPPED * len(frame.values)
        return b"".join(map(self.lines, frame.each()))

    def _lines(self, frame: frames.Frame) -> bytes:
        scored = self._served.score(frame.values[:, self._columns])
        rows = ((request_id, row) for request_id, count in frame.requests for row in range(count))
        columns = (
            scored[PROBABILITY],
            scored[FLAG],
            frame.probability,
            frame.flagged,
        )
        return b"".join(
            orjson.dumps(
                {
                    "time": frame.time,
                    "request_id": request_id,
                    "row": row,
                    **self._model,
                    "fraud_probability": probability,
                    "is_fraud": flagged,
                    "champion_probability": champion_probability,
                    "champion_is_fraud": champion_flagged,
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for (request_id, row), probability, flagged, champion_probability, champion_flagged in (
                zip(rows, *(column.tolist() for column in columns), strict=True)
            )
        )


def _in_one_line(error: Exception) -> str:
    text = CREDENTIALS.sub("", " ".join(str(error).split("\n", 1)[0].split()))
    return text if isinstance(error, FraudModelError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    main()
