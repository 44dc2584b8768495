"""Pairwise timing: contenders take turns, block by block, on a machine that may be busy.

Each contender lives in a process of its own, so that neither's idle threads spin on the other's
cores, and all of them get the same threads, the same data and the same initial weights. A block is
a number of steps. Blocks go A B, B A, A B, ...: whatever slows the machine meets both neighbours,
and the ratio of two neighbours says more than either time. The medians count, and the first block
of each, the warm-up, does not. The losses after it must agree; the last ones, which are shown, may
have drifted apart by then, for rounding grows with every step.

A script names its contenders: functions of its own that take the options, get everything ready and
return a block, which is a function that runs the steps and returns the last loss.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Block = Callable[[], float]
Options = dict[str, Any]

RESULTS = Path("build/benchmarks")
PAUSE = 0.05  # seconds between blocks: idle threads spin for a moment before they sleep


@dataclass(frozen=True)
class Comparison:
    """One workload and who runs it.

    Attributes:
        title: what is measured.
        ours: names for the table, each with the script's function behind it.
        peers: likewise; all of them need PyTorch. Ratios are to the fastest.
        steps: how many steps a block has.
        target: the largest ratio that is good enough; None for a measurement without one.
        bound: who has to meet the target; by default the first of ours.
        tolerance: how far the losses may be apart after the first block, relative to their size.
    """

    title: str
    ours: Mapping[str, str]
    peers: Mapping[str, str]
    steps: int
    target: float | None = None
    bound: str | None = None
    tolerance: float = 1e-3
    options: Options = field(default_factory=dict)


class Contender:
    """A process that runs one block whenever it is told to."""

    def __init__(self, script: str, function: str, options: Options) -> None:
        self.function = function
        threads = str(options["threads"])
        numbers = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._pairing", script, function, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **dict.fromkeys(numbers, threads)},
        )
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def run(self, steps: int) -> None:
        """One block; its time by the step, and its last loss."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SystemExit(f"{self.function} died: its error is above")
        taken, loss = json.loads(line)
        self.seconds.append(taken / steps)
        self.losses.append(loss)

    def close(self) -> None:
        """Let it go."""
        self.process.kill()  # it waits for a line, and has nothing to lose
        self.process.communicate()


def serve(script: str, function: str, options: Options) -> None:
    """What a contender's process does: get ready, then a block for each line that comes in."""
    block: Block = getattr(importlib.import_module(f"benchmarks.{script}"), function)(options)
    for _ in sys.stdin:
        time.sleep(PAUSE)
        begin = time.perf_counter()
        loss = block()
        print(json.dumps([time.perf_counter() - begin, loss]), flush=True)


def arguments(script: str, doc: str | None, blocks: int = 9) -> argparse.Namespace:
    """The options that every script has."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{script}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--blocks", type=int, default=blocks, help=f"timed blocks ({blocks})")
    parser.add_argument("--threads", type=int, default=2, help="threads for each contender (2)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"folder for JSON ({RESULTS})")
    return parser.parse_args()


def compare(
    script: str, doc: str | None, comparisons: Sequence[Comparison], blocks: int = 9
) -> None:
    """Run a script's comparisons, print a table for each, and write them all as JSON."""
    chosen = arguments(script, doc, blocks)
    results = [_one(script, each, chosen.blocks, chosen.threads) for each in comparisons]
    write(script, chosen.out, {"threads": chosen.threads, "comparisons": results})


def with_torch() -> bool:
    """Whether PyTorch is here; where it is not, that is said once by whoever asks."""
    return find_spec("torch") is not None


def _one(script: str, what: Comparison, blocks: int, threads: int) -> dict[str, Any]:
    options = {"threads": threads, "steps": what.steps, **what.options}
    names = {**what.ours, **(what.peers if with_torch() else {})}
    contenders = {name: Contender(script, each, options) for name, each in names.items()}
    load = os.getloadavg()[0]
    try:
        for turn in range(blocks + 1):
            for each in list(contenders.values())[:: 1 if turn % 2 else -1]:
                each.run(what.steps)
    finally:
        for each in contenders.values():
            each.close()
    times = {name: each.seconds[1:] for name, each in contenders.items()}
    peers = [name for name in what.peers if name in times]
    best = min(peers, key=lambda name: statistics.median(times[name]), default=None)
    rows = [
        _row(name, times, {n: c.losses[-1] for n, c in contenders.items()}, best)
        for name in contenders
    ]
    bound = what.bound or next(iter(what.ours))
    result: dict[str, Any] = {
        "title": what.title,
        "steps_per_block": what.steps,
        "blocks": blocks,
        "load": load,
        "rows": rows,
        "peer": best,
    }
    if best is not None:
        ratio = next(row["ratio"] for row in rows if row["name"] == bound)
        losses = [each.losses[0] for each in contenders.values()]
        result["losses_agree"] = all(
            math.isclose(loss, losses[0], rel_tol=what.tolerance, abs_tol=1e-6) for loss in losses
        )
        if what.target is not None:
            result |= {"target": what.target, "bound": bound, "met": ratio <= what.target}
    _show(what, result)
    return result


def _row(
    name: str, times: Mapping[str, list[float]], losses: Mapping[str, float], best: str | None
) -> dict[str, Any]:
    mine = times[name]
    row: dict[str, Any] = {
        "name": name,
        "seconds_per_step": statistics.median(mine),
        "fastest": min(mine),
        "loss": losses[name],
        "blocks": mine,
    }
    if best is not None:
        ratios = sorted(a / b for a, b in zip(mine, times[best], strict=True))
        row |= {"ratio": statistics.median(ratios), "ratios": ratios}
    return row


def _show(what: Comparison, result: Mapping[str, Any]) -> None:
    table = Table(title=what.title, title_justify="left", title_style="bold")
    table.add_column("")
    for heading in ("median", "fastest", "ratio", "quartiles", "last loss"):
        table.add_column(heading, justify="right")
    for row in result["rows"]:
        ratios = row.get("ratios", [])
        middle = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else []
        table.add_row(
            row["name"],
            duration(row["seconds_per_step"]),
            duration(row["fastest"]),
            f"{row['ratio']:.2f}" if ratios else "-",
            f"{middle[0]:.2f} - {middle[2]:.2f}" if middle else "-",
            f"{row['loss']:.6g}",
        )
    console = Console()
    console.print(table)
    peer = result["peer"]
    if peer is None:
        console.print(
            "PyTorch is not installed (`make parity` does it): no ratios.", style="yellow"
        )
        return
    notes = f"ratios to {peer}, block by block; load {result['load']:.1f}"
    if "target" in result:
        verdict = "met" if result["met"] else "MISSED"
        notes += f"; target for {result['bound']}: {result['target']}, {verdict}"
    console.print(notes, style="" if result.get("met", True) else "bold red")
    if not result["losses_agree"]:
        console.print("The losses DIFFER: this is no comparison.", style="bold red")


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds * 1e6:.4g} us"


def write(script: str, folder: Path, result: Mapping[str, Any]) -> None:
    """`folder/script.json`: the result, and where it was taken."""
    folder.mkdir(parents=True, exist_ok=True)
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in ("chainrule", "numpy", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    machine = {"processor": platform.machine(), "cores": len(os.sched_getaffinity(0))}
    text = json.dumps({"benchmark": script, **result, "machine": machine, "versions": versions})
    path = folder / f"{script}.json"
    path.write_text(text + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
