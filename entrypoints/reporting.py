"""What every entry point shares: one readable line for a refusal, and its exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from mlflow.exceptions import MlflowException

from fraud_model.errors import FraudModelError


def run_entry_point(main: Callable[[], None]) -> None:
    """Calls `main`; a FraudModelError becomes `error: …` on stderr and exit status 1.

    A termination signal unwinds like an exception, so that the active run ends FAILED instead of
    staying RUNNING. What MLflow refuses (a store that cannot be reached, say) is one line too.
    """
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        main()
    except FraudModelError as error:
        sys.exit(f"error: {error}")
    except MlflowException as error:
        sys.exit(f"error: MLflow: {str(error).splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
