"""What an import costs: chainrule beside NumPy (which it imports) and PyTorch, in fresh processes.

They take turns, the bytecode is cached, and each process times its own import: the interpreter's
start is no part of it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks._pairing import arguments, duration, with_torch, write

TARGET = 1.4  # times NumPy's
PROGRAM = "import time; begin = time.perf_counter(); import {}; print(time.perf_counter() - begin)"


def seconds(package: str) -> float:
    """One import in a process of its own."""
    program = PROGRAM.format(package)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env=environment,
        text=True,
    )
    return float(done.stdout)


def main() -> None:
    chosen = arguments("import_time", __doc__, blocks=21)
    packages = ["chainrule", "numpy", *(["torch"] if with_torch() else [])]
    load = os.getloadavg()[0]
    times: dict[str, list[float]] = {package: [] for package in packages}
    for turn in range(chosen.blocks + 1):  # the first of each writes the bytecode
        for package in packages[:: 1 if turn % 2 else -1]:
            times[package].append(seconds(package))
    rows: list[dict[str, Any]] = []
    for package, taken in times.items():
        ratios = sorted(a / b for a, b in zip(taken[1:], times["numpy"][1:], strict=True))
        rows.append(
            {
                "name": package,
                "seconds": statistics.median(taken[1:]),
                "fastest": min(taken[1:]),
                "ratio": statistics.median(ratios),
            }
        )
    table = Table(title="import", title_justify="left", title_style="bold")
    table.add_column("")
    for heading in ("median", "fastest", "ratio to NumPy"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["name"], duration(row["seconds"]), duration(row["fastest"]), f"{row['ratio']:.2f}"
        )
    console = Console()
    console.print(table)
    met = rows[0]["ratio"] <= TARGET
    verdict = f"target {TARGET}, {'met' if met else 'MISSED'}; load {load:.1f}"
    console.print(verdict, style="" if met else "bold red")
    result = {"blocks": chosen.blocks, "load": load, "target": TARGET, "met": met, "rows": rows}
    write("import_time", chosen.out, result)


if __name__ == "__main__":
    main()
