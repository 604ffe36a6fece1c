"""The answer to a plain request, as MLflow would write it."""

from __future__ import annotations

from mlflow.utils.proto_json_utils import NumpyEncoder

from fraud_model.serving.model import Columns

# MLflow's own encoder. MLflow writes to a stream with it, and for streams `json` uses Python code,
# which takes ten times as long as its C code for texts.
_ENCODER = NumpyEncoder()


def encode(columns: Columns) -> str:
    """The JSON of scored rows: what MLflow makes of the pyfunc's table with these columns.

    Raises:
        TypeError: a value has no form in JSON.
        ValueError: the columns differ in length.
    """
    names = columns.keys()
    values = (column.tolist() for column in columns.values())
    rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return str(_ENCODER.encode({"predictions": rows}))
