"""A tracking store and registry that tests share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mlflow

from fraud_model.registry import versions
from fraud_model.training.pipeline import Trained


@dataclass(frozen=True)
class Store:
    """A tracking store and registry in a folder, with one model logged in it."""

    uri: str
    trained: Trained

    def new_model(self, versions: int = 1, **tags: str) -> str:
        """Registers the logged model under a new name, as often as asked; returns the name."""
        name = f"model-{uuid.uuid4().hex[:8]}"
        for _ in range(versions):
            self.new_version(name, **tags)
        return name

    def new_version(self, name: str, model: Trained | None = None, /, **tags: str) -> str:
        """One more version of `name`: `model`'s files with the shared model's run and holdout."""
        client = mlflow.MlflowClient()
        original = client.get_model_version(self.trained.name, self.trained.version)
        model = model or self.trained
        version = versions.register(
            name,
            client.get_model_version(model.name, model.version).source.removeprefix("models:/"),
            original.run_id,
            description="a copy",
            tags={**original.tags, **tags},
        )
        return str(version.version)


def stages_of(name: str) -> dict[str, str]:
    """The stage of every version of a registered model, by version."""
    found = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    return {str(version.version): version.current_stage for version in found}


@contextmanager
def store_at(uri: str) -> Iterator[None]:
    """Asks the tracking store and registry at this address until the block ends."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
