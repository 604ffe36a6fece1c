"""Search for hyperparameters, and say whether they are better than the defaults.

example:
  mlflow run . -e tune --env-manager local -P data=data/creditcard.csv -P trials=50 -P minutes=30
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from dataclasses import fields

from entrypoints import train as training_report
from entrypoints.arguments import add_config, add_option, config_from, new_parser, parse
from fraud_model.tracking import open_run, rename_run
from fraud_model.tuning.config import TuningConfig
from fraud_model.tuning.requirement import require_optuna


def main() -> None:
    """Tunes, and says what came out and how to train with it."""
    parser = new_parser(__doc__)
    add_config(parser, hyperparameters=("seed",), without=("cluster",))
    for field in fields(TuningConfig):
        add_option(parser, field.name, field.default)
    arguments = parse(parser)
    config = config_from(arguments)
    asked = TuningConfig(**{f.name: getattr(arguments, f.name) for f in fields(TuningConfig)})
    require_optuna()
    # Here, because it imports Optuna.
    from fraud_model.tuning.pipeline import tune

    with open_run("tune", "tuning"):
        tuned = tune(config, asked)
        if tuned.outcome is not None:
            rename_run(f"study {tuned.study}: {tuned.outcome.verdict.standing}")
    if tuned.outcome is None:
        print(f"study {tuned.study}: another process is at a trial, and reports when it is done")
        return
    print(tuned.outcome.text())
    if tuned.registered is not None:
        training_report.report(tuned.registered)


if __name__ == "__main__":
    run_entry_point(main)
