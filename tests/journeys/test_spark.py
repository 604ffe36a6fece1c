"""Spark scores tables as the page about it says, and answers as the version's own `predict`."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest

from tests.support.documents import fences
from tests.support.environment import own_environment
from tests.support.typed_table import typed_table

PAGE, SECTION = "docs/scale.md", "On Spark"
MODEL, TABLE, SCORED = (
    "models:/fraud-detector/Production",
    "data/transactions.parquet",
    "data/scored.parquet",
)
ANSWER = ["fraud_probability", "is_fraud", "risk_level"]
SECONDS = 600

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Spark, which no lock contains: it takes hundreds of megabytes."""
    folder = tmp_path_factory.mktemp("spark")
    install = shlex.split(fences(PAGE, SECTION)[0].text)
    assert install[:2] == ["pip", "install"]
    command = [sys.executable, "-m", *install, "--quiet", "--target", str(folder)]
    subprocess.run(command, check=True, timeout=SECONDS)
    return folder


def scored(spark: Path, model: Path, table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """What the page's snippet writes about a table."""
    (folder / "data").mkdir()
    table.to_parquet(folder / TABLE, index=False)
    (snippet,) = (fence.text for fence in fences(PAGE, SECTION) if fence.language == "python")
    assert MODEL in snippet
    done = subprocess.run(
        [sys.executable, "-c", snippet.replace(MODEL, str(model))],
        cwd=folder,
        # Whoever lives elsewhere gets the same scores.
        env=own_environment(
            PYTHONPATH=str(spark), PYSPARK_PYTHON=sys.executable, TZ="America/New_York"
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return pd.read_parquet(folder / SCORED)


def test_numbers(spark: Path, exported: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    found = scored(spark, exported, table, tmp_path)
    assert [*found] == [*table, *ANSWER]
    expected = mlflow.pyfunc.load_model(str(exported)).predict(found[[*table]])
    pd.testing.assert_frame_equal(found[ANSWER], expected, check_exact=True, check_dtype=False)
    assert found["is_fraud"].any()


def test_texts_dates_booleans_and_gaps(spark: Path, typed_exported: Path, tmp_path: Path) -> None:
    table = typed_table(rows=2_000, seed=4)
    table.loc[::50, "merchant"] = "never seen"
    found = scored(spark, typed_exported, table, tmp_path)
    assert len(found) == len(table)
    # Spark keeps no order; an identifier tells the rows apart.
    found = found.sort_values("payment_id", ignore_index=True)
    # MLflow takes no whole number of 64 bits for a double.
    table["mcc"] = table["mcc"].astype(float)
    expected = mlflow.pyfunc.load_model(str(typed_exported)).predict(table)
    pd.testing.assert_frame_equal(found[ANSWER], expected, check_exact=True, check_dtype=False)
    assert found["is_fraud"].any()
