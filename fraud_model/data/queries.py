"""Reads a table of transactions from a database, by an SQL query."""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from fraud_model.data.content import first_line
from fraud_model.data.headers import named
from fraud_model.errors import DataError, ParameterError
from fraud_model.stores import CONNECT_SECONDS, WITH_CONNECT_TIMEOUT, without_credentials

SHAPE = "dialect://user:password@host:port/name"


def read_query(address: str, query: str) -> tuple[pd.DataFrame, str]:
    """The rows that a query selects, and what messages call the database: no password in it.

    `address` is a URL as SQLAlchemy takes it. A plain `postgresql://` uses psycopg2 where that is
    installed. Nothing that the query changes is committed.

    Raises:
        ParameterError: there is no query.
        DataError: the driver is missing, the database does not answer or refuses, or the query
            fails or selects no table.
    """
    engine, place = _engine(address)
    if not query.strip():
        raise ParameterError(
            f"{place} is a database: say what to read from it with -P query=, such as "
            "-P query='SELECT * FROM transactions'."
        )
    try:
        connection = _connected(engine, place)
        # The query as it stands: no percent sign in it is a place for a parameter.
        with connection.execution_options(no_parameters=True) as connection:
            result = connection.exec_driver_sql(query)
            if not result.returns_rows:
                raise DataError(f"{place}: the query is no SELECT. Correct -P query=.")
            names = named(list(result.keys()), place)
            rows = [tuple(row) for row in result]
    except SQLAlchemyError as error:
        raise DataError(f"{place}: the query fails: {_words(error)}. Correct -P query=.") from error
    finally:
        engine.dispose()
    return _frame(rows, names, place), place


def _engine(address: str) -> tuple[sqlalchemy.Engine, str]:
    place = without_credentials(address)
    try:
        url = sqlalchemy.make_url(address)
        place = without_credentials(url.render_as_string(hide_password=True))
        if url.drivername == "postgresql" and find_spec("psycopg2"):
            url = url.set(drivername="postgresql+psycopg2")
        if url.get_backend_name() == "sqlite":
            file = str(url.database or "").removeprefix("file:")
            # SQLite would make an empty database of this name.
            if not Path(file).is_file():
                raise DataError(f"{place}: no such file (looked in {Path.cwd()}).")
        elif url.get_dialect().driver in WITH_CONNECT_TIMEOUT:
            url = url.update_query_dict({"connect_timeout": CONNECT_SECONDS, **url.query})
        return sqlalchemy.create_engine(url), place
    except ModuleNotFoundError as error:
        raise DataError(
            f"{place} needs a driver that is not installed ({error}). Install it, or name another "
            "one, as in postgresql+psycopg2://…"
        ) from error
    except NoSuchModuleError as error:
        scheme = address.partition("://")[0]
        raise DataError(
            f"{scheme}:// is no kind of address that can be read. Give a file, a folder, an "
            "address that begins with http, https, s3, gs or abfss, or a database as SQLAlchemy "
            f"names it, {SHAPE}."
        ) from error
    except (ArgumentError, ValueError) as error:
        # Neither the error nor the address is shown: where the password breaks it, both have parts
        # of it.
        raise DataError(
            f"the address of the database in -P data= cannot be read. Write it as {SHAPE}, with "
            "special characters as %40."
        ) from error


def _connected(engine: sqlalchemy.Engine, place: str) -> sqlalchemy.Connection:
    try:
        return engine.connect()
    except SQLAlchemyError as error:
        raise DataError(
            f"{place} cannot be read: {_words(error)}. Start the database, or correct the address "
            "and the password in -P data=."
        ) from error


def _frame(rows: list[tuple[Any, ...]], names: list[str], place: str) -> pd.DataFrame:
    """Decimals and durations (seconds) as float64, dates as datetime64 in UTC, the rest as text."""
    table = pd.DataFrame.from_records(rows, columns=names, coerce_float=True)
    nested = []
    for name in names:
        values = table[name]
        if values.dtype != object:
            continue
        found = {type(value) for value in values if not pd.api.types.is_scalar(value)}
        found |= {type(value) for value in values.dropna()}
        if found <= {decimal.Decimal, int, float}:
            table[name] = values.astype("float64")
        elif found <= {datetime.date, datetime.datetime}:
            table[name] = pd.to_datetime(values, utc=True).dt.tz_localize(None)
        elif found <= {str, uuid.UUID, datetime.time, int, float, decimal.Decimal}:
            table[name] = values.map(str, na_action="ignore").astype("str")
        elif found != {bool}:
            nested.append(repr(name))
    if nested:
        raise DataError(
            f"{place}: these columns hold no single values: {', '.join(nested)}. "
            "Select parts of them, or leave them out of the query."
        )
    for name in names:
        if isinstance(table[name].dtype, pd.DatetimeTZDtype):
            table[name] = table[name].dt.tz_convert("UTC").dt.tz_localize(None)
        elif table[name].dtype.kind == "m":
            table[name] = table[name].dt.total_seconds()
    return table


def _words(error: SQLAlchemyError) -> str:
    line = first_line(getattr(error, "orig", None) or error)
    # MySQL's drivers show a tuple of number and words.
    return re.sub(r"^\(\d+, ['\"](.*)['\"]\)$", r"\1", line)
