"""Measurements: `python -m benchmarks.NAME` prints a table, writes build/benchmarks/NAME.json."""
