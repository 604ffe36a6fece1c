"""A check in MLflow: a run that is named by its status, and tags on the version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from mlflow.entities import Metric
from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.time import get_current_time_millis

from fraud_model.monitoring.result import Check, Judged
from fraud_model.monitoring.summary import happened, read_line
from fraud_model.tracking import log_metrics, log_parameters

EXPERIMENT = "monitoring"
STATUS = "monitoring.status"
# What the alarm on a version is about.
ABOUT = "monitoring.about"


def standing_alarm(check: Check, version: ModelVersion | None) -> frozenset[str]:
    """What an earlier alarm on the version is about, as far as this check could not judge that.

    Empty without such an alarm. Without enough labels a check says nothing of one that labels
    raised, and one that is unknown says nothing of any.
    """
    if version is None:
        return frozenset()
    # Another check may have tagged it meanwhile.
    tags = mlflow.MlflowClient().get_model_version(version.name, version.version).tags
    if tags.get(STATUS) != "alarm":
        return frozenset()
    # Earlier releases did not say.
    about = frozenset(tags.get(ABOUT, "").split(","))
    if check.status == "unknown":
        return about
    judged_labels = check.performance is not None and check.performance.comparison is not None
    return frozenset() if judged_labels else about & {"performance"}


def log_check(
    check: Check,
    parameters: Mapping[str, object],
    folder: Path,
    version: ModelVersion | None,
    standing: frozenset[str],
) -> None:
    """Logs a check to the active run, with the report in `folder`; tags `version`, if there is one.

    Each window is a step; if its date is known, the metrics carry that time. The version's tags are
    those of its last check, but a `standing` alarm is not cleared.
    """
    log_parameters(parameters)
    mlflow.set_tags(
        {
            MLFLOW_RUN_NAME: f"{check.status}: {check.version}",
            STATUS: check.status,
            "monitoring.version": check.version,
            "monitoring.read": read_line(check),
            "monitoring.findings": "\n".join(
                [*map(happened, check.events)] + [f.text for f in check.findings]
            )[:5000],
        }
    )
    log_metrics(_metrics(check))
    mlflow.log_artifacts(str(folder))
    if version is not None and (check.status == "alarm" or not standing):
        run = mlflow.active_run()
        about = {finding.about or "" for finding in check.findings if finding.kind == "alarm"}
        tags = {
            STATUS: check.status,
            ABOUT: ",".join(sorted(about | standing)),
            "monitoring.checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "monitoring.run_id": run.info.run_id if run else "",
        }
        client = mlflow.MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(version.name, version.version, key, value)


def _metrics(check: Check) -> Iterator[Metric]:
    now = get_current_time_millis()
    for step, judged in enumerate(check.windows):
        at = int(judged.start * 1000) if judged.start is not None else now
        for name, value in _metrics_of(judged).items():
            yield Metric(name, value, at, step)
        if check.performance and judged.number in check.performance.by_window:
            value = check.performance.by_window[judged.number]
            yield Metric("performance/average_precision_by_window", value, at, step)
    for name, value in _metrics_of(check.overall).items():
        yield Metric(f"overall/{name}", value, now, 0)
    if check.performance:
        for name, known in check.performance.intervals.items():
            for end in ("value", "low", "high"):
                suffix = "" if end == "value" else f"_{end}"
                yield Metric(f"performance/{name}{suffix}", getattr(known, end), now, 0)


def _metrics_of(judged: Judged) -> dict[str, float]:
    window = judged.window
    metrics = {
        "transactions": float(window.rows),
        "refused_share": window.refused_share,
        "flagged_rate": window.flagged_rate,
        "flagged_amount": window.amount_flagged,
    }
    if window.mean_amount is not None:
        metrics["mean_amount"] = window.mean_amount
    if judged.scores is not None:
        metrics["score_shift"] = judged.ratio
    for name, drift in judged.features.items():
        distance = "ks" if drift.is_median else "distance"
        metrics |= {f"psi/{_safe(name)}": drift.psi, f"{distance}/{_safe(name)}": drift.distance}
    for gap in judged.gaps:
        if gap.now:
            metrics[f"{gap.kind}_share/{_safe(gap.feature)}"] = gap.now
    return metrics


def _safe(name: str) -> str:
    # A metric's name takes fewer characters than a column's.
    return re.sub(r"[^\w\-. ]", "_", name)
