"""What Prometheus scrapes, added up over all workers.

Several workers share their values in files in the folder PROMETHEUS_MULTIPROC_DIR. The variable has
to be set before a worker imports this module; `fraud_model.serving.cli` sets it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from fraud_model.serving.model import FLAG, PROBABILITY, ScoredRows, ServedModel
from fraud_model.serving.unseen import Unusual, Watch

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_LATEST

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SCORES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)


class Metrics:
    """Counts requests to `/invocations`, and what was scored."""

    def __init__(self, served: ServedModel) -> None:
        origin = served.origin
        self._registry = own = CollectorRegistry()
        self._requests = Counter(
            "fraud_requests", "Answered requests to /invocations.", ["status"], registry=own
        )
        self._errors = Counter(
            "fraud_errors",
            "Refused and failed requests, by reason.",
            ["kind"],
            registry=own,
        )
        self._seconds = Histogram(
            "fraud_request_seconds",
            "Time from the start of a request to its answer.",
            buckets=SECONDS,
            registry=own,
        )
        self._rows = Counter("fraud_rows_scored", "Scored transactions.", registry=own)
        self._flagged = Counter(
            "fraud_rows_flagged", "Transactions flagged as fraud.", registry=own
        )
        self._scores = Histogram(
            "fraud_probability",
            "Fraud probabilities of scored rows.",
            buckets=SCORES,
            registry=own,
        )
        values: dict[Unusual, Counter] = {
            "missing": Counter(
                "fraud_values_missing",
                "Missing values in scored rows.",
                ["feature"],
                registry=own,
            ),
            "unseen": Counter(
                "fraud_values_unseen",
                "Categories in scored rows that training did not know.",
                ["feature"],
                registry=own,
            ),
        }
        self._watch = Watch(served)
        self._unusual = {
            (name, kind): counter.labels(name)
            for kind, counter in values.items()
            for name in self._watch.names
        }
        self._in_flight = Gauge(
            "fraud_requests_in_flight",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=own,
        )
        self._audit_failures = Counter(
            "fraud_audit_failures",
            "Requests whose audit lines could not be written.",
            registry=own,
        )
        self._shadow_rows = Counter(
            "fraud_shadow_rows",
            "Rows for the shadow model: scored, or dropped.",
            ["outcome"],
            registry=own,
        )
        model = Gauge(
            "fraud_model_info",
            "Always 1; the labels name the served model.",
            ["name", "version", "stage", "source"],
            multiprocess_mode="max",
            registry=own,
        )
        model.labels(
            origin.model_name, origin.model_version, origin.model_stage, origin.source
        ).set(1)
        degraded = Gauge(
            "fraud_model_degraded",
            "1 while an exported directory stands in for a registry out of reach, else 0.",
            multiprocess_mode="max",
            registry=own,
        )
        degraded.set(int(origin.is_stand_in))
        # Looking up a label's child costs more than incrementing it.
        self._by_status: dict[int, Counter] = {}

    def begin(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def end(self, status: int, seconds: float) -> None:
        """A request was answered."""
        self._in_flight.dec()
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._requests.labels(str(status))
        counter.inc()
        self._seconds.observe(seconds)

    def error(self, kind: str) -> None:
        """A request was refused or failed."""
        self._errors.labels(kind).inc()

    def scored(self, rows: ScoredRows) -> None:
        """Rows were scored; flags and probabilities are counted where the answer has them."""
        self._rows.inc(len(rows.values))
        for unusual in self._watch.unusual(rows):
            self._unusual[unusual].inc()
        if not rows.has_probabilities:
            return
        flagged = int(rows.columns[FLAG].sum())
        if flagged:
            self._flagged.inc(flagged)
        observe = self._scores.observe
        for value in rows.columns[PROBABILITY].tolist():
            observe(value)

    def audit_failed(self) -> None:
        """Audit lines could not be written."""
        self._audit_failures.inc()

    def shadow_rows(self, outcome: Literal["scored", "dropped"], rows: int) -> None:
        """The shadow's scores of these rows were logged, or will never be."""
        self._shadow_rows.labels(outcome).inc(rows)

    def text(self) -> bytes:
        """The metrics of all workers in Prometheus' text format."""
        folder = os.environ.get(SHARED_FOLDER)
        if folder is None:
            return generate_latest(self._registry)
        _forget_dead_workers(Path(folder))
        together = CollectorRegistry()
        MultiProcessCollector(together, path=folder)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _forget_dead_workers(folder: Path) -> None:
    # A killed worker's counters still count. Its requests in flight do not.
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
