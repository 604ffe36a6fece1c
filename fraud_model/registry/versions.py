"""Model versions in MLflow's registry, and which stands where.

Stages are what `models:/name/Production` addresses; every move also sets the alias of the same
name (`models:/name@production`), so that nothing breaks the day MLflow drops stages.
"""

from __future__ import annotations

import logging
from typing import Literal, get_args

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fraud_model.commands import mlflow_run
from fraud_model.errors import ParameterError, RegistryError
from fraud_model.stores import without_credentials

log = logging.getLogger("fraud_model.registry")

DEFAULT_MODEL_NAME = "fraud-detector"

Stage = Literal["Staging", "Production"]


def parse_stage(text: str) -> Stage:
    """Reads a stage's name, whatever its case.

    Raises:
        ParameterError: it is neither Staging nor Production.
    """
    for stage in get_args(Stage):
        if text.lower() == stage.lower():
            return stage  # type: ignore[no-any-return]
    raise ParameterError(f"stage={text!r} is invalid: expected Staging or Production.")


def check_model_name(name: str) -> None:
    """Refuses a name that the registry would refuse after the training.

    Raises:
        ParameterError: the name is empty, or holds a slash, a colon or a quote.
    """
    if not name.strip() or set(name) & set("/:'\""):
        raise ParameterError(
            f"model_name={name!r} is invalid: expected a name without slashes, colons and quotes."
        )


def register(
    name: str, model_id: str, run_id: str, *, description: str, tags: dict[str, str]
) -> ModelVersion:
    """Makes a version of `name` from a logged model, with description and tags in one call."""
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(
            name, description="Card-fraud detector: scaler and LightGBM booster as one pyfunc."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(
        name,
        source=f"models:/{model_id}",
        run_id=run_id,
        model_id=model_id,
        description=description,
        tags=tags,
    )


def all_versions(name: str) -> list[ModelVersion]:
    """All versions of a registered model, the newest first."""
    found = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def find_version(name: str, text: str) -> ModelVersion:
    """The version that `text` means: a number, or `latest`.

    Raises:
        ParameterError: `text` is neither.
        RegistryError: there is no such version.
    """
    check_model_name(name)
    known = all_versions(name)
    if not known:
        raise RegistryError(
            f"model {name!r} has no version in {without_credentials(mlflow.get_registry_uri())}. "
            f"Train one first: {mlflow_run('train')}"
        )
    if text == "latest":
        return known[0]
    if not text.isdecimal():
        raise ParameterError(f"version={text!r} is invalid: expected a number, or latest.")
    for version in known:
        if int(version.version) == int(text):
            return version
    there = ", ".join(str(version.version) for version in known[:10])
    raise RegistryError(f"model {name!r} has no version {text}. There are: {there}.")


def current_version(name: str, stage: Stage) -> ModelVersion | None:
    """The version that stands in `stage`, or None; warns where the alias says another.

    Raises:
        ParameterError: no model can have this name.
    """
    check_model_name(name)
    known = all_versions(name)
    standing = [version for version in known if version.current_stage == stage]
    if not known:
        return None
    meant = alias_version(name, stage)
    if meant is not None and [str(v.version) for v in standing] != [meant]:
        log.warning(
            "%s: %s in %s, but the alias %s is on version %s: a promotion or rollback was "
            "interrupted, or one of the two was moved by hand. Put the right version there: %s",
            name,
            _standing_text([str(v.version) for v in standing]),
            stage,
            stage.lower(),
            meant,
            mlflow_run("promote", version=meant, stage=stage),
        )
    # A move that was interrupted can leave two; the alias tells which one was meant to stay.
    return next((v for v in standing if str(v.version) == meant), next(iter(standing), None))


def require_current(name: str, stage: Stage, purpose: str) -> ModelVersion:
    """The version that stands in `stage`; `purpose` is the verb of what it is wanted for.

    Raises:
        RegistryError: nothing stands there.
    """
    version = current_version(name, stage)
    if version is None:
        where = without_credentials(mlflow.get_registry_uri())
        raise RegistryError(
            f"{name}: nothing stands in {stage} in {where}, so there is nothing to {purpose}. "
            f"Promote a version first: {mlflow_run('promote', stage=stage)}"
        )
    return version


def alias_version(name: str, stage: Stage) -> str | None:
    """The version number that carries the alias of `stage`, or None."""
    aliases = mlflow.MlflowClient().get_registered_model(name).aliases
    version = aliases.get(stage.lower())
    return None if version is None else str(version)


def _standing_text(numbers: list[str]) -> str:
    if not numbers:
        return "nothing stands"
    if len(numbers) == 1:
        return f"version {numbers[0]} stands"
    return f"versions {', '.join(numbers)} stand"
