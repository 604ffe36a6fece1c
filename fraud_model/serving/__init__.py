"""Serves a model version: MLflow's scoring server with health, metrics, an audit log and a page.

MLflow's own function parses, scores and encodes requests to `/invocations`, with one exception: a
plain request to a version that announces the scoring protocol is read here and scored by the
version's own code, and MLflow's encoder writes the answer. At every start the version's known rows
have to get the same answer on both routes.
"""
