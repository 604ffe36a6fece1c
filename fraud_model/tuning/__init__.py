"""Searches for hyperparameters, and says whether that paid."""
