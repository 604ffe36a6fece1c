"""Download the real transactions (the ULB credit card data), checked by size and SHA-256.

The mirror needs no account; kaggle needs KAGGLE_USERNAME and KAGGLE_KEY. Run the command again to
resume an interrupted transfer. KAGGLE_API_ENDPOINT, as in Kaggle's own client, names another host
for its API.

example:
  mlflow run . -e download --env-manager local -P source=kaggle
"""

from __future__ import annotations

from entrypoints.reporting import announce, run_entry_point

if __name__ == "__main__":
    announce()

from pathlib import Path

from entrypoints.arguments import add_option, new_parser, parse
from fraud_model.commands import mlflow_run
from fraud_model.data.download import download_creditcard, parse_source
from fraud_model.data.sources import DEFAULT_FILE
from fraud_model.tracking import name_run


def main() -> None:
    """Downloads, and says what to do next."""
    parser = new_parser(__doc__)
    add_option(parser, "source", "mirror")
    add_option(parser, "output", str(DEFAULT_FILE))
    arguments = parse(parser)
    source = parse_source(arguments.source)
    name_run(f"download from {source}")
    path = download_creditcard(Path(arguments.output), source)
    print(f"{path}: {path.stat().st_size:,} bytes, checksum correct")
    print(f"next: {mlflow_run('train', data=path)}")


if __name__ == "__main__":
    run_entry_point(main)
