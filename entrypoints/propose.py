"""Propose a better version: push a branch with the exported model, and open a pull request.

There is one branch and one pull request: a later proposal replaces an earlier one. The environment
variables GITHUB_REPOSITORY and GITHUB_TOKEN name the repository and hold the token.

example:
  mlflow run . -e compare --env-manager local -P proposal=proposal
  mlflow run . -e propose --env-manager local -P proposal=proposal
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from pathlib import Path

from entrypoints.arguments import add_option, new_parser, parse
from fraud_model.review.github import Repository
from fraud_model.review.pull_request import publish
from fraud_model.tracking import name_run


def main() -> None:
    """Pushes, and opens or updates the pull request."""
    parser = new_parser(__doc__)
    add_option(parser, "proposal", "proposal")
    arguments = parse(parser)
    proposal = Path(arguments.proposal)
    name_run("propose")
    title, page = publish(proposal, Path.cwd(), Repository.from_environment())
    print(f"{title}: {page}")


if __name__ == "__main__":
    run_entry_point(main)
