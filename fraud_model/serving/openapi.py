"""The server's OpenAPI document with the model's own row schema, and a page that shows it."""

from __future__ import annotations

import html
import json
import string
from pathlib import Path
from typing import Any

from fraud_model.serving.model import ServedModel

PAGE = Path(__file__).with_name("docs.html")

NUMBER: dict[str, str] = {"type": "number", "format": "double"}
REFUSALS = {
    "400": "The rows are refused; the message names row, column and type.",
    "401": "The bearer token is missing or wrong.",
    "408": "The body did not arrive in time.",
    "413": "Too many bytes or rows.",
    "415": "The content type or charset is not supported.",
    "429": "Too many requests in flight; try again after Retry-After seconds.",
}
OTHER_ROUTES = {
    "/ping": "Whether the process answers (MLflow's own).",
    "/version": "The version of MLflow (its own).",
    "/health": "The model in use and the state of the server; 503 while unhealthy.",
    "/metrics": "Metrics for Prometheus.",
    "/docs": "This document as a page.",
    "/": "A page to score a transaction by hand.",
}


def document(served: ServedModel, *, with_token: bool) -> dict[str, Any]:
    """OpenAPI 3.1; its examples are two of the version's known rows."""
    row = {
        "type": "object",
        "required": list(served.features),
        "properties": dict.fromkeys(served.features, NUMBER),
    }
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Transaction"}}
    parameters = {
        "type": "object",
        "properties": {
            "threshold": {"type": "number", "minimum": 0, "maximum": 1},
            "explain": {"type": "integer", "minimum": 0, "maximum": len(served.features)},
        },
    }
    table = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "array", "items": {"type": "array", "items": NUMBER}},
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
        name: {"summary": f"a {summary} transaction", "value": {"dataframe_records": [example]}}
        for (name, example), summary in zip(
            served.examples().items(), ("genuine", "fraudulent"), strict=True
        )
    }
    text = {"schema": {"type": "string"}}
    scoring: dict[str, Any] = {
        "summary": "Score transactions.",
        "requestBody": {
            "required": True,
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
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": served.origin.model_name or "fraud-detector",
            "version": served.origin.model_version or "unregistered",
            "description": "Scores card transactions with a model that MLflow serves.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Transaction": row,
                "Predictions": _predictions(),
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
    if with_token:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        scoring["security"] = [{"token": []}]
    return described


def page(described: dict[str, Any], server: str) -> str:
    """The document as HTML that needs no other file; `server` is the address in its example."""
    content = described["paths"]["/invocations"]["post"]["requestBody"]["content"]
    example = content["application/json"]["examples"]["genuine"]["value"]
    features = described["components"]["schemas"]["Transaction"]["required"]
    secured = "securitySchemes" in described["components"]
    token = ' -H "Authorization: Bearer $API_TOKEN"' if secured else ""
    routes = "".join(
        f"<tr><td><code>{method.upper()} {html.escape(path)}</code></td>"
        f"<td>{html.escape(what['summary'])}</td></tr>"
        for path, methods in described["paths"].items()
        for method, what in methods.items()
    )
    refusals = "".join(
        f"<tr><td>{status}</td><td>{html.escape(text)}</td></tr>"
        for status, text in REFUSALS.items()
    )
    return string.Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=html.escape(described["info"]["title"]),
        version=html.escape(described["info"]["version"]),
        server=html.escape(server),
        routes=routes,
        refusals=refusals,
        features=", ".join(f"<code>{html.escape(name)}</code>" for name in features),
        count=len(features),
        token=token,
        example=html.escape(json.dumps(example)),
    )


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _predictions() -> dict[str, Any]:
    reason = {
        "type": "object",
        "properties": {"feature": {"type": "string"}, "contribution": NUMBER},
    }
    prediction = {
        "type": "object",
        "required": ["fraud_probability", "is_fraud", "risk_level"],
        "properties": {
            "fraud_probability": {"type": "number", "minimum": 0, "maximum": 1},
            "is_fraud": {"type": "boolean"},
            "risk_level": {"enum": ["Low", "Medium", "High"]},
            "reasons": {"type": "array", "items": reason},
        },
    }
    return {"type": "object", "properties": {"predictions": {"type": "array", "items": prediction}}}
