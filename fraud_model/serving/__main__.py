"""`python -m fraud_model.serving`."""

import os

if __name__ == "__main__":
    # OpenMP's threads spin while they wait for work, and the event loop wants the core. The policy
    # is read when LightGBM is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

    from fraud_model.serving.cli import main

    main()
