"""A model that stands in a stage or is to stand there, and how it does on a holdout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import DataType, Schema

from fraud_model.arrays import Flags, Floats
from fraud_model.data.columns import Columns
from fraud_model.errors import FilesGone, ModelFailed, ParameterError, RegistryError
from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.holdout import Holdout
from fraud_model.evaluation.learned import Which
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.metrics import Metrics
from fraud_model.registry import files

PROBABILITY, FLAG = "fraud_probability", "is_fraud"
# For models that neither tag nor signature gives one: the usual threshold of a classifier.
DEFAULT_THRESHOLD = 0.5
NARROWER = (DataType.integer, DataType.long)
MOST_CHARACTERS = 120


@dataclass(frozen=True)
class HoldoutResult:
    """What a model answered to a holdout, and its metrics by its own decision.

    `flagged` has shape (rows,); `decision` says for people what it flags.
    """

    scored: Scored
    flagged: Flags
    decision: str
    metrics: Metrics

    @classmethod
    def of(
        cls, scored: Scored, flagged: Flags, decision: str, alert_budget: float
    ) -> HoldoutResult:
        """Measures what was answered."""
        return cls(scored, flagged, decision, evaluate(scored, flagged, alert_budget))

    def among(self, rows: Flags, alert_budget: float) -> HoldoutResult:
        """The result on some of the rows alone, shape (rows,)."""
        if rows.all():
            return self
        scored = self.scored
        chosen = replace(
            scored,
            labels=scored.labels[rows],
            probability=scored.probability[rows],
            amounts=None if scored.amounts is None else scored.amounts[rows],
            times=None if scored.times is None else scored.times[rows],
            days=scored.days * float(rows.mean()),
        )
        return HoldoutResult.of(chosen, self.flagged[rows], self.decision, alert_budget)


@dataclass(frozen=True)
class Candidate:
    """A model by its address: a version of the registry, or an exported directory.

    `label` is what messages call it. `data_kind` tells what it was trained on: `real`, `simulated`
    or `unknown`. `threshold` is the version's tag, or None where it has none. `run_id` is empty
    where the run is not known. `facts` are the version's tags, or what its export recorded.
    """

    uri: str
    label: str
    data_kind: str
    threshold: float | None
    run_id: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def registered(cls, version: ModelVersion) -> Candidate:
        """A version of the registry.

        Raises:
            RegistryError: its tag `threshold` is no number from 0 to 1.
        """
        return cls(
            uri=f"models:/{version.name}/{version.version}",
            label=f"version {version.version}",
            data_kind=version.tags.get("data_kind", "unknown"),
            threshold=_threshold_tag(version),
            run_id=str(version.run_id or ""),
            facts=version.tags,
        )

    @classmethod
    def exported(cls, folder: Path) -> Candidate:
        """The model in an exported directory.

        Raises:
            ParameterError: there is no such directory, or it holds something else.
        """
        if not folder.exists():
            raise ParameterError(
                f"champion_dir={str(folder)!r} does not exist. Name an exported model, or compare "
                "with no champion: -P champion=none"
            )
        origin = ModelDirectory(folder).required_origin()
        label = f"the exported version {origin['model_version']}"
        kind = origin.get("data_kind", "unknown")
        return cls(str(folder), label, kind, None, origin.get("run_id", ""), origin)

    def score(
        self, holdout: Holdout, alert_budget: float, which: Which = "evaluation"
    ) -> HoldoutResult:
        """Scores a holdout; `alert_budget` is in alerts a day.

        `which` chooses between the model that answers and the one that was measured, where a
        version was refitted. A model that answers no column `fraud_probability` is scored by its
        answer itself, if that is one-dimensional and holds numbers from 0 to 1.

        Raises:
            ModelFailed: the model does not load, fails on the holdout, or answers no probabilities.
            RegistryError: the holdout lacks a feature of the model.
        """
        schema = self._model.metadata.get_input_schema()
        rows = self._rows(schema, holdout.rows, holdout.columns)
        with self._explained("fails on the holdout"):
            answer = self._answer(rows, which)
        probability = self._probability(answer, len(rows))
        threshold = self._threshold(self._model.metadata.signature)
        flagged = probability >= threshold
        if isinstance(answer, pd.DataFrame) and FLAG in answer.columns:
            flagged = answer[FLAG].to_numpy(dtype=bool)
        decision = self.facts.get("decision", f"probability >= {threshold:.4g}")
        return HoldoutResult.of(holdout.scored(probability), flagged, decision, alert_budget)

    @cached_property
    def _model(self) -> mlflow.pyfunc.PyFuncModel:
        with self._explained("does not load"):
            return mlflow.pyfunc.load_model(str(files.download(self.uri, self.label)))

    def _answer(self, rows: pd.DataFrame, which: Which) -> Any:
        if which == "evaluation":
            try:
                detector = self._model.unwrap_python_model().evaluation_detector()
            except (MlflowException, AttributeError):
                # Another flavor's model, or one of release 0.1.0, which never refitted.
                return self._model.predict(rows)
            return detector.predict(None, rows)
        return self._model.predict(rows)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except FilesGone as error:
            raise ModelFailed("its files are gone from the artifact store") from error
        except Exception as error:  # a model's own code raises whatever it likes
            lines = str(error).splitlines() or [type(error).__name__]
            raise ModelFailed(f"{self.uri} {what}: {lines[0][:MOST_CHARACTERS]}") from error

    def _rows(self, schema: Schema | None, holdout: pd.DataFrame, columns: Columns) -> pd.DataFrame:
        """The features that the model wants, of the types that its signature wants."""
        if schema is None or not schema.has_input_names():
            return holdout[list(columns.features)]
        missing = [name for name in schema.required_input_names() if name not in columns.features]
        if missing:
            raise RegistryError(
                f"{self.uri} needs {', '.join(map(repr, missing))}, not in the holdout: "
                "train other columns under another name with -P model_name="
            )
        rows = holdout[[name for name in schema.input_names() if name in columns.features]]
        # The holdout holds doubles alone, and MLflow makes no whole numbers of them.
        types = schema.input_types_dict()
        narrower = {
            name: types[name].to_numpy()
            for name in rows.columns
            if types[name] in NARROWER and (rows[name] % 1 == 0).all()
        }
        return rows.astype(narrower)

    def _probability(self, answer: Any, rows: int) -> Floats:
        named = isinstance(answer, pd.DataFrame) and PROBABILITY in answer.columns
        try:
            values = np.asarray(answer[PROBABILITY] if named else answer)
        except ValueError:
            values = np.empty(0, dtype=object)
        numbers = values.shape == (rows,) and values.dtype.kind in "biuf"
        if not numbers or not ((values >= 0) & (values <= 1)).all():
            raise ModelFailed(
                f"{self.uri} answers {_described(answer, values)}: expected a column "
                f"{PROBABILITY!r}, or an array of {rows:,} numbers from 0 to 1"
            )
        return values.astype(np.float64)

    def _threshold(self, signature: ModelSignature | None) -> float:
        if self.threshold is not None:
            return self.threshold
        params = signature.params.params if signature and signature.params else []
        defaults = {spec.name: spec.default for spec in params}
        return float(defaults.get("threshold", DEFAULT_THRESHOLD))


def _threshold_tag(version: ModelVersion) -> float | None:
    text = version.tags.get("threshold")
    if text is None:
        return None
    try:
        threshold = float(text)
    except ValueError:
        threshold = np.nan
    if not 0 <= threshold <= 1:
        raise RegistryError(
            f"version {version.version} of {version.name}: its tag threshold={text!r} is invalid: "
            "expected a number from 0 to 1. Correct the tag."
        )
    return threshold


def _described(answer: Any, values: np.ndarray[Any, Any]) -> str:
    if isinstance(answer, pd.DataFrame):
        shown = f"a table with the columns {', '.join(map(repr, answer.columns))}"
    else:
        shown = f"{type(answer).__name__} of shape {values.shape}"
    if values.dtype.kind in "iuf" and values.size:
        return f"{shown}, with values from {values.min():g} to {values.max():g}"
    return f"{shown}, such as {str(values.flat[0])[:40]!r}" if values.size else shown
