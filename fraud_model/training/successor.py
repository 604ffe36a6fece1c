"""What the next training takes over from the version in Production."""

from __future__ import annotations

from dataclasses import fields

import mlflow

from fraud_model.registry import versions
from fraud_model.training.config import TrainingConfig

HANDED_ON = ("time_column", "amount_column", "missing", "time_unit", "split", "threshold")


def handed_on(model_name: str, columns: tuple[str, ...]) -> dict[str, object]:
    """The parameters of the version in Production that the next training should have, too.

    Nothing without such a version.
    """
    version = versions.current_version(model_name, "Production")
    if version is None or not version.run_id:
        return {}
    given = mlflow.get_run(version.run_id).data.params
    default = {field.name: str(field.default) for field in fields(TrainingConfig)}
    return {
        name: given[name]
        for name in HANDED_ON
        if name in given
        and given[name] != default[name]
        and (not name.endswith("_column") or given[name] in columns)
    }
