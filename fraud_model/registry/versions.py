"""Model versions in MLflow's registry, and which stands where.

Stages are what `models:/name/Production` addresses; every move also sets the alias of the same
name (`models:/name@production`), so that nothing breaks the day MLflow drops stages.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
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

# How many of the versions that changed last are looked at for a stage that holds two.
RECENT = 20
# The integers of the databases.
MOST_VERSION = 2**31 - 1
MISSING = "RESOURCE_DOES_NOT_EXIST"


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


@dataclass(frozen=True)
class State:
    """The versions in each stage, and the one that carries its alias."""

    standing: dict[Stage, set[str]]
    alias: dict[Stage, str | None]

    @classmethod
    def of(cls, name: str) -> State:
        """Asks the registry, in two queries however many versions there are.

        It names the newest version in each stage. A stage holds another one only after two moves at
        once or a move by hand, and then that is among the versions that changed last.
        """
        client = mlflow.MlflowClient()
        changed = client.search_model_versions(f"name = '{name}'", max_results=RECENT)
        models = client.search_registered_models(f"name = '{name}'", max_results=1)
        known = [*changed, *(v for model in models for v in model.latest_versions)]
        aliases = models[0].aliases if models else {}
        return cls(
            {s: {str(v.version) for v in known if v.current_stage == s} for s in get_args(Stage)},
            {s: str(aliases[s.lower()]) if s.lower() in aliases else None for s in get_args(Stage)},
        )

    def settled(self, stage: Stage) -> bool:
        """Whether the stage holds the version of its alias alone, or both are empty."""
        meant = self.alias[stage]
        return self.standing[stage] == (set() if meant is None else {meant})

    def holds(self, stage: Stage, version: str) -> bool:
        """Whether `version` stands alone in `stage`, with the alias."""
        return self.settled(stage) and self.alias[stage] == version

    def current(self, stage: Stage) -> str | None:
        """The version that a stage stands for, where an interrupted move left two there too."""
        there, meant = self.standing[stage], self.alias[stage]
        return meant if meant in there else max(there, key=int, default=None)

    def text(self, stage: Stage) -> str:
        """What stands in a stage."""
        numbers = sorted(self.standing[stage], key=int)
        if not numbers:
            return f"nothing stands in {stage}"
        if len(numbers) == 1:
            return f"version {numbers[0]} stands in {stage}"
        return f"versions {', '.join(numbers)} stand in {stage}"


def newest_versions(name: str, most: int) -> list[ModelVersion]:
    """Up to `most` versions of a registered model, the newest first."""
    return list(
        mlflow.MlflowClient().search_model_versions(
            f"name = '{name}'", max_results=most, order_by=["version_number DESC"]
        )
    )


def find_version(name: str, text: str) -> ModelVersion:
    """The version that `text` means: a number, or `latest`.

    Raises:
        ParameterError: `text` is neither.
        RegistryError: there is no such version.
    """
    check_model_name(name)
    if text == "latest":
        there = newest_versions(name, 1)
        if there:
            return there[0]
    elif not text.isdecimal():
        raise ParameterError(f"version={text!r} is invalid: expected a number, or latest.")
    elif int(text) <= MOST_VERSION:
        try:
            return mlflow.MlflowClient().get_model_version(name, str(int(text)))
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
    there = newest_versions(name, 10)
    if not there:
        raise RegistryError(
            f"model {name!r} has no version in {without_credentials(mlflow.get_registry_uri())}. "
            f"Train one first: {mlflow_run('train')}"
        )
    numbers = ", ".join(str(version.version) for version in there)
    raise RegistryError(f"model {name!r} has no version {text}. There are: {numbers}.")


def current_version(name: str, stage: Stage) -> ModelVersion | None:
    """The version that stands in `stage`, or None; warns where the alias says another.

    Where nothing stands there, it is the one with the alias: two promotions of one version to both
    stages at once, one of them killed, can leave the stage empty until the next move fills it.

    Raises:
        ParameterError: no model can have this name.
        RegistryError: the version was deleted in this moment.
    """
    check_model_name(name)
    state = State.of(name)
    meant = state.alias[stage]
    number = state.current(stage) or meant
    if meant is not None and not state.settled(stage):
        log.warning(
            "%s: %s, but the alias %s is on version %s: a promotion or rollback was interrupted, "
            "or one of the two was moved by hand. Version %s is taken. Put the right version "
            "there: %s",
            name,
            state.text(stage),
            stage.lower(),
            meant,
            number,
            mlflow_run("promote", version=meant, stage=stage),
        )
    return None if number is None else find_version(name, number)


def require_current(name: str, stage: Stage, purpose: str) -> ModelVersion:
    """The version that stands in `stage`; `purpose` is the verb of what it is wanted for.

    Raises:
        RegistryError: nothing stands there.
    """
    version = current_version(name, stage)
    if version is None:
        raise nothing_stands(name, stage, purpose)
    return version


def nothing_stands(name: str, stage: Stage, purpose: str) -> RegistryError:
    """The error for a stage that is empty."""
    where = without_credentials(mlflow.get_registry_uri())
    return RegistryError(
        f"{name}: nothing stands in {stage} in {where}, so there is nothing to {purpose}. "
        f"Promote a version first: {mlflow_run('promote', stage=stage)}"
    )
