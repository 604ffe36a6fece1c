"""The project's server with metrics that record nothing, to measure what recording costs."""

from __future__ import annotations

import os
from unittest.mock import patch


def _nothing(*_: object) -> None:
    pass


if __name__ == "__main__":
    # As the server itself does, before LightGBM is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

    from fraud_model.serving.cli import main
    from fraud_model.serving.prometheus import Metrics

    with patch.multiple(Metrics, begin=_nothing, end=_nothing, scored=_nothing):
        main()
