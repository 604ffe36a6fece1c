"""Report a failed workflow as an issue: the open one of its label gets a comment, or one is opened.

GITHUB_REPOSITORY and GITHUB_TOKEN, from the environment, say where and with which rights.

example:
  mlflow run . -e report_failure -P workflow=model-training
"""

from __future__ import annotations

from entrypoints.arguments import add_option, new_parser
from entrypoints.reporting import run_entry_point
from fraud_model.review.github import Repository


def main() -> None:
    """Opens or updates the issue."""
    parser = new_parser(__doc__)
    add_option(parser, "workflow", "model-training")
    arguments = parser.parse_args()
    repository = Repository.from_environment()
    name = arguments.workflow
    page = repository.complain(
        f"{name}-failed", f"{name} fails", f"{name} failed. Its log: {repository.run_url}"
    )
    print(f"{name} failed: {page}")


if __name__ == "__main__":
    run_entry_point(main)
