"""Fetch the real transactions (the ULB credit-card set), checked by size and SHA-256.

The mirror needs no account; kaggle needs KAGGLE_USERNAME and KAGGLE_KEY. A broken transfer goes on
from where it stopped when the command is run again. KAGGLE_API_ENDPOINT, as in Kaggle's own
client, names another host for its API.

example:
  mlflow run . -e download -P source=kaggle
"""

from __future__ import annotations

from pathlib import Path

from entrypoints.arguments import add_option, new_parser
from entrypoints.reporting import run_entry_point
from fraud_model.data.dataset import DEFAULT_FILE
from fraud_model.data.download import download_creditcard, parse_source


def main() -> None:
    """Downloads, and says what to do next."""
    parser = new_parser(__doc__)
    add_option(parser, "source", "mirror")
    add_option(parser, "output", str(DEFAULT_FILE))
    arguments = parser.parse_args()
    path = download_creditcard(Path(arguments.output), parse_source(arguments.source))
    print(f"{path}: {path.stat().st_size:,} bytes, checksum right")
    print(f"next: mlflow run . -e train -P data={path}")


if __name__ == "__main__":
    run_entry_point(main)
