"""The server's OpenAPI document, with the model's own columns."""

from __future__ import annotations

import copy
from typing import Any

from mlflow.types import ColSpec, DataType, ParamSpec

from fraud_model.serving.cases import CASES
from fraud_model.serving.model import FLAG, PROBABILITY, ServedModel
from fraud_model.serving.settings import Settings

NUMBER: dict[str, str] = {"type": "number", "format": "double"}
TYPES: dict[DataType, dict[str, str]] = {
    DataType.double: NUMBER,
    DataType.float: {"type": "number", "format": "float"},
    DataType.long: {"type": "integer", "format": "int64"},
    DataType.integer: {"type": "integer", "format": "int32"},
    DataType.boolean: {"type": "boolean"},
    DataType.string: {"type": "string"},
    DataType.datetime: {"type": "string", "format": "date-time"},
    DataType.binary: {"type": "string", "format": "byte"},
}
SUMMARIES = {
    "low": "an example transaction that scores low",
    "high": "an example transaction that scores high",
}
NO_SIGNATURE = "The version has no signature with named columns, so its features are unknown."
REFUSALS = {
    "400": "The rows are refused. The message names row, column and type.",
    "401": "The bearer token is missing or wrong.",
    "408": "The body was not complete in time.",
    "413": "The body has too many bytes or rows.",
    "415": "The content type or charset is not supported.",
    "429": "Too many requests in flight. Try again after Retry-After seconds.",
    "500": "The server failed. Its log names the request's id.",
    "503": "The audit log is required and cannot be written.",
    "504": "Scoring took too long.",
}
OTHER_ROUTES = {
    "/ping": "Whether the process answers (MLflow's own route).",
    "/version": "The version of MLflow (MLflow's own route).",
    "/health": "The served model and the state of the server; 503 while unhealthy.",
    "/metrics": "Metrics for Prometheus.",
    "/docs": "This document as a page.",
    "/": "A page to score transactions by hand, one or many.",
}


SIMULATED = "It was trained on simulated transactions: no real fraud is to be judged by it."


def document(served: ServedModel, settings: Settings) -> dict[str, Any]:
    """The document in OpenAPI 3.1; its examples are two of the version's known rows, if it has any.

    A foreign version's columns and params are those of its signature. Without a signature, a row
    is any object.
    """
    row: dict[str, Any] = {"type": "object"}
    if served.columns:
        types = {column.name: _value(column, served) for column in served.columns}
        required = {column.name for column in served.columns if column.required}
        row["required"] = [name for name in served.features if name in required]
        row["properties"] = {name: types.get(name, NUMBER) for name in served.features}
    else:
        row["description"] = NO_SIGNATURE
    # Extensions that the page reads.
    row |= {"x-amount": served.amount} if served.amount else {}
    row |= {"x-label": served.target} if served.target else {}
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Transaction"}}
    parameters = {
        "type": "object",
        "properties": {
            param.name: _param(param, served)
            for param in (served.params.params if served.params else ())
        },
    }
    table = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "array", "items": {"type": "array"}},
        },
    }
    body = {
        "oneOf": [
            {
                "type": "object",
                "required": [name],
                "properties": {name: content, "params": parameters},
            }
            for name, content in (
                ("dataframe_records", rows),
                ("dataframe_split", table),
                ("inputs", rows),
                ("instances", rows),
            )
        ]
    }
    examples = {
        name: {"summary": SUMMARIES[name], "value": {"dataframe_records": [example]}}
        for name, example in served.examples.items()
    }
    text = {"schema": {"type": "string"}}
    scoring: dict[str, Any] = {
        "summary": "Score transactions.",
        "requestBody": {
            "required": True,
            "description": _limits(settings),
            "content": {
                "application/json": {"schema": body, "examples": examples},
                "text/csv": text,
                "application/vnd.apache.parquet": {
                    "schema": {"type": "string", "format": "binary"}
                },
            },
        },
        "responses": {
            "200": {"description": "One prediction per row.", "content": _json("Predictions")},
            **{
                status: {"description": meaning, "content": _json("Error")}
                for status, meaning in REFUSALS.items()
            },
        },
    }
    paths: dict[str, Any] = {"/invocations": {"post": scoring}}
    for path, summary in OTHER_ROUTES.items():
        paths[path] = {"get": {"summary": summary, "responses": {"200": {"description": "OK"}}}}
    if settings.labels_file:
        paths |= copy.deepcopy(CASES)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": served.origin.model_name or "Unnamed model",
            "version": served.origin.model_version or "unregistered",
            "description": "Scores transactions with an MLflow model version."
            + f" {SIMULATED}" * served.origin.is_simulated,
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Transaction": row,
                "Predictions": _predictions(served),
                "Error": {
                    "type": "object",
                    "properties": {
                        "error_code": {"type": "string"},
                        "message": {"type": "string"},
                    },
                },
            }
        },
    }
    if settings.wants_token:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        scoring["security"] = [{"token": []}]
        for path in CASES.keys() & paths.keys():
            for method in paths[path].values():
                method["security"] = [{"token": []}]
    return described


def _limits(settings: Settings) -> str:
    return (
        f"At most {settings.max_rows:,} rows and {settings.max_bytes:,} bytes a request, "
        f"{settings.request_timeout:g} seconds for the answer, and "
        f"{settings.max_in_flight:,} requests at the same time in each worker."
    )


def _value(column: ColSpec, served: ServedModel) -> dict[str, Any]:
    """A column's schema: its type, or null where it may be missing, and what training saw of it."""
    described: dict[str, Any] = dict(TYPES.get(column.type, {}))
    if not column.required and described:
        described["type"] = [described["type"], "null"]
    if column.name in served.usual:
        described["x-usual-range"] = list(served.usual[column.name])
    feature = served.known.get(column.name)
    if feature is None or column.type == DataType.boolean:
        return described
    if feature.kind == "category":
        words = list(feature.vocabulary)
        described["examples"] = words if column.type == DataType.string else [*map(float, words)]
    elif feature.kind == "boolean" and column.type == DataType.string:
        described["examples"] = feature.format.split("/")
    return described


def _param(param: ParamSpec, served: ServedModel) -> dict[str, Any]:
    described: dict[str, Any] = dict(TYPES.get(param.dtype, {}))
    if param.shape is not None:
        return {"type": "array", "items": described}
    if served.is_comparable and param.name in ("threshold", "explain"):
        most = 1 if param.name == "threshold" else len(served.features)
        described |= {"minimum": 0, "maximum": most}
    if served.is_comparable and param.name == "review_cost":
        described |= {"exclusiveMinimum": 0}
    return described


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _predictions(served: ServedModel) -> dict[str, Any]:
    if not served.is_comparable:
        return {"type": "object", "properties": {"predictions": {"type": "array"}}}
    reason = {
        "type": "object",
        "properties": {"feature": {"type": "string"}, "contribution": NUMBER},
    }
    prediction = {
        "type": "object",
        "required": [PROBABILITY, FLAG],
        "properties": {
            PROBABILITY: {"type": "number", "minimum": 0, "maximum": 1},
            FLAG: {"type": "boolean"},
            "risk_level": {"enum": ["Low", "Medium", "High"]},
            "reasons": {"type": "array", "items": reason},
        },
    }
    return {"type": "object", "properties": {"predictions": {"type": "array", "items": prediction}}}
