"""The files that a serving image is built from, whoever builds it: this machine or a Space."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd

from fraud_model.model.description import drop_paths_in
from fraud_model.model.directory import ModelDirectory
from fraud_model.registry.export import export
from fraud_model.registry.files import CODE_DIGEST, check_code
from fraud_model.registry.versions import Stage

ROOT = Path(__file__).parents[2]
FILES = ("Dockerfile", "requirements.txt")
PACKAGE = "fraud_model"
MODEL = "model"


@dataclass(frozen=True)
class Bundle:
    """A folder with Dockerfile, lock, package and model, and what that model is.

    `rows` are the version's known rows and `probability`, shape (rows,), is what the model answers
    to them where it came from.
    """

    folder: Path
    name: str
    version: str
    run_id: str
    rows: pd.DataFrame
    probability: npt.NDArray[np.float64]

    @property
    def files(self) -> list[Path]:
        """Every file, relative to the folder, in order."""
        return sorted(
            path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file()
        )

    @property
    def card(self) -> str:
        """The model card as Markdown; empty where the version has none."""
        return ModelDirectory(self.folder / MODEL).card or ""


def assemble(folder: Path, name: str, stage: Stage, model_dir: str = "") -> Bundle:
    """Copies into `folder`, which exists, what the Dockerfile needs.

    The model is the version in `stage`, or the exported directory `model_dir` if one is given.

    Raises:
        RegistryError: the stage is empty, or the model has no known rows.
        CodeChanged: the model's code is not the code that it was trained with.
        ParameterError: `model_dir` holds no exported model.
    """
    if model_dir:
        origin = _copy_exported(Path(model_dir), folder / MODEL)
        source = model_dir
    else:
        origin = export(name, stage, folder / MODEL)
        source = f"models:/{origin['model_name']}/{origin['model_version']}"
    for file in FILES:
        shutil.copy(ROOT / file, folder / file)
    shutil.copytree(
        ROOT / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    rows = ModelDirectory(folder / MODEL, origin["model_name"]).required_known_rows().rows
    answered = mlflow.pyfunc.load_model(source).predict(rows)
    return Bundle(
        folder=folder,
        name=origin["model_name"],
        version=origin["model_version"],
        run_id=origin["run_id"],
        rows=rows,
        probability=answered["fraud_probability"].to_numpy(),
    )


def _copy_exported(model: Path, target: Path) -> dict[str, str]:
    origin = ModelDirectory(model).required_origin()
    label = f"{model}, {origin['model_name']} version {origin['model_version']}"
    check_code(ModelDirectory(model), label, origin.get(CODE_DIGEST, ""))
    shutil.copytree(model, target, ignore=shutil.ignore_patterns("__pycache__"))
    # An earlier release may have exported it.
    drop_paths_in(target)
    return origin
