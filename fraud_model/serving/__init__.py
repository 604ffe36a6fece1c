"""Serves a model version with health, metrics, an audit log and a page around MLflow's scoring server.

MLflow's own function parses, scores and encodes every request to `/invocations`, with one exception:
a plain request to a version that announces the scoring protocol. That one is read here, scored by
the version's own code, and only encoded by MLflow's function. At every start the version's known
rows have to get the same answer on both routes.
"""
