"""What tuning needs that nothing else does."""

from __future__ import annotations

from importlib.util import find_spec

from fraud_model.errors import NotInstalled


def require_optuna() -> None:
    """Checks that Optuna is there, before a module that imports it is.

    Raises:
        NotInstalled: it is not; the message says how to install it.
    """
    if find_spec("optuna") is None:
        raise NotInstalled(
            "tuning needs Optuna, which is not installed in this environment. Install it with: "
            "pip install -r requirements-tune.txt"
        )
