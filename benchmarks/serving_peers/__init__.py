"""The servers that benchmarks/serving.py compares, one file each, and the client it uses."""
