"""Compare a version with the champion: gate, metrics and curves, as Markdown, JSON and a plot.

The champion is the version in a stage of the registry, or an exported directory. The challenger's
run is written beside the comparison, without its transactions. If the challenger is better, the
files of a pull request are written to `proposal`. `log` is the champion's audit log, written while
the challenger was its shadow; both are then compared on live traffic too. In a GitHub Actions
workflow the Markdown is added to the job summary, and the step's output `better` is true or false.

example:
  mlflow run . -e compare --env-manager local -P version=latest -P champion_dir=model
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from pathlib import Path

from entrypoints.arguments import (
    add_option,
    add_thresholds,
    new_parser,
    parse,
    parse_champion,
    thresholds_from,
)
from fraud_model.data.labels import LabelRule
from fraud_model.monitoring.shadow_comparison import compare_live
from fraud_model.monitoring.target import open_traffic, resolve
from fraud_model.registry import versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.gate import Opponents
from fraud_model.registry.recovery import tell_unfinished
from fraud_model.review import github
from fraud_model.review.comparison import compare, markdown, write_comparison
from fraud_model.review.pull_request import prepare
from fraud_model.review.run_export import write_run
from fraud_model.stores import reach_store
from fraud_model.tracking import name_run


def main() -> None:
    """Compares, writes and prints; a worse challenger is not a failure."""
    parser = new_parser(__doc__)
    add_option(parser, "version", "latest")
    add_option(parser, "stage", "Production")
    add_option(parser, "model_name", versions.DEFAULT_MODEL_NAME)
    add_option(parser, "champion", "stage")
    add_option(parser, "champion_dir", "")
    add_option(parser, "comparison", "comparison")
    add_option(parser, "proposal", "")
    add_option(parser, "log", "")
    add_option(parser, "labels", "")
    add_option(parser, "fraud", "")
    add_option(parser, "label_delay", "0")
    add_option(parser, "unlabelled", "ignore")
    add_thresholds(parser)
    arguments = parse(parser)
    stage, compared = versions.parse_stage(arguments.stage), parse_champion(arguments.champion)
    rule = LabelRule.parse(arguments.label_delay, arguments.unlabelled)
    reach_store()
    name_run(f"compare {arguments.model_name} {arguments.version}")
    thresholds = thresholds_from(arguments)
    challenger = versions.find_version(arguments.model_name, arguments.version)
    print(f"comparing {challenger.name} version {challenger.version} with the champion")
    if arguments.champion_dir:
        opponents = Opponents(Candidate.exported(Path(arguments.champion_dir)), (), compared)
    else:
        tell_unfinished(arguments.model_name)
        current = versions.current_version(arguments.model_name, stage)
        opponents = Opponents.in_stage(current, challenger, stage, compared)
    live = None
    if arguments.log:
        with resolve(arguments.model_name, stage, arguments.champion_dir) as monitored:
            traffic, labels = open_traffic(
                monitored, arguments.log, arguments.labels, arguments.fraud
            )
            budget = thresholds.alert_budget
            live = compare_live(traffic, labels, str(challenger.version), budget, rule)
    comparison = compare(challenger, opponents, thresholds, live)
    write_comparison(comparison, Path(arguments.comparison))
    write_run(challenger.run_id, Path(arguments.comparison) / "run")
    if arguments.proposal and comparison.better:
        prepare(challenger, comparison, Path(arguments.proposal))
    github.add_summary(markdown(comparison))
    github.set_output("better", str(comparison.better).lower())
    print(markdown(comparison))


if __name__ == "__main__":
    run_entry_point(main)
