"""Whole training steps as machine code, against PyTorch, JAX and scikit-learn in their best forms.

    python -m benchmarks.compiled                      every workload
    python -m benchmarks.compiled --only lenet mlp     some of them
    python -m benchmarks.compiled --quick              a look: few and short blocks
    python -m benchmarks.compiled --compile-time       the LeNet step's compilation, cold and warm
    python -m benchmarks.compiled --memory             the LeNet run's peak memory

All take the same weights, batches and threads; every form is a process of its own, and they take
turns block by block (see `_pairing`). Of each library the form that is fastest by its median
counts, and a ratio is the median over turns. Shares refer to the peak of fused multiply-adds that
is measured between the workloads (`chainrule.compile.peak`); FLOPs are those of matrix products and
convolutions (`_compiled_workloads.flops`).
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import _compiled_costs as costs
from benchmarks import _compiled_ours as ours
from benchmarks import _peers_jax as peers_jax
from benchmarks import _peers_sklearn as digits
from benchmarks import _peers_torch as peers_torch
from benchmarks._compiled_workloads import BY_NAME, WORKLOADS, Workload, flops, has_mnist
from benchmarks._pairing import RESULTS, Contender, Options, duration, write

OURS, TORCH, JAX, SKLEARN = "chainrule", "PyTorch", "JAX", "scikit-learn"
SCALAR_STEPS = 2000
WIDTH = 110  # of the tables, at least: in files too
HOPELESS = 2.5  # a form so many times slower than its library's best runs one block only
BUSY = 0.7  # the load at the start that spoils a comparison
QUICK = 10  # how many times shorter quick blocks are


@dataclass(frozen=True)
class Form:
    """One way to run a workload: whose it is, and the function that gives its block.

    Attributes:
        counts: whether it may be its library's best; the others are shown for information.
    """

    library: str
    script: str
    function: str
    options: Options = field(default_factory=dict)
    counts: bool = True


@dataclass(frozen=True)
class Row:
    """One line of the final table: a workload, everybody's forms, and what is asked."""

    name: str
    title: str
    steps: int
    forms: Mapping[str, Form]
    asked: Mapping[str, float]
    flops: int = 0
    share: float | None = None
    tolerance: float = 1e-3


def rows(quick: bool) -> list[Row]:
    """All that is measured, in the order of the table."""
    made = [_workload(each, quick) for each in WORKLOADS]
    functions = {
        "chainrule": Form(OURS, "_compiled_ours", "fit"),
        "scikit-learn": Form(SKLEARN, "_peers_sklearn", "fit"),
        "scikit-learn, 1 thread": Form(SKLEARN, "_peers_sklearn", "fit", {"alone": True}),
    }
    title = "digits 64-100-10, batch 200, Adam, a fit of 100 epochs"
    asked = {SKLEARN: 5.0}
    made.append(Row("digits", title, digits.steps(), functions, asked, tolerance=0.02))
    functions = {
        "chainrule": Form(OURS, "_compiled_ours", "scalar"),
        "PyTorch eager": Form(TORCH, "_peers_torch", "scalar"),
        "torch.compile": Form(TORCH, "_peers_torch", "scalar", {"compiled": "default"}),
        "torch.compile, func.grad": Form(TORCH, "_peers_torch", "scalar_functional"),
        "JAX jit": Form(JAX, "_peers_jax", "scalar"),
    }
    asked = {TORCH: 15.0, JAX: 4.0}
    steps = SCALAR_STEPS // (QUICK if quick else 1)
    made.append(Row("scalar", "gradient of (x + y) z on scalars", steps, functions, asked))
    return made


