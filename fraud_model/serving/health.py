"""What `/health` says, and whether every worker is ready."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud_model import __version__
from fraud_model.serving.live import Live
from fraud_model.serving.prometheus import SHARED_FOLDER
from fraud_model.serving.refresh.board import Board
from fraud_model.serving.settings import Settings

WORKERS = "FRAUD_MODEL_WORKERS"
# In the folder that the workers share, once all of them have been ready.
READY_FILE = "ready"


class Health:
    """The state of this server; workers count each other in the folder of their shared metrics."""

    def __init__(self, live: Live, settings: Settings, board: Board | None) -> None:
        self._live = live
        self._settings = settings
        self._board = board
        self._start = time.monotonic()
        self._ready = False

    def worker_is_up(self) -> bool:
        """Notes that this worker is ready; True for the one that makes the whole server ready."""
        folder = os.environ.get(SHARED_FOLDER)
        if folder is None:
            return True
        (Path(folder) / f"ready-{os.getpid()}").touch()
        if not self.ready():
            return False
        try:
            (Path(folder) / READY_FILE).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def ready(self) -> bool:
        """Whether every worker has been ready; the restart of a worker does not change that."""
        folder = os.environ.get(SHARED_FOLDER)
        if folder and not self._ready:
            up = sum(1 for _ in Path(folder).glob("ready-*"))
            self._ready = up >= int(os.environ[WORKERS])
            return self._ready
        return True

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether the server is healthy, and the complete answer."""
        version = self._live.current
        served, audit, shadow = version.served, version.audit, version.shadow
        threshold = served.threshold
        origin = served.origin
        failure = audit.failure if audit else ""
        healthy = self.ready() and not (failure and self._settings.audit_required)
        # It answers, so it stays in rotation; but promotions pass it by until it asks the registry.
        status = "degraded" if origin.is_stand_in else "healthy"
        return healthy, {
            "status": status if healthy else "unhealthy",
            "version": __version__,
            "model_loaded": True,
            "model_name": origin.model_name,
            "model_version": origin.model_version,
            "model_stage": origin.model_stage,
            "mlflow_tracking_uri": origin.tracking_uri,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "run_id": origin.run_id,
            "data_kind": origin.data_kind,
            "source": origin.source,
            "note": origin.note,
            **({} if threshold is None else {"threshold": threshold}),
            "decision": served.decision,
            "route": served.route,
            "route_note": served.route_note,
            "uptime_seconds": round(time.monotonic() - self._start, 1),
            "audit": "off" if audit is None else failure or "ok",
            "large_requests": version.large.state,
            "shadow": "off" if shadow is None else shadow.state,
            "shadow_version": "" if shadow is None else shadow.version,
            "refresh": "off" if self._board is None else self._board.state,
        }
