"""The served version, and the rows that it has scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.types import ColSpec, DataType, ParamSchema, Schema
from mlflow.utils.proto_json_utils import cast_df_types_according_to_schema

from fraud_model.model.feature import Feature
from fraud_model.model.protocol import Scorer
from fraud_model.serving.origin import Origin

PROBABILITY = "fraud_probability"
FLAG = "is_fraud"
# The column of an answer that has no fraud probability and flag.
PREDICTION = "prediction"

NUMBERS = frozenset((DataType.double, DataType.float, DataType.long, DataType.integer))
NUMBERS_OR_NONE = frozenset((int, float, type(None)))
VALUES = NUMBERS | {DataType.string, DataType.boolean, DataType.datetime}

# The columns of an answer by name, each of shape (rows,).
Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class ScoredRows:
    """The rows of one request and what was answered to them.

    Attributes:
        features: names of the values' columns.
        rows: values as a request has them, and None or NaN for a missing one: an array of shape
            (rows, features), or a list for each row.
        columns: the answer. Without fraud probabilities and flags it is one column `prediction`.
    """

    features: Sequence[str]
    rows: npt.NDArray[Any] | Sequence[Sequence[Any]]
    columns: Columns

    def __len__(self) -> int:
        return len(self.rows)

    # Not every request needs them: without audit log and shadow only some features are looked at.
    @cached_property
    def values(self) -> npt.NDArray[Any]:
        """The rows as an array, shape (rows, features); float64 where all values are numbers."""
        if isinstance(self.rows, np.ndarray):
            return self.rows
        types = set(map(type, chain.from_iterable(self.rows)))
        return np.array(self.rows, dtype=np.float64 if types <= NUMBERS_OR_NONE else object)

    @property
    def has_probabilities(self) -> bool:
        """Whether the answer holds fraud probabilities and flags."""
        return PROBABILITY in self.columns

    def part(self, first: int, end: int) -> ScoredRows:
        """The rows from `first` up to `end`, which may lie beyond the last."""
        if first == 0 and end >= len(self):
            return self
        columns = {name: column[first:end] for name, column in self.columns.items()}
        return ScoredRows(self.features, self.rows[first:end], columns)


@dataclass(frozen=True)
class ServedModel:
    """A loaded model version, ours or a foreign one.

    Attributes:
        origin: where it came from.
        pyfunc: what MLflow loaded.
        scorer: the version itself, if it announces the scoring protocol and has proved to answer
            as `predict` does; else everything goes through `predict`.
        route_note: why there is no scorer.
        known: what training saw of its features, where the version has a reference profile; without
            times.
        usual: the range of nearly all of a number's values in training, by feature; as `known`.
        amount: the column of amounts, and `target` that of labels, as the reference profile names
            them; empty where it does not.
        examples: the known rows with the lowest and the highest score, as `low` and `high`;
            empty for a version without known rows.
    """

    origin: Origin
    pyfunc: mlflow.pyfunc.PyFuncModel
    scorer: Scorer | None = None
    route_note: str = ""
    known: Mapping[str, Feature] = field(default_factory=dict)
    usual: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    amount: str = ""
    target: str = ""
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def python_model(self) -> Any:
        """The Python model in it; None in another flavor's model."""
        try:
            return self.pyfunc.unwrap_python_model()
        except MlflowException:
            return None

    @property
    def route(self) -> Literal["fast", "predict"]:
        """How plain requests are scored: by the scorer, or by MLflow's `predict`."""
        return "fast" if self.scorer else "predict"

    @cached_property
    def inputs(self) -> Schema | None:
        """The signature's inputs; None for a version without a signature."""
        return self.pyfunc.metadata.get_input_schema()

    @cached_property
    def columns(self) -> Sequence[ColSpec]:
        """The signature's named columns; empty where it has none or describes tensors."""
        if self.inputs is None or self.inputs.is_tensor_spec():
            return ()
        if not self.inputs.has_input_names():
            return ()
        return tuple(self.inputs.inputs)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the scorer's or the signature's order."""
        if self.scorer is not None:
            return self.scorer.features
        return tuple(column.name for column in self.columns)

    @cached_property
    def required_numbers(self) -> tuple[str, ...]:
        """Names of the features that have to be there and have to be numbers."""
        required = {c.name for c in self.columns if c.required and c.type in NUMBERS}
        return tuple(name for name in self.features if name in required)

    @cached_property
    def value_columns(self) -> tuple[ColSpec, ...]:
        """The columns of numbers, texts, booleans and dates, in the features' order."""
        known = {column.name: column for column in self.columns if column.type in VALUES}
        return tuple(known[name] for name in self.features if name in known)

    @property
    def takes_values(self) -> bool:
        """Whether every column is one of `value_columns`."""
        return bool(self.features) and len(self.value_columns) == len(self.features)

    @cached_property
    def params(self) -> ParamSchema | None:
        """The signature's params; None where it has none."""
        return self.pyfunc.metadata.get_params_schema()

    @cached_property
    def threshold(self) -> float | None:
        """The version's own threshold; None where it has none, or nothing says it."""
        if self.scorer is not None:
            return self.scorer.threshold
        for param in self.params.params if self.params else ():
            if param.name == "threshold" and isinstance(param.default, int | float):
                return float(param.default)
        return None

    @cached_property
    def decision(self) -> str:
        """What the version flags, for people; empty where nothing says it."""
        if self.scorer is not None:
            return self.scorer.decision
        return "" if self.threshold is None else f"probability >= {self.threshold:.4g}"

    @cached_property
    def is_comparable(self) -> bool:
        """Whether it answers rows of values with fraud probabilities and flags.

        Its signature says so. A value is a number, a text, a boolean or a date.
        """
        outputs = self.pyfunc.metadata.get_output_schema()
        if outputs is None or outputs.is_tensor_spec() or not outputs.has_input_names():
            return False
        answered = {PROBABILITY, FLAG} <= set(outputs.input_names())
        return answered and self.takes_values

    def score(self, values: npt.NDArray[Any]) -> Columns:
        """Scores the values of rows that another version has scored, shape (rows, features).

        Raises:
            MlflowException: this version refuses one of them.
        """
        if self.scorer is not None:
            inputs = self.scorer.encode_rows(values.tolist())
            if inputs is not None:
                return self.scorer.score(inputs)
        rows = pd.DataFrame(values, columns=[*self.features])
        if self.inputs is not None:
            rows = cast_df_types_according_to_schema(rows, self.inputs)
        table: pd.DataFrame = self.pyfunc.predict(rows)
        return {name: table[name].to_numpy() for name in table.columns}