def _workload(what: Workload, quick: bool) -> Row:
    forms: dict[str, Form] = {}
    for library, module in ((OURS, ours), (TORCH, peers_torch), (JAX, peers_jax)):
        for name, options in module.forms(what).items():
            many = bool(options.get("over") or options.get("scan"))
            script = module.__name__.rpartition(".")[2]
            options = {"workload": what.name, **options}
            counts = not (many and what.step_a_call)
            forms[name] = Form(library, script, "train", options, counts)
    return Row(
        what.name,
        what.title,
        max(2, what.steps // QUICK) if quick else what.steps,
        forms,
        {TORCH: what.torch, JAX: what.jax},
        flops(what),
        what.share,
        what.tolerance,
    )


def libraries(without: Iterable[str]) -> dict[str, str]:
    """Why a library is left out, by its name; nothing for those that are here."""
    missing: dict[str, str] = dict.fromkeys(without, "as told")
    for name, package in ((TORCH, "torch"), (JAX, "jax"), (SKLEARN, "sklearn")):
        if name not in missing and find_spec(package) is None:
            missing[name] = "not installed: pip install -e '.[benchmarks]'"
    import chainrule

    if not callable(getattr(chainrule, "compile", None)):
        missing[OURS] = "there is no chainrule.compile yet"
    return missing


@dataclass(frozen=True)
class Timing:
    """What one form did: seconds a step and the last loss, for each block after the warm-up."""

    form: Form
    seconds: Sequence[float]
    losses: Sequence[float]

    @property
    def median(self) -> float:
        """Of the blocks."""
        return statistics.median(self.seconds)


def time_row(row: Row, missing: Mapping[str, str], blocks: int, threads: int) -> dict[str, Timing]:
    """The forms in turns, the first of which is a warm-up; a form that dies is left out."""
    common = {"threads": threads, "steps": row.steps}
    running = {
        name: Contender(form.script, form.function, {**common, **form.options})
        for name, form in row.forms.items()
        if form.library not in missing
    }
    started, racing = list(running.values()), list(running)
    try:
        for turn in range(blocks + 1):
            for name in racing[:: 1 if turn % 2 else -1]:
                try:
                    running[name].run(row.steps)
                except SystemExit:
                    print(f"{row.name}: {name} died, and is left out; its error is above")
                    del running[name]
            if turn == 1:
                racing = _still_racing(row, running)
            racing = [name for name in racing if name in running]
    finally:
        for each in started:
            each.close()
    return {
        name: Timing(row.forms[name], each.seconds[1:], each.losses)
        for name, each in running.items()
    }


def _still_racing(row: Row, running: Mapping[str, Contender]) -> list[str]:
    """Those that may yet be their library's best: XLA's loops slow convolutions down 20 times."""
    best: dict[str, float] = {}
    for name, each in running.items():
        form = row.forms[name]
        if form.counts:
            best[form.library] = min(best.get(form.library, math.inf), each.seconds[1])
    return [
        name
        for name, each in running.items()
        if each.seconds[1] <= HOPELESS * best.get(row.forms[name].library, math.inf)
    ]


def judge(row: Row, timings: Mapping[str, Timing], peak: float | None) -> dict[str, Any]:
    """How many times faster the best of ours is than each library's best; our share of peak."""
    agreed = agreeing(row, timings)
    best = {
        library: min(counted, key=lambda name: timings[name].median)
        for library in (OURS, *row.asked)
        if (counted := [n for n in agreed if timings[n].form.library == library])
    }
    result: dict[str, Any] = {"name": row.name, "title": row.title, "best": best}
    result["flops"], result["ratios"], result["asked"] = row.flops, {}, dict(row.asked)
    result["forms"] = {
        name: {"seconds_per_step": each.median, "blocks": each.seconds, "losses": each.losses}
        for name, each in timings.items()
    }
    result["other_losses"] = [name for name in timings if _differs(row, timings, name)]
    if OURS in best:
        mine = timings[best[OURS]]
        for library in best.keys() - {OURS}:
            theirs = timings[best[library]]
            ratios = [b / a for a, b in zip(mine.seconds, theirs.seconds, strict=True)]
            result["ratios"][library] = statistics.median(ratios)
        if peak is not None and row.share is not None:
            result |= {"share": row.flops / mine.median / peak, "asked_share": row.share}
    return result


def agreeing(row: Row, timings: Mapping[str, Timing]) -> list[str]:
    """The forms that may be their library's best: their losses are those of the others."""
    return [n for n, each in timings.items() if each.form.counts and not _differs(row, timings, n)]


def _differs(row: Row, timings: Mapping[str, Timing], name: str) -> bool:
    """Whether a form's loss after its first block is another than that of most."""
    most = statistics.median_low([each.losses[0] for each in timings.values()])
    return not math.isclose(timings[name].losses[0], most, rel_tol=row.tolerance, abs_tol=1e-5)


def show(
    console: Console,
    row: Row,
    timings: Mapping[str, Timing],
    result: Mapping[str, Any],
    peak: float | None,
) -> None:
    """A table of all forms of one workload."""
    table = Table(title=row.title, title_justify="left", title_style="bold")
    table.add_column("")
    for heading in ("median", "fastest", "GFLOP/s", "of peak", "we are faster", "loss", "last"):
        table.add_column(heading, justify="right")
    mine = timings.get(result["best"].get(OURS, ""))
    for name, each in timings.items():
        rate = row.flops / each.median
        faster = (b / a for a, b in zip(mine.seconds, each.seconds)) if mine else ()
        best = name in result["best"].values()
        table.add_row(
            f"{name} *" if best else name if each.form.counts else f"({name})",
            duration(each.median),
            duration(min(each.seconds)),
            f"{rate / 1e9:.1f}" if row.flops else "-",
            f"{rate / peak:.0%}" if row.flops and peak else "-",
            f"{statistics.median(faster):.2f} x" if mine and each is not mine else "-",
            f"{each.losses[0]:.5g}",
            f"{each.losses[-1]:.5g}",
        )
    console.print(table)
    for name in result["other_losses"]:
        said = f"{name} has ANOTHER LOSS after the first block: it is no comparison."
        console.print(said, style="bold red")


def summary(console: Console, results: Sequence[Mapping[str, Any]]) -> None:
    """Every workload's ratios and share beside what is asked."""
    table = Table(title="times faster than the best of each (asked)", title_justify="left")
    table.add_column("")
    for heading in (TORCH, JAX, SKLEARN, "share of peak"):
        table.add_column(heading, justify="right")
    for each in results:
        cells = [
            _verdict(each["ratios"].get(library), each["asked"].get(library), "{:.2f} x")
            for library in (TORCH, JAX, SKLEARN)
        ]
        share = _verdict(each.get("share"), each.get("asked_share"), "{:.0%}")
        table.add_row(each["title"], *cells, share)
    console.print(table)


def _verdict(value: float | None, asked: float | None, pattern: str) -> str:
    if value is None or asked is None:
        return "-"
    word, colour = ("ok", "green") if value >= asked else ("missed", "red")
    return f"{pattern.format(value)} ({pattern.format(asked)}) [{colour}]{word}[/]"


def _peak(threads: int, before: float | None) -> float | None:
    """The best peak so far; None without llvmlite."""
    if find_spec("llvmlite") is None:
        return None
    from chainrule.compile.peak import Peak
    from chainrule.compile.target import host_target

    return max(before or 0.0, Peak(host_target()).measure(threads))


def compare(chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure the chosen rows, print their tables and the summary."""
    console = Console(width=max(WIDTH, Console().width))
    missing = libraries([JAX] if chosen.no_jax else [])
    for library, why in missing.items():
        console.print(f"{library} is left out: {why}.", style="yellow", highlight=False)
    digits_from = "real MNIST" if has_mnist() else "drawn digits: there is no MNIST here"
    console.print(f"Pictures are {digits_from}.", highlight=False)
    load = os.getloadavg()[0]
    if load > BUSY:
        said = (
            f"The load is {load:.1f}: others are at work. The peers' threads spin while they wait"
        )
        console.print(f"{said}, and lose most by it: ratios on 2 threads say little.", style="red")
    peak, results = _peak(chosen.threads, None), []
    for row in rows(chosen.quick):
        if chosen.only and row.name not in chosen.only:
            continue
        timings = time_row(row, missing, 2 if chosen.quick else chosen.blocks, chosen.threads)
        if not timings:
            continue
        peak = _peak(chosen.threads, peak)
        results.append(judge(row, timings, peak))
        show(console, row, timings, results[-1], peak)
    summary(console, results)
    if peak is not None:
        on = f"{chosen.threads} thread{'s' * (chosen.threads > 1)}"
        console.print(f"Peak: {peak / 1e9:.1f} GFLOP/s of fused multiply-adds on {on}.")
    return {"threads": chosen.threads, "load": load, "peak": peak, "rows": results}


def main() -> None:
    names = [*BY_NAME, "digits", "scalar"]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compiled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--blocks", type=int, default=7, help="timed blocks (7)")
    parser.add_argument("--threads", type=int, default=2, help="threads for each contender (2)")
    parser.add_argument("--no-jax", action="store_true", help="leave JAX out")
    parser.add_argument("--quick", action="store_true", help="2 blocks of a tenth of the steps")
    parser.add_argument("--compile-time", action="store_true", help="measure compilation instead")
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"folder for JSON ({RESULTS})")
    chosen = parser.parse_args()
    if chosen.compile_time:
        write("compile_time", chosen.out, costs.compile_time(chosen.blocks, chosen.threads))
    elif chosen.memory:
        write("memory", chosen.out, costs.memory(chosen.blocks, chosen.threads))
    else:
        write("compiled", chosen.out, compare(chosen))


if __name__ == "__main__":
    main()
