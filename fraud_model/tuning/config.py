"""What a tuning run is asked to do, beside what a training run is."""

from __future__ import annotations

from dataclasses import dataclass

from fraud_model.errors import ParameterError


@dataclass(frozen=True)
class TuningConfig:
    """What a tuning run is asked to do; the fields are the entry point's parameters.

    Attributes:
        trials: how many trials the study has in the end, those of earlier runs among them.
        minutes: after how many minutes this run starts no further trial and cuts off the one it
            is at; 0 for no limit.
        folds: how many folds a trial is measured on.
        study: the name of the study; empty for one that follows from table and settings.
        storage: address of the database that keeps the study, or `auto`.
        space: YAML file with the search space; empty for the built-in one.
        register: whether the winner is trained and registered.
    """

    trials: int = 50
    minutes: float = 30.0
    folds: int = 5
    study: str = ""
    storage: str = "auto"
    space: str = ""
    register: bool = False

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[float, float]] = {
            "trials": (1, 100_000),
            "minutes": (0, 1e6),
            "folds": (2, 50),
        }
        for name, (low, high) in allowed.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParameterError(
                    f"{name}={value} is invalid: expected a number from {low:g} to {high:g}."
                )
