"""Model versions in MLflow's registry: which stands where, and moving one.

Stages are what `models:/name/Production` addresses; every move also sets the alias of the same
name (`models:/name@production`), so that nothing breaks the day MLflow drops stages.
"""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fraud_model.commands import mlflow_run
from fraud_model.errors import ParameterError, RegistryError
from fraud_model.tracking import without_credentials

DEFAULT_MODEL_NAME = "fraud-detector"

Stage = Literal["Staging", "Production"]

# Bounds the repair loop; two promotions settle within two turns.
MOST_REPAIRS = 20
ALIAS_ATTEMPTS = 3


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
    """The version that stands in `stage`, or None.

    Raises:
        ParameterError: no model can have this name.
    """
    check_model_name(name)
    standing = [version for version in all_versions(name) if version.current_stage == stage]
    if len(standing) < 2:
        return standing[0] if standing else None
    # An interrupted promotion can leave two; the alias tells which one was meant to stay.
    meant = alias_version(name, stage)
    return next((v for v in standing if str(v.version) == meant), standing[0])


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


def move(name: str, version: str, stage: Stage) -> None:
    """Puts `version` alone into `stage`, archives the one before it, and moves the alias.

    Safe against another promotion at the same time and against a kill at any point. The alias is
    the arbiter: it holds one version at a time, the last writer's. It is set first; then the
    stages are brought in line with whatever it says, until they are. A kill between the two
    leaves the earlier version in its stage, and any later call finishes the job.
    """
    _set_alias(name, version, stage)
    for _ in range(MOST_REPAIRS):
        meant = alias_version(name, stage)
        if meant is None:
            # This very version was moved into the other stage at the same time.
            _set_alias(name, version, stage)
            continue
        if {str(v.version) for v in all_versions(name) if v.current_stage == stage} == {meant}:
            _drop_alias_left_behind(name, meant, stage)
            return
        _transition(name, meant, stage)
    raise RegistryError(
        f"{name}: {stage} did not settle on one version, because others keep moving it. "
        "Run the promotion again when they are done."
    )


def _set_alias(name: str, version: str, stage: Stage) -> None:
    # MLflow looks whether the alias exists and then inserts it. Of two promotions that set it for
    # the first time at once, one fails on the other's row; its next attempt updates that row.
    for left in reversed(range(ALIAS_ATTEMPTS)):
        try:
            mlflow.MlflowClient().set_registered_model_alias(name, stage.lower(), version)
        except MlflowException as error:
            if not left or error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise
        else:
            return


def _drop_alias_left_behind(name: str, version: str, stage: Stage) -> None:
    # A version that goes from Staging to Production leaves Staging, and its alias with it. Only an
    # alias on this version is touched: one on another may be a promotion that has just begun.
    for other in get_args(Stage):
        if other != stage and alias_version(name, other) == version:
            mlflow.MlflowClient().delete_registered_model_alias(name, other.lower())


def _transition(name: str, version: str, stage: Stage) -> None:
    with warnings.catch_warnings():
        # Stages are deprecated since MLflow 2.9; users address them, and the alias stands beside.
        warnings.simplefilter("ignore", FutureWarning)
        mlflow.MlflowClient().transition_model_version_stage(
            name, version, stage, archive_existing_versions=True
        )
