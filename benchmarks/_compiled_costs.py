"""What the compiled LeNet step costs beside its time: compilation, cold and warm, and memory.

Each measurement is a process of its own. Compile time is that of the first call, less that of a
later one: tracing, lowering, machine code, and the import of what they need. Peak memory is the
kernel's count of resident pages at their most (VmHWM), of the whole process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._compiled_workloads import BY_NAME

ASKED_COLD, ASKED_WARM, ASKED_MEMORY = 0.6, 0.05, 0.5  # seconds, seconds, a part of PyTorch's
BATCHES, EPOCHS = 100, 3
LENET = BY_NAME["lenet"]


def compile_time(times: int, threads: int) -> dict[str, Any]:
    """The first call with an empty cache, and again in new processes with the cache full."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_child("first_call", threads, CHAINRULE_CACHE=folder)["seconds"])
            warm.append(_child("first_call", threads, CHAINRULE_CACHE=folder)["seconds"])
    for name, found, asked in (("cold", cold, ASKED_COLD), ("warm", warm, ASKED_WARM)):
        median = statistics.median(found)
        verdict = "ok" if median <= asked else "MISSED"
        print(f"LeNet step, {name} cache: {median:.3f} s (asked {asked} s): {verdict}")
    return {"cold": cold, "warm": warm, "asked": [ASKED_COLD, ASKED_WARM]}


def memory(times: int, threads: int) -> dict[str, Any]:
    """Peak memory of the same LeNet run, ours and PyTorch's in eager mode."""
    found: dict[str, list[dict[str, float]]] = {"chainrule": [], "torch": []}
    for _ in range(max(1, times // 2)):
        for library, peaks in found.items():
            peaks.append(_child(f"peak_{library}", threads))
    median = {
        library: statistics.median(each["peak"] for each in peaks)
        for library, peaks in found.items()
    }
    part = median["chainrule"] / median["torch"]
    verdict = "ok" if part <= ASKED_MEMORY else "MISSED"
    for library, size in median.items():
        losses = {each["loss"] for each in found[library]}
        print(f"LeNet run, {library}: {size / 2**20:.0f} MiB at most, last loss {losses}")
    print(f"{part:.2f} of PyTorch's (asked {ASKED_MEMORY}): {verdict}")
    return {"peaks": found, "part": part, "asked": ASKED_MEMORY}


def _child(function: str, threads: int, **environment: str) -> dict[str, float]:
    numbers = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks._compiled_costs", function, str(threads)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        # Byte code is there, as it is for an installed package.
        env={**os.environ, **dict.fromkeys(numbers, str(threads)), **environment}
        | {"PYTHONDONTWRITEBYTECODE": ""},
    )
    if ran.returncode:
        raise SystemExit(f"{function} failed: its error is above")
    return json.loads(ran.stdout.splitlines()[-1])


def _batches() -> tuple[Any, Any]:
    """Noise: the data set itself would hide what the libraries need."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((BATCHES, LENET.batch, *LENET.shape), dtype=np.float32)
    return x, rng.integers(0, 10, (BATCHES, LENET.batch))


def first_call(threads: int) -> dict[str, float]:
    """Seconds of the first call of LeNet's step, less those of a later one."""
    import chainrule
    from benchmarks._compiled_ours import step_of

    step = step_of(LENET)
    rng = np.random.default_rng(1)
    x = chainrule.from_numpy(rng.standard_normal((LENET.batch, *LENET.shape), dtype=np.float32))
    y = chainrule.from_numpy(rng.integers(0, 10, LENET.batch))
    seconds: list[float] = []
    for _ in range(20):
        begin = time.perf_counter()
        step(x, y)
        seconds.append(time.perf_counter() - begin)
    return {"seconds": seconds[0] - statistics.median(seconds[1:])}


def peak_chainrule(threads: int) -> dict[str, float]:
    """Memory and last loss of our LeNet run."""
    import chainrule
    from benchmarks._compiled_ours import step_of

    step, (x, y) = step_of(LENET), map(chainrule.from_numpy, _batches())
    loss = chainrule.zeros(())
    for _ in range(EPOCHS):
        for inputs, targets in zip(x, y):
            loss = step(inputs, targets)
    return {"peak": _peak(), "loss": float(loss.item())}


def peak_torch(threads: int) -> dict[str, float]:
    """Memory and last loss of PyTorch's."""
    import torch

    from benchmarks._peers_torch import load_weights, loss_of, network, optimizer_of

    torch.set_num_threads(threads)
    model = network(torch.nn, LENET.layers)
    load_weights(torch, model, LENET)
    criterion = loss_of(torch.nn, LENET)
    optimizer = optimizer_of(torch.optim, model, LENET, fused=True)
    x, y = map(torch.from_numpy, _batches())
    loss = torch.zeros(())
    for _ in range(EPOCHS):
        for inputs, targets in zip(x, y):
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
    return {"peak": _peak(), "loss": loss.item()}


def _peak() -> float:
    """Bytes resident at most, of this process alone: `ru_maxrss` would count the parent's too."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024
    raise SystemExit("VmHWM is not in /proc/self/status")


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](int(sys.argv[2]))))
