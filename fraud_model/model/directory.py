"""What lies in the directory of a model version, and where.

    MLmodel                    MLflow's description: flavors, signature, run
    origin.json                name, version, stage, run and kind of data; written by the export
    artifacts/known_rows.json  invented transactions, with the version's probabilities for them
    artifacts/profile.json     the reference profile
    artifacts/model_card.md    the model card

A version of another origin (a plain scikit-learn classifier, say) has only `MLmodel`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MODEL_CODE_PATH
from mlflow.pyfunc import CODE, DATA, FLAVOR_NAME, MAIN
from mlflow.utils.proto_json_utils import cast_df_types_according_to_schema

from fraud_model.arrays import Floats
from fraud_model.commands import mlflow_run
from fraud_model.errors import ParameterError, RegistryError
from fraud_model.model.json_values import as_json
from fraud_model.model.profile import Profile

MODEL_FILE = "MLmodel"
ORIGIN_FILE = "origin.json"
KNOWN_ROWS_FILE = "known_rows.json"
PROFILE_FILE = "profile.json"
CARD_FILE = "model_card.md"

# Source, bytecode, compiled modules, and pickles, which are code as well.
CODE_SUFFIXES = {".py", ".pyc", ".pyd", ".so", ".pkl", ".pickle", ".cloudpickle"}
# What decides, in the pyfunc flavor of `MLmodel`, which code runs.
LOADED = (MAIN, CODE, DATA, MODEL_CODE_PATH, "python_model")


@dataclass(frozen=True)
class KnownRows:
    """Transactions that travel with a version, to tell whether it still scores as it did.

    They are invented; those of release 0.1.0 are ten rows of the holdout. `rows` holds the features
    only; `probability`, shape (rows,), is what the version answered when it was trained.
    """

    rows: pd.DataFrame
    probability: Floats

    def write(self, path: Path) -> None:
        """Writes them as JSON."""
        content = {
            "dataframe_split": {
                "columns": list(self.rows.columns),
                "data": [list(record.values()) for record in self.records],
            },
            "fraud_probability": self.probability.tolist(),
        }
        path.write_text(json.dumps(content))

    @property
    def records(self) -> list[dict[str, Any]]:
        """The rows as a JSON request has them: dates in ISO 8601, None for a missing value."""
        names = list(map(str, self.rows.columns))
        columns = [as_json(self.rows[name]).tolist() for name in self.rows]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass(frozen=True)
class ModelDirectory:
    """The directory of a model version, in a registry's store or exported.

    `label` is what messages call the version; without one they name the path.
    """

    path: Path
    label: str = ""

    @property
    def is_model(self) -> bool:
        """Whether MLflow would find a model here."""
        return (self.path / MODEL_FILE).is_file()

    @cached_property
    def metadata(self) -> Model:
        """What `MLmodel` says.

        Raises:
            RegistryError: it is missing, or does not describe a model.
        """
        try:
            return Model.load(str(self.path))
        except Exception as error:  # MLflow raises whatever its parsing runs into
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RegistryError(f"{self._name}: {MODEL_FILE} cannot be read: {reason}") from error

    @property
    def signature(self) -> ModelSignature | None:
        """The signature, or None where the model was logged without one."""
        return self.metadata.signature

    @property
    def code_files(self) -> list[str]:
        """The files of the version that Python runs, relative to the directory, in order.

        Whoever loads a version leaves bytecode beside them, which is not counted.
        """
        return sorted(
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.suffix in CODE_SUFFIXES and "__pycache__" not in path.parts and path.is_file()
        )

    @property
    def code_digest(self) -> str:
        """SHA-256, as hexadecimal digits, of the code files and of what `MLmodel` says to run.

        An export has the digest of the version that it was written from.

        Raises:
            RegistryError: `MLmodel` cannot be read.
        """
        pyfunc = self.metadata.flavors.get(FLAVOR_NAME, {})
        loaded = {key: pyfunc.get(key) for key in LOADED}
        # Older versions name the path on the machine that trained them.
        loaded[MODEL_CODE_PATH] = PurePath(loaded[MODEL_CODE_PATH] or "").name
        files = {
            name: hashlib.sha256((self.path / name).read_bytes()).hexdigest()
            for name in self.code_files
        }
        return hashlib.sha256(json.dumps([loaded, files]).encode()).hexdigest()

    @property
    def run_id(self) -> str:
        """The run that logged the model, or an empty text."""
        return str(self.metadata.run_id or "")

    @property
    def origin(self) -> dict[str, str] | None:
        """What the export recorded, or None if the directory is not exported."""
        path = self.path / ORIGIN_FILE
        if not path.is_file():
            return None
        found: dict[str, str] = json.loads(path.read_text())
        return found

    def write_origin(self, origin: Mapping[str, str]) -> None:
        """Marks the directory as an exported one."""
        (self.path / ORIGIN_FILE).write_text(json.dumps(origin, indent=1) + "\n")

    def required_origin(self) -> dict[str, str]:
        """What the export recorded.

        Raises:
            ParameterError: this is not an exported model.
        """
        origin = self.origin if self.is_model else None
        if origin is None:
            raise ParameterError(
                f"{str(self.path)!r} holds no exported model: {MODEL_FILE} or {ORIGIN_FILE} is "
                f"missing. Export one with: {mlflow_run('export')}"
            )
        return origin

    @property
    def known_rows(self) -> KnownRows | None:
        """The known rows, or None if the version has none."""
        path = self._artifact(KNOWN_ROWS_FILE)
        if not path.is_file():
            return None
        known = json.loads(path.read_text())
        rows = pd.DataFrame(**known["dataframe_split"])
        inputs = self.metadata.get_input_schema() if self.is_model else None
        if inputs is not None:
            # Dates, and numbers with gaps, as the signature has them.
            rows = cast_df_types_according_to_schema(rows, inputs)
        return KnownRows(rows, pd.Series(known["fraud_probability"], dtype=float).to_numpy())

    def required_known_rows(self) -> KnownRows:
        """The known rows.

        Raises:
            RegistryError: the version has none.
        """
        known = self.known_rows
        if known is None:
            raise RegistryError(
                f"{self._name} has no known rows ({KNOWN_ROWS_FILE}), so its answers cannot be "
                f"compared with those at training. Train a new version: {mlflow_run('train')}"
            )
        return known

    def required_profile(self) -> Profile:
        """The reference profile.

        Raises:
            RegistryError: the version has none, or one that cannot be read.
        """
        path = self._artifact(PROFILE_FILE)
        if not path.is_file():
            raise RegistryError(
                f"{self._name} has no reference profile ({PROFILE_FILE}), so there is nothing to "
                f"compare its traffic with. Train a new version: {mlflow_run('train')}"
            )
        try:
            return Profile.read(path)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RegistryError(
                f"{self._name}: {PROFILE_FILE} cannot be read ({error!r}). "
                f"Train a new version: {mlflow_run('train')}"
            ) from error

    @property
    def card(self) -> str | None:
        """The model card as Markdown, or None if the version has none."""
        path = self._artifact(CARD_FILE)
        return path.read_text() if path.is_file() else None

    @property
    def _name(self) -> str:
        return self.label or str(self.path)

    def _artifact(self, name: str) -> Path:
        # Where mlflow.pyfunc.save_model puts the files it is given.
        return self.path / "artifacts" / name
