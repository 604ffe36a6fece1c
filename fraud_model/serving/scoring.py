"""Scores the body of a request, on the fast route or with MLflow's own function.

A plain request is read, scored and answered here. MLflow parses, scores and encodes every other
one, and every request to a version that is served by `predict`; but it only sees what the screen
has let through.
"""

from __future__ import annotations

import logging
from typing import Any

from mlflow.pyfunc.scoring_server import CONTENT_TYPE_JSON, invocations
from mlflow.pyfunc.utils.serving_data_parser import SUPPORTED_LLM_FORMATS
from mlflow.types import DataType

from fraud_model.serving import answer, any_json
from fraud_model.serving.adapters import Observed
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.failure import describe
from fraud_model.serving.fast_path import Recogniser, Rows
from fraud_model.serving.model import ScoredRows, ServedModel
from fraud_model.serving.refusal import FORMATS, explain_refusal
from fraud_model.serving.reply import Reply, refuse
from fraud_model.serving.screening import Excess, Screen, mime_type_of, parse_json
from fraud_model.serving.settings import Settings

log = logging.getLogger("fraud_model.serving")

# A foreign version without a signature does not say how many features it has.
UNKNOWN_FEATURES = 1_000
# What clients send with JSON. Whether any other type is JSON is for MLflow to say.
PLAIN_TYPES = frozenset(
    CONTENT_TYPE_JSON + charset
    for charset in (
        "",
        "; charset=utf-8",
        ";charset=utf-8",
        "; charset=UTF-8",
        ";charset=UTF-8",
    )
)


class Scoring:
    """Scores one body at a time, in whatever process or thread it is called."""

    def __init__(self, served: ServedModel, settings: Settings, audit: AuditLog | None) -> None:
        self._served = served
        self._settings = settings
        self._audit = audit
        self._scorer = served.scorer
        self._has_texts = any(each.type == DataType.string for each in served.value_columns)
        self._recogniser = Recogniser(served.features)
        self._screen = Screen(len(served.features) or UNKNOWN_FEATURES, settings.max_rows)

    def score(self, body: bytes, content_type: str, request_id: str, source: str = "") -> Reply:
        """Answers any request, after looking what it would cost.

        `source` is what its header says of where it comes from, for the audit log.
        """
        mime_type = mime_type_of(content_type)
        excess = self._screen.excess(body, mime_type)
        if excess:
            return _refused(excess)
        reply = None
        if mime_type == CONTENT_TYPE_JSON:
            reply = self._score_json(body, content_type, request_id, source)
        return reply or self._score_by_mlflow(body, content_type, mime_type, request_id, source)

    def score_plain(
        self, body: bytes, content_type: str, request_id: str, source: str = ""
    ) -> Reply | None:
        """Answers a plain request; None for any other."""
        if self._scorer is None or content_type not in PLAIN_TYPES:
            return None
        rows = self._recogniser.recognise(body)
        return None if rows is None else self._score_rows(rows, request_id, source)

    def _score_json(
        self, body: bytes, content_type: str, request_id: str, source: str
    ) -> Reply | None:
        """Answers what needs no more than one look at the parsed body; None for any other."""
        try:
            payload = parse_json(body)
        except (ValueError, RecursionError):
            # MLflow refuses it, and the refusal says why.
            return None
        rows = None
        if self._scorer is not None and content_type in PLAIN_TYPES:
            rows = self._recogniser.read(payload)
        # Half a surrogate pair is no text to MLflow's tables, whatever the version makes of it.
        if rows is not None and (not self._has_texts or any_json.has_an_equal(rows)):
            reply = self._score_rows(rows, request_id, source)
            if reply:
                return reply
        return self._refuse_json(payload)

    def _score_rows(self, rows: Rows, request_id: str, source: str) -> Reply | None:
        assert self._scorer is not None
        if len(rows) > self._settings.max_rows:
            return _refused(self._screen.too_many_rows())
        inputs = self._scorer.encode_rows(rows)
        if inputs is None:
            return None
        try:
            columns = self._scorer.score(inputs)
            text = answer.encode(columns)
        except Exception as error:
            log.error("request %s left the fast route: %s", request_id, describe(error))
            return None
        return self._record(
            ScoredRows(self._scorer.features, rows, columns), text, request_id, source
        )

    def _refuse_json(self, payload: Any) -> Reply | None:
        excess = self._screen.excess_of(payload)
        if excess:
            return _refused(excess)
        # MLflow takes these for a request to a chat model, and all other keys for its rows.
        chat = sorted(SUPPORTED_LLM_FORMATS & payload.keys()) if isinstance(payload, dict) else []
        if chat and self._served.takes_values:
            return refuse(
                400,
                "bad_request",
                f"The body has {', '.join(chat)}, which only chat models take: send the rows as "
                f"one of {', '.join(FORMATS)}.",
            )
        return None

    def _score_by_mlflow(
        self, body: bytes, content_type: str, mime_type: str, request_id: str, source: str
    ) -> Reply:
        observed = Observed(self._served, self._settings.max_rows)
        try:
            found = invocations(body, content_type, observed, self._served.inputs)
            rows = observed.scored_rows(found.response) if found.status == 200 else None
        except Exception as error:
            if observed.too_many_rows:
                return _refused(self._screen.too_many_rows())
            # MLflow fails on odd payloads in many ways, some of which the plain server answers with
            # 500. The message may hold card data and is not logged.
            log.info("request %s refused: %s", request_id, describe(error))
            columns = self._served.value_columns
            message = explain_refusal(body, mime_type, columns, observed.refusal)
            return refuse(400, "bad_request", message)
        if rows is None:
            return refuse(
                found.status,
                "unsupported_media_type",
                "The content type is not supported: expected application/json, text/csv or "
                "application/vnd.apache.parquet, in UTF-8 and with no other parameters.",
            )
        return self._record(rows, found.response, request_id, source)

    def _record(self, rows: ScoredRows, text: str, request_id: str, source: str) -> Reply:
        unlogged = self._audit is not None and not self._audit.write(request_id, rows, source)
        if unlogged and self._settings.audit_required:
            return refuse(
                503, "audit", "The audit log cannot be written, so nothing is scored."
            )._replace(unlogged=True)
        return Reply(200, text.encode(), rows=rows, unlogged=unlogged)


def _refused(excess: Excess) -> Reply:
    return refuse(excess.status, excess.kind, excess.message)
