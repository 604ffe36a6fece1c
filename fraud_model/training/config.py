"""What a training run is asked to do: the training configuration and its hyperparameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from fraud_model.data.labels import LabelRule
from fraud_model.data.overrides import ColumnRules
from fraud_model.data.schema import DEFAULT_AMOUNT, DEFAULT_TARGET, DEFAULT_TIME
from fraud_model.errors import ParameterError
from fraud_model.evaluation.threshold import parse_policy, parse_risk_bounds
from fraud_model.registry import versions
from fraud_model.training.cluster.address import check_cluster


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of the booster, under LightGBM's own names where it has one.

    The defaults hold from 15,000 to 284,807 transactions at 0.17 % and at 2 % fraud;
    `benchmarks/recipes.py` compares them with their peers. Three differ from LightGBM's defaults:

    `min_sum_hessian_in_leaf` is 1 instead of 0.001. A leaf's value is the sum of its gradients
    over the sum of its hessians p (1 - p), and where all its transactions are scored as genuine
    that sum is next to nothing: the value, and with it the whole model, explodes.

    `feature_fraction` is 0.5 instead of 1: a fit takes two thirds of the time and ranks as well.

    `early_stopping_rounds` is 0, off. On some dozens of frauds the average precision jumps about,
    its first spike can be the highest, and stopping there keeps a model of a few trees; with the
    leaves held in check it still rises at the last round.

    `seeds` is how many boosters, of seed, seed + 1 and so on, are averaged. Five narrow the spread
    of average precision between seeds from 0.010 to 0.003, for five times the fit.
    """

    learning_rate: float = 0.05
    rounds: int = 400
    early_stopping_rounds: int = 0
    num_leaves: int = 31
    min_child_samples: int = 20
    min_sum_hessian_in_leaf: float = 1.0
    lambda_l1: float = 0.0
    lambda_l2: float = 0.0
    feature_fraction: float = 0.5
    bagging_fraction: float = 1.0
    cat_smooth: float = 10.0
    seed: int = 0
    seeds: int = 1

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[float, float]] = {
            "learning_rate": (1e-4, 1),
            "rounds": (1, 100_000),
            "early_stopping_rounds": (0, 100_000),
            "num_leaves": (2, 131_072),
            "min_child_samples": (1, 1_000_000),
            "min_sum_hessian_in_leaf": (0, 1e9),
            "lambda_l1": (0, 1e9),
            "lambda_l2": (0, 1e9),
            "feature_fraction": (0.01, 1),
            "bagging_fraction": (0.01, 1),
            "cat_smooth": (0, 1e9),
            "seed": (0, 2**31 - 1),
            "seeds": (1, 100),
        }
        for name, (low, high) in allowed.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParameterError(
                    f"{name}={value} is invalid: expected a number from {low:g} to {high:g}."
                )

    def lightgbm_parameters(self) -> dict[str, Any]:
        """What `lightgbm.train` takes as `params` for one booster; the rounds are apart."""
        parameters = asdict(self)
        for own in ("rounds", "early_stopping_rounds", "seeds"):
            del parameters[own]
        return {
            **parameters,
            # Without it LightGBM leaves the fraction aside.
            "bagging_freq": int(self.bagging_fraction < 1),
            "objective": "binary",
            # The same rows and seed give the same trees, whatever the number of cores.
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


@dataclass(frozen=True)
class TrainingConfig:
    """What a training run is asked to do; the fields are the entry point's parameters.

    Attributes:
        query: the SQL that selects the transactions, where `data` is a database.
        columns, exclude, include, fraud, missing, time_unit: how columns are read; see
            `ColumnRules`.
        refit: whether the model to serve learns from all rows, once it has been evaluated.
        label_delay: how late labels are, such as `7d`, or `0`.
        unlabelled: what an empty label means once older than that, `ignore` or `genuine`.
        fraud_rate: share of frauds in the traffic, where genuine transactions of the table were
            thinned; 0 for the table's own.
        risk_bounds: probabilities from which the risk is Medium and High, or `auto`.
        slices: names of columns by whose values the card slices the holdout, with commas between.
        cluster: the address of a Dask scheduler, or `local:N`; empty to fit in this process.
    """

    data: str = "auto"
    query: str = ""
    target: str = DEFAULT_TARGET
    time_column: str = DEFAULT_TIME
    amount_column: str = DEFAULT_AMOUNT
    fraud: str = ""
    columns: str = ""
    exclude: str = ""
    include: str = ""
    missing: str = "refuse"
    time_unit: str = "auto"
    split: str = "time"
    threshold: str = "f1"
    alert_budget: float = 100.0
    model_name: str = versions.DEFAULT_MODEL_NAME
    keep_holdout: bool = True
    refit: bool = True
    label_delay: str = "0"
    unlabelled: str = "ignore"
    fraud_rate: float = 0.0
    risk_bounds: str = "auto"
    slices: str = ""
    cluster: str = ""
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)

    def __post_init__(self) -> None:
        parse_policy(self.threshold)
        parse_risk_bounds(self.risk_bounds)
        _ = self.label_rule, self.column_rules
        versions.check_model_name(self.model_name)
        check_cluster(self.cluster)
        if self.cluster and self.hyperparameters.early_stopping_rounds:
            raise ParameterError(
                f"early_stopping_rounds={self.hyperparameters.early_stopping_rounds} is not "
                f"possible with cluster={self.cluster}: lightgbm.dask does not stop early. Choose "
                "the number of trees, -P rounds=, instead."
            )
        if not 0 <= self.fraud_rate < 1:
            raise ParameterError(
                f"fraud_rate={self.fraud_rate} is invalid: expected a share below 1, or 0 for the "
                "table's own."
            )
        if not self.alert_budget > 0:
            raise ParameterError(
                f"alert_budget={self.alert_budget} is invalid: expected more than 0 alerts a day."
            )

    @property
    def label_rule(self) -> LabelRule:
        """How late labels are, and what an empty one means."""
        return LabelRule.parse(self.label_delay, self.unlabelled)

    @property
    def column_rules(self) -> ColumnRules:
        """What is said of the table's columns."""
        return ColumnRules(
            file=self.columns,
            exclude=self.exclude,
            include=self.include,
            fraud=self.fraud,
            missing=self.missing,
            time_unit=self.time_unit,
        )
