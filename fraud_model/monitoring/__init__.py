"""Watches served transactions: drift, performance with late labels, champion against shadow."""
