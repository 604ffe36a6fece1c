"""Propose a better version: push a branch with the exported model, and open its pull config.

The branch is always the same, and so is its pull config: a later proposal replaces an earlier one.
GITHUB_REPOSITORY and GITHUB_TOKEN, from the environment, say where and with which rights.

example:
  mlflow run . -e compare -P proposal=proposal && mlflow run . -e propose -P proposal=proposal
"""

from __future__ import annotations

from pathlib import Path

from entrypoints.arguments import add_option, new_parser
from entrypoints.reporting import run_entry_point
from fraud_model.review.github import Repository
from fraud_model.review.pull_request import publish


def main() -> None:
    """Pushes, and opens or updates the pull config."""
    parser = new_parser(__doc__)
    add_option(parser, "proposal", "proposal")
    arguments = parser.parse_args()
    proposal = Path(arguments.proposal)
    title, page = publish(proposal, Path.cwd(), Repository.from_environment())
    print(f"{title}: {page}")


if __name__ == "__main__":
    run_entry_point(main)
