"""Scores a table of any size in batches, to parts that a rerun goes on from."""
