"""The gate in front of a stage: each check with its value and its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
import mlflow.artifacts
import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fraud_model.data.schema import Columns
from fraud_model.errors import ParameterError, RegistryError
from fraud_model.evaluation.bootstrap import paired_difference
from fraud_model.evaluation.evaluate import Scored, evaluate
from fraud_model.evaluation.holdout import read_holdout
from fraud_model.registry.export import read_origin
from fraud_model.registry.smoke import smoke_test


@dataclass(frozen=True)
class GateThresholds:
    """What a challenger must reach on its holdout.

    `tolerance` is how much average precision it may lose against the champion at the lower end
    of the interval; `alert_budget` is in alerts a day.
    """

    min_accuracy: float = 0.95
    min_average_precision: float = 0.5
    min_recall_at_budget: float = 0.1
    tolerance: float = 0.05
    alert_budget: float = 100.0

    def __post_init__(self) -> None:
        for name in ("min_accuracy", "min_average_precision", "min_recall_at_budget", "tolerance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name}={getattr(self, name)}: it lies from 0 to 1.")
        if not self.alert_budget > 0:
            raise ParameterError(f"alert_budget={self.alert_budget}: it is more than 0 a day.")


@dataclass(frozen=True)
class Champion:
    """The model to beat: its address, what to call it, and `real` or `simulated` for its data."""

    uri: str
    label: str
    data_kind: str

    @classmethod
    def registered(cls, version: ModelVersion) -> Champion:
        """A version that stands in a stage."""
        kind = version.tags.get("data_kind", "unknown")
        return cls(uri(version), f"version {version.version}", kind)

    @classmethod
    def exported(cls, folder: Path) -> Champion | None:
        """The model in an exported directory; None where there is none.

        Raises:
            ParameterError: the directory holds something else.
        """
        if not folder.exists():
            return None
        origin = read_origin(folder)
        label = f"the exported version {origin['model_version']}"
        return cls(str(folder), label, origin.get("data_kind", "unknown"))


@dataclass(frozen=True)
class Check:
    """One line of the gate: what was measured, against which limit, and whether it passed."""

    name: str
    value: str
    limit: str
    passed: bool


def run_gate(
    challenger: ModelVersion, champion: Champion | None, thresholds: GateThresholds, seed: int = 0
) -> list[Check]:
    """Runs every check on a challenger, even after one has failed, so that all are seen.

    Champion and challenger are scored on the challenger's holdout, the newer one.
    """
    smoke = smoke_test(uri(challenger))
    checks = [
        Check("loads and scores known rows", smoke or "as recorded", "as recorded", smoke is None)
    ]
    checks.append(_provenance(challenger, champion))
    if smoke is not None:
        return checks
    holdout, columns = read_holdout(challenger)
    mine = predict(uri(challenger), holdout, columns)
    labels = holdout[columns.target].to_numpy()
    scored = Scored.from_part(holdout, columns, mine["fraud_probability"].to_numpy())
    threshold = float(challenger.tags["threshold"])
    figures = evaluate(scored, threshold, thresholds.alert_budget, seed)
    budget = f"recall at {thresholds.alert_budget:g} alerts a day"
    checks += [
        _floor("accuracy", figures["accuracy"], thresholds.min_accuracy),
        _floor("average precision", figures["average_precision"], thresholds.min_average_precision),
        _floor(budget, figures["recall_at_budget"], thresholds.min_recall_at_budget),
        _against_champion(labels, scored.probability, champion, holdout, columns, thresholds, seed),
    ]
    return checks


def table(checks: Sequence[Check]) -> str:
    """The checks as a Markdown table."""
    rows = [("check", "value", "limit", "")] + [
        (c.name, c.value, c.limit, "passed" if c.passed else "FAILED") for c in checks
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def uri(version: ModelVersion) -> str:
    """The address of exactly this version."""
    return f"models:/{version.name}/{version.version}"


def _floor(name: str, value: float, least: float) -> Check:
    return Check(name, f"{value:.4f}", f">= {least:g}", value >= least)


def _provenance(challenger: ModelVersion, champion: Champion | None) -> Check:
    mine = challenger.tags.get("data_kind", "unknown")
    theirs = champion.data_kind if champion else "no champion"
    return Check(
        "trained on real data if the champion was",
        f"{mine} after {theirs}",
        "not simulated after real",
        not (mine != "real" and theirs == "real"),
    )


def _against_champion(
    labels: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float64],
    champion: Champion | None,
    holdout: pd.DataFrame,
    columns: Columns,
    thresholds: GateThresholds,
    seed: int,
) -> Check:
    name = "average precision, challenger - champion"
    limit = f"lower end >= -{thresholds.tolerance:g}"
    if champion is None:
        return Check(name, "no champion", limit, True)
    try:
        theirs = predict(champion.uri, holdout, columns)["fraud_probability"].to_numpy()
    except RegistryError as error:
        return Check(name, str(error), limit, False)
    except (MlflowException, OSError) as error:
        # A champion that cannot score protects nobody; refusing would keep it in place.
        reason = str(error).splitlines()[0][:80]
        return Check(name, f"champion, {champion.label}, does not load: {reason}", limit, True)
    difference = paired_difference(labels, probability, theirs, seed)
    verdict = "better" if difference.low > 0 else ""
    value = f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] {verdict}"
    return Check(name, value.strip(), limit, difference.low >= -thresholds.tolerance)


def predict(model_uri: str, holdout: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """What a model answers to a holdout.

    Raises:
        RegistryError: the holdout lacks a feature of the model.
    """
    model = mlflow.pyfunc.load_model(model_uri)
    wanted = model.metadata.get_input_schema().input_names()
    missing = [name for name in wanted if name not in columns.features]
    if missing:
        raise RegistryError(
            f"{model_uri} needs {', '.join(map(repr, missing))}, not in the holdout: "
            "train other columns under another name with -P model_name="
        )
    predicted: pd.DataFrame = model.predict(holdout[wanted])
    return predicted
