"""What came of a study, in words, and the command that trains with its best hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from fraud_model.commands import mlflow_run
from fraud_model.evaluation.intervals import Interval
from fraud_model.training.config import Hyperparameters, TrainingConfig
from fraud_model.tuning.verdict import Gain, Verdict


@dataclass(frozen=True)
class Outcome:
    """The winner of a study beside the defaults.

    `trials`, `complete`, `pruned` and `failed` are counts of the whole study. `winner` is the
    number of the best trial, and `times_measured` how many winners of this study the holdout has
    measured.
    """

    study: str
    complete: int
    pruned: int
    failed: int
    winner: int
    config: TrainingConfig
    verdict: Verdict
    times_measured: int

    @property
    def command(self) -> str:
        """What trains with the winner's hyperparameters."""
        return mlflow_run("train", **train_parameters(self.config))

    def text(self) -> str:
        """Some lines for people."""
        verdict, standing = self.verdict, self.verdict.standing
        lines = [
            f"study {self.study}: {self.complete} complete trials, {self.pruned} pruned, "
            f"{self.failed} cut off; the best is trial {self.winner}",
            _line("folds that it was chosen by, too good", verdict.on_folds),
            _line("folds that a trial was not chosen by", verdict.elsewhere),
            _line("holdout", verdict.on_holdout),
            _SAYS[standing],
        ]
        if self.times_measured > 1:
            lines.append(
                f"The holdout has measured {self.times_measured} winners of this study: the more "
                "often it is asked, the less its interval holds."
            )
        lines += ["train with the best hyperparameters:", f"  {self.command}"]
        if standing != "better":
            defaults = train_parameters(default_of(self.config))
            lines += ["train with the defaults:", f"  {mlflow_run('train', **defaults)}"]
        return "\n".join(lines)


_SAYS = {
    "better": "Tuned is better than the defaults: the tuned hyperparameters are recommended.",
    "not distinguishable": (
        "Tuned is not distinguishable from the defaults: the defaults are recommended."
    ),
    "worse": "Tuned is worse than the defaults: the defaults are recommended.",
}


def default_of(config: TrainingConfig) -> TrainingConfig:
    """The same training with the default hyperparameters, of the same seed."""
    return replace(config, hyperparameters=Hyperparameters(seed=config.hyperparameters.seed))


def train_parameters(config: TrainingConfig) -> dict[str, str]:
    """What `train` has to be given for a configuration, without what is its default anyway."""
    given: dict[str, str] = {}
    for known, own in ((TrainingConfig(), config), (Hyperparameters(), config.hyperparameters)):
        for field in fields(own):
            value = getattr(own, field.name)
            if field.name != "hyperparameters" and value != getattr(known, field.name):
                given[field.name] = _spelled(value)
    return given


def shown(interval: Interval) -> str:
    """A difference with its interval."""
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _line(where: str, gain: Gain) -> str:
    return (
        f"  {where}: average precision {gain.tuned:.4f} tuned, {gain.default:.4f} default, "
        f"difference {shown(gain.difference)}"
    )


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)
