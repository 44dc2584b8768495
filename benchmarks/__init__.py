"""Measurements: `python -m benchmarks.NAME` prints a table and writes JSON into results/."""
