"""Which version is monitored, with its profile, and what its traffic is read from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion

from fraud_model.data.audit_log import AuditTraffic
from fraud_model.data.label_table import LabelTable, read_label_table
from fraud_model.data.table_traffic import SUFFIXES, TableTraffic
from fraud_model.data.traffic import Traffic
from fraud_model.errors import ParameterError
from fraud_model.model.directory import ModelDirectory
from fraud_model.model.profile import Profile
from fraud_model.registry import versions
from fraud_model.registry.files import download
from fraud_model.registry.recovery import tell_unfinished


@dataclass(frozen=True)
class Monitored:
    """A version with its files; `version` is None where an exported directory was named."""

    name: str
    number: str
    path: Path
    profile: Profile
    version: ModelVersion | None

    @property
    def label(self) -> str:
        """What the version is called."""
        return f"{self.name} version {self.number}"


@contextmanager
def resolve(
    name: str, stage: versions.Stage, model_dir: str, number: str = "", purpose: str = "monitor"
) -> Iterator[Monitored]:
    """The version in `stage`, the one with `number` if there is one, or an exported directory.

    `purpose` is the verb of what it is wanted for.

    Raises:
        RegistryError: the stage is empty, there is no such version, or the version has no files or
            no reference profile.
        ParameterError: the directory holds no exported model, or `number` is none.
    """
    if model_dir:
        path = Path(model_dir)
        origin = ModelDirectory(path).required_origin()
        yield _monitored(origin["model_name"], origin["model_version"], path, None)
        return
    if number:
        version = versions.find_version(name, number)
    else:
        tell_unfinished(name)
        version = versions.require_current(name, stage, purpose)
    number = str(version.version)
    with tempfile.TemporaryDirectory() as folder:
        path = download(f"models:/{name}/{number}", f"{name} version {number}", Path(folder))
        yield _monitored(name, number, path, version)


def _monitored(name: str, number: str, path: Path, version: ModelVersion | None) -> Monitored:
    profile = ModelDirectory(path, f"{name} version {number}").required_profile()
    return Monitored(name, number, path, profile, version)


def open_traffic(
    monitored: Monitored, log: str, labels: str, fraud: str = "", *, test_requests: bool = False
) -> tuple[Traffic, LabelTable | None]:
    """The traffic in an audit log or table, and its labels if a table of them is named.

    `fraud` is the value that means fraud there, empty for the plain ones. `test_requests` counts
    what came from the server's page or a test as traffic.

    Raises:
        ParameterError: no log is named.
        DataError: one of the two cannot be read.
    """
    if not log:
        raise ParameterError(
            "log is empty: name the server's audit log, or a table of transactions, as in "
            "-P log=audit.jsonl"
        )
    path = Path(log).expanduser()
    profile = monitored.profile
    traffic: Traffic
    if path.name.lower().endswith(SUFFIXES):
        traffic = TableTraffic(path, monitored.path, list(profile.features), profile.time)
    else:
        features = [reference.feature for reference in profile.features.values()]
        time = profile.hours.time if profile.hours else None
        traffic = AuditTraffic(
            path, monitored.name, monitored.number, features, time, with_marked=test_requests
        )
    if not labels:
        return traffic, None
    path = Path(labels).expanduser()
    return traffic, read_label_table(path, profile.target, traffic.key_columns, fraud)
