"""A scoring that is killed leaves whole parts, and the same command goes on from them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from tests.support.environment import REPOSITORY, own_environment
from tests.support.waiting import wait_until

# Three parts.
COPIES = 70


class Table:
    """A table that fills several parts, and commands that score it."""

    def __init__(self, model: Path, folder: Path, rows: pd.DataFrame) -> None:
        self.folder, self._model = folder, model
        many = pd.concat([rows] * COPIES, ignore_index=True)
        self.rows = len(many)
        many.assign(id=np.arange(self.rows)).to_parquet(folder / "table.parquet")

    def start(self, output: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "entrypoints.score", "--data", "table.parquet"]
        options = ["--keys", "id", "--output", output, "--model-dir", str(self._model)]
        return subprocess.Popen(
            [*command, *options, *arguments],
            cwd=self.folder,
            env=own_environment(
                PYTHONPATH=str(REPOSITORY),
                MLFLOW_TRACKING_URI=f"sqlite:///{self.folder}/mlflow.db",
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, output: str, *arguments: str) -> str:
        process = self.start(output, *arguments)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said

    def report(self, folder: str) -> dict[str, object]:
        content: dict[str, object] = json.loads((self.folder / folder / "report.json").read_text())
        # Each has a run of its own.
        del content["run"]
        return content


@pytest.mark.slow
def test_a_killed_run_goes_on_after_its_last_whole_part(
    exported: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    scored = Table(exported, tmp_path, table)
    parts = tmp_path / "killed"
    killed = scored.start("killed")
    manifest = parts / "_manifest.json"
    named = "part-00000.parquet"
    wait_until(lambda: manifest.exists() and named in manifest.read_text(), what="the first part")
    killed.send_signal(signal.SIGKILL)
    killed.wait(60)
    left = json.loads(manifest.read_text())
    whole = {path: path.stat().st_mtime_ns for path in sorted(parts.glob("part-*"))}
    for path in whole:
        assert pyarrow.parquet.ParquetFile(path).metadata.num_rows
    monitoring = ("--monitor", "true", "--window", "200000")
    said = scored.finish("killed", *monitoring, "--report", "of-killed")
    assert "going on after" in said
    for part in left["parts"]:
        path = parts / part["file"]
        assert path.stat().st_mtime_ns == whole[path]
    scored.finish("whole", *monitoring, "--report", "of-whole")
    names = sorted(path.name for path in (tmp_path / "whole").glob("part-*"))
    assert sorted(path.name for path in parts.glob("part-*")) == names
    found, expected = (pd.read_parquet(tmp_path / name) for name in ("killed", "whole"))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert found["id"].tolist() == list(range(scored.rows))
    assert scored.report("of-killed") == scored.report("of-whole")
