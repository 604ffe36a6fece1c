"""Tables in the shapes of public ones go all the way as they come, and so do their rows."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import invocations

from fraud_model.data.table import typed
from fraud_model.model.directory import KnownRows
from fraud_model.monitoring.check import check
from fraud_model.monitoring.target import open_traffic, resolve
from fraud_model.monitoring.windows import Span
from fraud_model.registry.export import export
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.promotion import promote
from fraud_model.tracking import open_run
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.training.pipeline import Trained, train
from tests.support.server import serving
from tests.support.store import Store
from tests.support.table_shapes import SHAPES, Shape

ROUNDS = Hyperparameters(rounds=60)
# These tables are small and noisy; the gate is to compare, not to be strict about them.
LENIENT = GateThresholds(
    min_accuracy=0.5, min_average_precision=0.1, min_recall_at_budget=0, max_miscalibration=10
)


def trained_on(shape: Shape, folder: Path) -> Trained:
    """A version of the shape's table, read from a CSV file."""
    path = folder / f"{shape.name}.csv"
    shape.table().to_csv(path, index=False)
    with open_run("train"):
        return train(
            TrainingConfig(
                data=str(path), model_name=shape.name, hyperparameters=ROUNDS, **shape.parameters
            )
        )


def requests_of(shape: Shape, trained: Trained) -> list[dict[str, object]]:
    """Rows that were not trained on, as the upstream system has them: with null for gaps."""
    later = shape.table(seed=1)
    rows = typed(later, trained.result.dataset.columns)
    return KnownRows(rows, rows.index.to_numpy(dtype=float)).records


# The least like each other; CI has no time for all.
IN_CI = ("ecommerce", "ieee_cis", "sparkov")


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(shape, id=shape.name, marks=[] if shape.name in IN_CI else [pytest.mark.long])
        for shape in SHAPES
    ],
)
def test_a_table_goes_all_the_way_as_it_comes(store: Store, shape: Shape, tmp_path: Path) -> None:
    trained = trained_on(shape, tmp_path)
    with open_run("promote"):
        promote(shape.name, trained.version, "Production", LENIENT)
    export(shape.name, "Production", tmp_path / "model")
    rows = requests_of(shape, trained)
    payload = {"dataframe_records": rows[:500]}

    plain = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    expected = json.loads(
        invocations(
            json.dumps(payload), "application/json", plain, plain.metadata.get_input_schema()
        ).response
    )["predictions"]
    log = tmp_path / "audit.jsonl"
    with serving(tmp_path, "--model-uri", str(tmp_path / "model"), AUDIT_LOG=str(log)) as server:
        assert server.get("/health").json()["route"] == "fast"
        answer = server.post(payload)
        assert answer.json()["predictions"] == expected
        for row, alone in zip(rows[:20], expected, strict=False):
            assert server.post({"dataframe_records": [row]}).json()["predictions"] == [alone]
        for batch in range(500, len(rows), 500):
            more = server.post({"dataframe_records": rows[batch : batch + 500]})
            assert more.status_code == 200
        page = server.get("/").text
        # The page asks for each feature by its name.
        assert all(name in page or name in server.get("/docs").text for name in rows[0])

    probability = [answered["fraud_probability"] for answered in expected]
    labels = shape.table(seed=1)[shape.parameters["target"]].head(500)
    frauds = pd.Series(probability)[labels.to_numpy() == 1]
    assert frauds.mean() > 1.5 * pd.Series(probability).mean()

    with resolve(shape.name, "Production", "") as monitored:
        traffic, known = open_traffic(monitored, str(log), "")
        done = check(traffic, monitored.label, monitored.profile, Span.parse("1d"), known)
    assert sum(window.window.rows for window in done.windows) == len(rows) + 20
