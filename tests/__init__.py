"""One test module per module of the package, and whole journeys."""

import os

# OpenMP's threads wait for each other by spinning: where other processes want the same cores, a fit
# of a second takes a minute. The tables here are small enough for one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# `mlflow run . -e test` hands its own run and experiment down; the tests open runs of their own.
for inherited in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
    os.environ.pop(inherited, None)
