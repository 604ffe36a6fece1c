"""Health, metrics, audit and a page around MLflow's scoring server.

What parses, scores and answers `/invocations` is `mlflow.pyfunc.scoring_server.invocations`.
"""
