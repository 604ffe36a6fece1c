"""Report a failed workflow as a GitHub issue: comment on the open one, or open one.

The environment variables GITHUB_REPOSITORY and GITHUB_TOKEN name the repository and hold the token.

example:
  mlflow run . -e report_failure --env-manager local -P workflow=model-training
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from entrypoints.arguments import add_option, new_parser, parse
from fraud_model.review.github import Repository
from fraud_model.tracking import name_run


def main() -> None:
    """Opens or updates the issue."""
    parser = new_parser(__doc__)
    add_option(parser, "workflow", "model-training")
    arguments = parse(parser)
    repository = Repository.from_environment()
    name = arguments.workflow
    name_run(f"report failure of {name}")
    page = repository.complain(
        f"{name}-failed", f"{name} fails", f"{name} failed. Its log: {repository.run_url}"
    )
    print(f"{name} failed: {page}")


if __name__ == "__main__":
    run_entry_point(main)
