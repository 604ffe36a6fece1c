"""What Prometheus scrapes, added up over all workers.

Several workers share their values in files in the folder PROMETHEUS_MULTIPROC_DIR. The variable has
to be set before a worker imports this module; `fraud_model.serving.cli` sets it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from fraud_model.serving.model import FLAG, PROBABILITY, ScoredRows, ServedModel
from fraud_model.serving.origin import Origin
from fraud_model.serving.refresh.board import Board
from fraud_model.serving.unseen import Unusual, Watch

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = CONTENT_TYPE_LATEST

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SCORES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)


class Metrics:
    """Counts requests to `/invocations`, and what was scored."""

    def __init__(self, served: ServedModel, board: Board | None = None) -> None:
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
        self._values: dict[Unusual, Counter] = {
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
        self._served = Served(served.origin, board)
        own.register(self._served)
        # Looking up a label's child costs more than incrementing it.
        self._by_status: dict[int, Counter] = {}
        self.serve(served)

    def serve(self, served: ServedModel) -> None:
        """From here on this is the version that answers."""
        self._served.origin = served.origin
        self._watch = Watch(served)
        self._unusual = {
            (name, kind): counter.labels(name)
            for kind, counter in self._values.items()
            for name in self._watch.names
        }

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
        self._rows.inc(len(rows))
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
        together.register(self._served)
        MultiProcessCollector(together, path=folder)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class Served(Collector):
    """What the workers serve when somebody asks, however often it has changed.

    Attributes:
        origin: what this worker serves.
    """

    def __init__(self, origin: Origin, board: Board | None) -> None:
        self.origin = origin
        self._board = board

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The versions, and whether something is wrong with them."""
        reports = self._board.reports() if self._board else []
        origins = [self.origin, *(report.origin for report in reports)]
        labels = ["name", "version", "stage", "source"]
        model = GaugeMetricFamily(
            "fraud_model_info", "Always 1; the labels name the served model.", labels=labels
        )
        for names in sorted(
            {(o.model_name, o.model_version, o.model_stage, o.source) for o in origins}
        ):
            model.add_metric(names, 1)
        yield model
        yield GaugeMetricFamily(
            "fraud_model_degraded",
            "1 while an exported directory stands in for a registry out of reach, else 0.",
            int(any(origin.is_stand_in for origin in origins)),
        )
        yield GaugeMetricFamily(
            "fraud_model_refresh_failed",
            "1 while the registry does not answer, or what stands there cannot be served, else 0.",
            int(self._board is not None and self._board.state.startswith("failed")),
        )


def _forget_dead_workers(folder: Path) -> None:
    # A killed worker's counters still count. Its requests in flight do not.
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
