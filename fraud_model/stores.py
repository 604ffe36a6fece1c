"""The tracking store and the registry: whether they answer, and what they say when they fail."""

from __future__ import annotations

import errno
import logging
import os
import re
from pathlib import Path
from tempfile import gettempdir

import mlflow
import requests
import sqlalchemy
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from fraud_model.errors import TrackingError, TrackingRefused

# The first question to a server. MLflow's own patience, over four minutes, is for a busy server in
# the middle of a run.
FIRST_ANSWER = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "15", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
SERVERS = ("http://", "https://")
DATABASES = ("postgresql", "mysql", "mssql", "sqlite")

# The first connection to a database, for the drivers that know this parameter. MLflow tries for
# 100 seconds, and prints each failure.
CONNECT_SECONDS = "15"
WITH_CONNECT_TIMEOUT = ("psycopg2", "psycopg", "pymysql", "mysqldb")

# How a database words that it answers, and refuses.
REFUSED = re.compile(
    r"authentication failed|no password supplied|does not exist|pg_hba|Access denied|"
    r"Unknown database|Login failed|not a database"
)

# The disk's fault, or that of the folder's owner. Any other OSError may be a bug.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def reach_store() -> None:
    """Makes sure that the tracking store answers, and the registry where it is another one.

    MLFLOW_HTTP_REQUEST_TIMEOUT and MLFLOW_HTTP_REQUEST_MAX_RETRIES, if set, decide how long a
    server may take. Later requests have MLflow's own limits in any case.

    Raises:
        TrackingError: it does not answer.
        TrackingRefused: it is a database that lets nobody in, or has no driver here.
        MlflowException: it is a server that answers with an error.
    """
    for address in _addresses():
        if address.startswith(SERVERS):
            _reach_server(address)
    reach_databases()


def reach_databases() -> None:
    """Makes sure that a database which this process opens itself answers.

    Raises:
        TrackingError: it does not answer.
        TrackingRefused: it lets nobody in, or this environment has no driver for it.
    """
    # MLflow logs each failure with a traceback, and raises it as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    for address in _addresses():
        if address.startswith(DATABASES):
            _reach_database(address)


def without_credentials(uri: str) -> str:
    """The URI of a store without user, password and options."""
    if uri.startswith("sqlite"):
        return uri
    return re.sub(r"^([^/]+://)(?!/).*@", r"\1", uri).partition("?")[0]


def failure_of(error: BaseException) -> str | None:
    """What MLflow, a database or the disk says is wrong, in one line; None for any other error."""
    database = error if isinstance(error, SQLAlchemyError) else error.__cause__ or error.__context__
    if isinstance(error, MlflowException | SQLAlchemyError) and isinstance(
        database, SQLAlchemyError
    ):
        where = without_credentials(mlflow.get_tracking_uri())
        return (
            f"the database of the tracking store, {where}, fails: {_words(database)}. "
            "Mend that, and run this again."
        )
    if isinstance(error, MlflowException):
        # SQLAlchemy says in front of the database's own words that it was flushing.
        lines = [line for line in str(error).splitlines() if not line.startswith("(raised as")]
        return f"MLflow: {lines[0]}"
    if isinstance(error, OSError) and error.errno in DISK:
        place = error.filename or f"the artifact store or the temporary folder, {gettempdir()}"
        return f"{place}: {error.strerror}. Mend that, and run this again."
    return None


def _addresses() -> dict[str, None]:
    return dict.fromkeys((mlflow.get_tracking_uri(), mlflow.get_registry_uri()))


def _reach_server(address: str) -> None:
    ours = {name: value for name, value in FIRST_ANSWER.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        mlflow.MlflowClient(tracking_uri=address).search_experiments(max_results=1)
    except MlflowException as error:
        cause = error.__cause__ or error.__context__
        if not isinstance(cause, requests.RequestException):
            raise
        raise TrackingError(
            f"the tracking server {without_credentials(address)} does not answer "
            f"({_reason(cause)}). Start it, or correct MLFLOW_TRACKING_URI."
        ) from error
    finally:
        for name in ours:
            del os.environ[name]


def _reach_database(address: str) -> None:
    where = f"the database of the tracking store, {without_credentials(address)},"
    engine = _engine(address, where)
    if engine is None:
        return
    try:
        sqlalchemy.inspect(engine).has_table("alembic_version")
    except SQLAlchemyError as error:
        words = _words(error)
        if REFUSED.search(words):
            raise TrackingRefused(
                f"{where} refuses: {words}. Correct MLFLOW_TRACKING_URI."
            ) from error
        raise TrackingError(
            f"{where} does not answer: {words}. Start it, or correct MLFLOW_TRACKING_URI."
        ) from error
    finally:
        engine.dispose()


def _engine(address: str, where: str) -> sqlalchemy.Engine | None:
    """Not MLflow's own, which tries to connect as soon as it is made; None for a new SQLite file,
    whose folder MLflow makes."""
    try:
        url = sqlalchemy.make_url(address)
        if url.get_backend_name() == "sqlite":
            file = Path(str(url.database).removeprefix("file:"))
            if not file.parent.exists():
                return None
        elif url.get_dialect().driver in WITH_CONNECT_TIMEOUT:
            patience = {"connect_timeout": CONNECT_SECONDS, **url.query}
            url = url.update_query_dict(patience)
        return sqlalchemy.create_engine(url)
    except ModuleNotFoundError as error:
        raise TrackingRefused(
            f"{where} needs a driver that is not installed ({error}). Install it, or name another "
            "one in MLFLOW_TRACKING_URI, as in postgresql+psycopg2://…"
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        # Neither the error nor the address is shown: where the password breaks it, both have parts
        # of it.
        raise TrackingRefused(
            "the database of the tracking store has an address that cannot be read. Write it in "
            "MLFLOW_TRACKING_URI as postgresql+psycopg2://user:password@host:port/name, with "
            "special characters as %40."
        ) from error


def _words(error: SQLAlchemyError) -> str:
    own = str(getattr(error, "orig", None) or error)
    return own.splitlines()[0].strip().rstrip(".")


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer within {os.environ['MLFLOW_HTTP_REQUEST_TIMEOUT']} s"
    told = re.search(r"\[Errno -?\d+\] ([\w ]+)", str(error))
    return told.group(1) if told else type(error).__name__
