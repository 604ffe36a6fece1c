"""Where a study lives, and how it is found again.

Optuna's own database rather than MLflow's `MlflowStorage`. That one finds no study again by its
name (mlflow/mlflow issue 16742), has no heartbeat by which a trial that was killed could be told
from one that runs in another process, and asks the tracking server for every trial at every step.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, StorageInternalError
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from fraud_model.errors import ParameterError, TrackingError
from fraud_model.stores import without_credentials

FILE = "studies.db"
# A trial is over once its process has shown no sign of life for so long.
HEARTBEAT_SECONDS, GRACE_SECONDS = 3, 15
# How long a process waits for others that write into a SQLite file.
LOCK_SECONDS = 60
ATTEMPTS = 5
# How long the process that made a study may take until it has said what the study is about.
PATIENCE_SECONDS = 30.0
ABOUT, PARENT = "about", "run_id"


@dataclass(frozen=True)
class Opened:
    """A study, the MLflow run that its trials lie under, and whether this process made it."""

    study: optuna.Study
    parent: str
    new: bool


def address_of(storage: str) -> str:
    """The database that a `storage` parameter names.

    `auto` is a file beside the tracking store's, or in this folder where that is a server.
    """
    if storage != "auto":
        if "://" not in storage:
            raise ParameterError(
                f"storage={storage!r} is invalid: expected auto, or the address of a database such "
                "as sqlite:///studies.db or postgresql+psycopg2://user@host/studies."
            )
        return storage
    tracking = mlflow.get_tracking_uri()
    folder = Path.cwd()
    if tracking.startswith("sqlite:///"):
        folder = Path(tracking.removeprefix("sqlite:///").partition("?")[0]).resolve().parent
    return f"sqlite:///{folder / FILE}"


def open_study(address: str, name: str, about: dict[str, str], parent: str) -> Opened:
    """Opens a study by its name, and makes it where there is none.

    `about` says what it is a study of, and `parent` is the run that its trials lie under if it is
    a new one.

    Raises:
        ParameterError: there is a study of this name, of another table or other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return _opened(_database(address), name, about, parent)


@contextmanager
def naming_database(address: str) -> Iterator[None]:
    """Names the database in what it says when it fails.

    Raises:
        TrackingError: it does not answer, or cannot be used.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, ImportError) as error:
        raise TrackingError(
            f"the database of the study, {without_credentials(address)}, cannot be used: "
            f"{str(error.__cause__ or error).splitlines()[0]}. Mend that and run this again, or "
            "name another one with -P storage="
        ) from error


def _database(address: str) -> optuna.storages.RDBStorage:
    for _ in range(ATTEMPTS - 1):
        try:
            return _connected(address)
        except SQLAlchemyError:
            # Another process may be making the same tables.
            time.sleep(0.2)
    return _connected(address)


def _connected(address: str) -> optuna.storages.RDBStorage:
    sqlite = address.startswith("sqlite")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = optuna.storages.RDBStorage(
            address,
            engine_kwargs={"connect_args": {"timeout": LOCK_SECONDS}} if sqlite else None,
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=GRACE_SECONDS,
        )
    if sqlite:
        event.listen(storage.engine, "connect", _log_ahead)
        # Connections that were made before it.
        storage.engine.dispose()
    return storage


def _log_ahead(connection: DBAPIConnection, _: object) -> None:
    """Spares the wait for the disk at each of a trial's forty writes; a kill loses none of them."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        connection.cursor().execute(f"PRAGMA {pragma}")


def _opened(
    storage: optuna.storages.RDBStorage, name: str, about: dict[str, str], parent: str
) -> Opened:
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
        _check(study, about)
        return Opened(study, _parent_of(study, parent), new=False)
    study.set_user_attr(ABOUT, about)
    study.set_user_attr(PARENT, parent)
    return Opened(study, parent, new=True)


def _check(study: optuna.Study, about: dict[str, str]) -> None:
    known = _wait_for(study, ABOUT)
    if not isinstance(known, dict):
        study.set_user_attr(ABOUT, about)
        return
    other = [key for key in about if known.get(key) != about[key]]
    if other:
        raise ParameterError(
            f"study={study.study_name!r} exists already, with a different {' and '.join(other)}. "
            "Give this one another name, or none: it then follows from table and settings."
        )


def _parent_of(study: optuna.Study, own: str) -> str:
    """The run that a study's trials lie under; this process's own where that one is gone."""
    known = _wait_for(study, PARENT)
    try:
        if known is not None:
            run = mlflow.get_run(str(known))
            if run.info.lifecycle_stage == "active":
                return str(known)
    except mlflow.MlflowException:
        pass
    study.set_user_attr(PARENT, own)
    return own


def _wait_for(study: optuna.Study, key: str) -> object:
    """What the process that made a study says of it; None if it was killed before it could."""
    end = time.monotonic() + PATIENCE_SECONDS
    while key not in (known := study.user_attrs):
        if study.get_trials(deepcopy=False) or time.monotonic() > end:
            return None
        time.sleep(0.2)
    return json.loads(json.dumps(known[key]))
