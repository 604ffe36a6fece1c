"""What every entry point shares: a line at its start, one line per error, and the exit status."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType


def announce() -> None:
    """Says on stderr what is starting, before imports that take seconds.

    For the top of an entry point, above its other imports; this module imports nothing slow.
    """
    if not {"-h", "--help"} & set(sys.argv):
        print(f"{entry_point()}: loading MLflow and LightGBM …", file=sys.stderr)


def entry_point() -> str:
    """The name of the entry point that this process runs."""
    return Path(sys.argv[0]).stem


def run_entry_point(main: Callable[[], None]) -> None:
    """Calls `main`; a FraudModelError becomes `error: …` on stderr and exit status 1.

    What MLflow, a database or the disk says is one line too: a token without rights, a disk that is
    full. A termination signal unwinds like an exception, so that the active run ends FAILED instead
    of staying RUNNING.
    """
    # Here, because `announce` has to come before them.
    from fraud_model.errors import FraudModelError
    from fraud_model.stores import failure_of

    signal.signal(signal.SIGTERM, _terminate)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A line is seen when it is printed, in a pipe too.
        sys.stdout.reconfigure(line_buffering=True)
    try:
        main()
    except FraudModelError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        sys.exit(f"error: {failure}")


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
