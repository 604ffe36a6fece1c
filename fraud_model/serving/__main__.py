"""`python -m fraud_model.serving`."""

import os
import sys

if __name__ == "__main__":
    # OpenMP's threads would spin while they wait for work, on cores that the event loop needs.
    # LightGBM reads the policy when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

    print("INFO:     importing MLflow and LightGBM", file=sys.stderr, flush=True)

    from fraud_model.serving.cli import main

    main()
