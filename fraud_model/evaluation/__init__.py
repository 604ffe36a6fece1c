"""How good a detector is: metrics, intervals, thresholds, plots and the holdout."""
