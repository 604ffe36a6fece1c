"""The version that answers, with everything that answers with it, and how it is swapped.

A request keeps the version that it began with. The next one begins with the version that is current
then, so a swap is one assignment on the event loop, and no request waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from functools import cached_property
from pathlib import Path
from typing import Any

from fraud_model.serving import openapi
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.large.lane import LargeLane
from fraud_model.serving.model import ServedModel
from fraud_model.serving.prometheus import Metrics
from fraud_model.serving.scoring import Scoring
from fraud_model.serving.settings import Settings
from fraud_model.serving.shadow.supervisor import Shadow

log = logging.getLogger("fraud_model.serving")

# The processes of a version that takes over may start for this long before it answers without them.
WARM_SECONDS = 10.0
POLL_SECONDS = 0.05


class Version:
    """A loaded version and the parts that belong to it: audit lines, processes, description."""

    def __init__(self, served: ServedModel, settings: Settings, metrics: Metrics) -> None:
        self.served = served
        self.audit: AuditLog | None = None
        self.shadow: Shadow | None = None
        if settings.audit_log:
            self.audit = AuditLog(
                Path(settings.audit_log),
                settings.audit_max_bytes,
                served.origin,
                settings.audit_keep_seconds,
            )
            self.audit.check()
            if settings.shadow_model_uri:
                self.shadow = Shadow(served, settings, metrics, self.audit)
        self.large = LargeLane(served, settings)
        self.scoring = Scoring(served, settings, self.audit)
        self._settings = settings
        self._requests = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @cached_property
    def description(self) -> dict[str, Any]:
        """Its OpenAPI document."""
        return openapi.document(self.served, self._settings)

    def begin(self) -> None:
        """A request begins with it."""
        self._requests += 1
        self._unused.clear()

    def end(self) -> None:
        """A request that began with it has ended, and is counted."""
        self._requests -= 1
        if not self._requests:
            self._unused.set()

    def start(self) -> None:
        """Starts the shadow, if there is one."""
        if self.shadow:
            self.shadow.start()

    async def start_like(self, other: Version) -> None:
        """Starts the processes that another version has, and gives them time to get ready."""
        self.start()
        try:
            async with asyncio.timeout(WARM_SECONDS):
                if other.large.state != "idle":
                    await self.large.warm()
                while self.shadow and self.shadow.state == "starting":
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            log.warning("the version's processes were not ready after %g s", WARM_SECONDS)

    async def stop(self) -> None:
        """Ends it, once the requests that began with it have ended."""
        await self._unused.wait()
        await self.close()

    async def close(self) -> None:
        """Ends its processes and closes its log."""
        await self.large.stop()
        if self.shadow:
            await self.shadow.stop()
        if self.audit:
            self.audit.close()


class Live:
    """Holds the version that answers.

    Attributes:
        current: the version with which the next request begins.
    """

    def __init__(self, version: Version, metrics: Metrics) -> None:
        self.current = version
        self._metrics = metrics

    def swap(self, version: Version) -> Version:
        """Makes another version the current one; returns the one before it."""
        before, self.current = self.current, version
        self._metrics.serve(version.served)
        return before
