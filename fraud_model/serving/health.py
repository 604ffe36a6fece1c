"""What `/health` says, and whether every worker is ready."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud_model import __version__
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.large.lane import LargeLane
from fraud_model.serving.model import ServedModel
from fraud_model.serving.prometheus import SHARED_FOLDER
from fraud_model.serving.settings import Settings
from fraud_model.serving.shadow.supervisor import Shadow

WORKERS = "FRAUD_MODEL_WORKERS"
# In the folder that the workers share, once all of them have been ready.
READY_FILE = "ready"


class Health:
    """The state of this server; workers count each other in the folder of their shared metrics."""

    def __init__(
        self,
        served: ServedModel,
        settings: Settings,
        audit: AuditLog | None,
        large: LargeLane,
        shadow: Shadow | None,
    ) -> None:
        self._served = served
        self._settings = settings
        self._audit = audit
        self._large = large
        self._shadow = shadow
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
        threshold = self._served.threshold
        origin = self._served.origin
        failure = self._audit.failure if self._audit else ""
        healthy = self.ready() and not (failure and self._settings.audit_required)
        # It answers, so it stays in rotation; but promotions pass it by until it is restarted.
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
            "source": origin.source,
            "note": origin.note,
            **({} if threshold is None else {"threshold": threshold}),
            "decision": self._served.decision,
            "route": self._served.route,
            "route_note": self._served.route_note,
            "uptime_seconds": round(time.monotonic() - self._start, 1),
            "audit": "off" if self._audit is None else failure or "ok",
            "large_requests": self._large.state,
            "shadow": "off" if self._shadow is None else self._shadow.state,
            "shadow_version": "" if self._shadow is None else self._shadow.version,
        }
