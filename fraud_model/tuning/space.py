"""The search space: which hyperparameters are searched, and between which bounds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fraud_model.errors import ParameterError
from fraud_model.training.config import Hyperparameters

if TYPE_CHECKING:
    from optuna.trial import Trial

WHOLE = frozenset(f.name for f in fields(Hyperparameters) if isinstance(f.default, int))
# The seed is the folds', and folds are scored without a part to stop on.
NOT_SEARCHED = frozenset({"seed", "early_stopping_rounds"})
SEARCHED = [f.name for f in fields(Hyperparameters) if f.name not in NOT_SEARCHED]
# Of a value that is searched, so that the command which trains with it is short and exact.
DIGITS = 4


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter: from `low` to `high`, evenly or by its logarithm, or one of `choices`."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[float, ...] = ()

    def holds(self, value: float) -> bool:
        """Whether it can take this value."""
        if self.choices:
            return value in self.choices
        on_step = self.step is None or ((value - self.low) / self.step).is_integer()
        return self.low <= value <= self.high and on_step

    def suggest(self, trial: Trial, name: str) -> Any:
        """The value that a trial takes."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if name in WHOLE:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return trial.suggest_int(name, low, high, log=self.log, step=step)
        return trial.suggest_float(name, self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Space:
    """What is searched, by name, and the hyperparameters that stay as they are."""

    dimensions: Mapping[str, Dimension]
    fixed: Hyperparameters

    def suggest(self, trial: Trial) -> Hyperparameters:
        """The hyperparameters of a trial."""
        values = {name: each.suggest(trial, name) for name, each in self.dimensions.items()}
        return self.hyperparameters(values)

    def hyperparameters(self, values: Mapping[str, Any]) -> Hyperparameters:
        """Those of a trial that took these values, rounded to `DIGITS` significant digits."""
        rounded = {name: float(f"{value:.{DIGITS}g}") for name, value in values.items()}
        return _changed(self.fixed, rounded)

    def holds(self, hyperparameters: Hyperparameters) -> bool:
        """Whether a trial could have these."""
        values = self.values_of(hyperparameters)
        inside = all(self.dimensions[name].holds(value) for name, value in values.items())
        return inside and self.hyperparameters(values) == hyperparameters

    def values_of(self, hyperparameters: Hyperparameters) -> dict[str, Any]:
        """What is searched of some hyperparameters, by name."""
        return {name: getattr(hyperparameters, name) for name in self.dimensions}


def default_space(fixed: Hyperparameters, *, categories: bool) -> Space:
    """The built-in space, whose bounds keep the booster from collapsing at 0.17 % fraud.

    `categories` says whether the table has any, whose smoothing is searched then.
    """
    own = {
        # Together they say how far a fit goes.
        "learning_rate": Dimension(0.01, 0.15, log=True),
        "rounds": Dimension(100, 800, step=50),
        # At 0.17 % fraud a table has few leaves' worth of frauds.
        "num_leaves": Dimension(4, 63, log=True),
        "min_child_samples": Dimension(5, 200, log=True),
        # What holds the leaves in check: see `Hyperparameters`.
        "min_sum_hessian_in_leaf": Dimension(0.3, 10, log=True),
        "lambda_l1": Dimension(0, 5),
        "lambda_l2": Dimension(0, 20),
        "feature_fraction": Dimension(0.2, 1),
        # Half of some hundred frauds is the least that a tree should see.
        "bagging_fraction": Dimension(0.5, 1),
        "cat_smooth": Dimension(1, 200, log=True),
        "seeds": Dimension(1, 3),
    }
    if not categories:
        del own["cat_smooth"]
    return Space(own, fixed)


def read_space(file: str, fixed: Hyperparameters) -> Space:
    """The space that a YAML file describes: for each name bounds, choices or one value.

    Raises:
        ParameterError: the file is none, or names what is no hyperparameter or out of bounds.
    """
    path = Path(file)
    if not path.is_file():
        raise ParameterError(f"space={file!r}: there is no such file.")
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{file} is no YAML file: {str(error).splitlines()[0]}.") from error
    if not isinstance(content, dict) or not content:
        raise ParameterError(
            f"{file}: expected hyperparameters by name, such as "
            "`num_leaves: {low: 4, high: 31, log: true}`."
        )
    dimensions: dict[str, Dimension] = {}
    for name, described in content.items():
        if name not in SEARCHED:
            raise ParameterError(f"{file}: {_unknown(str(name))}")
        dimension = _dimension(f"{file}: {name}", described)
        ends = dimension.choices or (dimension.low, dimension.high)
        for value in ends:
            if name in WHOLE and value != int(value):
                raise ParameterError(f"{file}: {name}: {value:g} is no whole number.")
            # Refuses what `train` would.
            _ = _changed(fixed, {name: value})
        if len(set(ends)) == 1:
            fixed = _changed(fixed, {name: ends[0]})
        else:
            dimensions[name] = dimension
    if not dimensions:
        raise ParameterError(f"{file} leaves nothing to search: it gives one value for each name.")
    return Space(dimensions, fixed)


def _dimension(place: str, described: object) -> Dimension:
    if _is_number(described):
        described = [described]
    if isinstance(described, list) and described and all(map(_is_number, described)):
        return Dimension(choices=tuple(dict.fromkeys(described)))
    wanted = "expected a number, a list of numbers, or {low: …, high: …, log: true, step: …}"
    if not isinstance(described, dict):
        raise ParameterError(f"{place} is {described!r}: {wanted}.")
    if unknown := set(described) - {"low", "high", "log", "step"}:
        words = ", ".join(sorted(repr(word) for word in unknown))
        raise ParameterError(f"{place} has {words}: {wanted}.")
    low, high, step = (described.get(key) for key in ("low", "high", "step"))
    log = described.get("log", False)
    numbers = _is_number(low) and _is_number(high) and (step is None or _is_number(step))
    if not numbers or not isinstance(log, bool):
        raise ParameterError(f"{place} is {described!r}: {wanted}.")
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if low > high:
        raise ParameterError(f"{place}: low={low:g} is above high={high:g}.")
    if log and (low <= 0 or step is not None):
        raise ParameterError(f"{place}: a logarithm needs low above 0, and has no step.")
    if step is not None and step <= 0:
        raise ParameterError(f"{place}: step={step:g} has to be above 0.")
    return Dimension(low, high, log, step)


def _changed(hyperparameters: Hyperparameters, values: Mapping[str, float]) -> Hyperparameters:
    typed: dict[str, Any] = {n: int(v) if n in WHOLE else float(v) for n, v in values.items()}
    return replace(hyperparameters, **typed)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unknown(name: str) -> str:
    if name in NOT_SEARCHED:
        return f"{name} cannot be searched. These can: {', '.join(SEARCHED)}."
    close = difflib.get_close_matches(name, SEARCHED, n=1)
    meant = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{name!r} is no hyperparameter{meant}. These can be searched: {', '.join(SEARCHED)}."
