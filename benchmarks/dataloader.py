"""One pass over MNIST in batches of 64, normalised to float32 and shuffled: images per second.

Compared with PyTorch's DataLoader over a TensorDataset, and with PyTorch's best form: a random
permutation, one indexing per batch, and in-place arithmetic on the batch. All work on the same
uint8 pictures in memory, and give the same numbers. Passes are interleaved; the median counts.

    python -m benchmarks.dataloader [--blocks N] [--threads N] [--out FOLDER]
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks._pairing import arguments, write
from chainrule.data import Compose, DataLoader, Normalize, TensorDataset, ToFloat, load
from chainrule.errors import ChainruleError

MEAN, STD, BATCH = 0.1307, 0.3081, 64
TARGET = 1_000_000  # images per second


def pictures() -> tuple[Any, Any]:
    """MNIST's training part if it is at hand, else the drawn digits."""
    try:
        arrays = load("mnist", allow_download=False)
    except ChainruleError:
        arrays = load("drawn")
    return arrays.train_images[:, None], arrays.train_labels


def chainrule_pass(x: Any, y: Any, workers: int = 0) -> Callable[[], Iterator[Any]]:
    steps = Compose([ToFloat(), Normalize(MEAN, STD)])
    data = TensorDataset(x, y, transform=steps)
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=workers, generator=0)
    return lambda: iter(loader)


def numpy_pass(x: Any, y: Any) -> Callable[[], Iterator[Any]]:
    """What a NumPy user writes: the limit set by fancy indexing and three passes."""
    rng = np.random.default_rng(0)

    def run() -> Iterator[Any]:
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            picked = order[start : start + BATCH]
            batch = x[picked].astype(np.float32)
            batch *= np.float32(1 / 255 / STD)
            batch -= np.float32(MEAN / STD)
            yield batch, y[picked]

    return run


def torch_passes(x: Any, y: Any, threads: int) -> dict[str, Callable[[], Iterator[Any]]]:
    import torch
    from torch.utils.data import DataLoader as TorchLoader
    from torch.utils.data import TensorDataset as TorchTensors

    torch.set_num_threads(threads)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)

    def collate(samples: list[Any]) -> Any:
        batch = torch.stack([image for image, _ in samples]).float().div_(255)
        return batch.sub_(MEAN).div_(STD), torch.stack([label for _, label in samples])

    loader = TorchLoader(
        TorchTensors(images, labels), batch_size=BATCH, shuffle=True, collate_fn=collate
    )

    def indexed() -> Iterator[Any]:
        for picked in torch.randperm(len(images)).split(BATCH):
            yield images[picked].float().mul_(1 / 255 / STD).sub_(MEAN / STD), labels[picked]

    return {
        "PyTorch DataLoader": lambda: iter(loader),
        "PyTorch, randperm and indexing": indexed,
    }


def seconds(make: Callable[[], Iterator[Any]]) -> float:
    time.sleep(0.2)  # a peer's idle threads spin for a while after its pass, on our cores
    begin = time.perf_counter()
    for _ in make():
        pass
    return time.perf_counter() - begin


def main() -> None:
    chosen = arguments("dataloader", __doc__, blocks=7)
    load_average = os.getloadavg()[0]
    x, y = pictures()
    passes = {
        "chainrule": chainrule_pass(x, y),
        "chainrule, 1 thread ahead": chainrule_pass(x, y, workers=1),
        "NumPy by hand": numpy_pass(x, y),
    }
    try:
        passes |= torch_passes(x, y, chosen.threads)
    except ImportError:
        print("PyTorch is not installed: its rows are left out")
    times: dict[str, list[float]] = {name: [] for name in passes}
    for turn in range(chosen.blocks + 1):
        # Forwards and backwards by turns, so that nobody always comes after the same neighbour.
        for name, make in list(passes.items())[:: 1 if turn % 2 else -1]:
            if name != "PyTorch DataLoader" or len(times[name]) < 4:  # it takes seconds a pass
                times[name].append(seconds(make))
    rows = {name: len(x) / statistics.median(taken[1:]) for name, taken in times.items()}
    print(f"{'one pass over ' + str(len(x)) + ' pictures':34} {'images/s':>12} {'relative':>9}")
    for name, rate in rows.items():
        print(f"{name:34} {rate:12,.0f} {rate / rows['chainrule']:9.2f}")
    met = rows["chainrule"] >= TARGET
    print(
        f"target for chainrule: {TARGET:,}, {'met' if met else 'MISSED'}; load {load_average:.1f}"
    )
    result = {
        "batch_size": BATCH,
        "pictures": len(x),
        "load": load_average,
        "target": TARGET,
        "met": met,
        "images_per_second": rows,
        "best_images_per_second": {n: len(x) / min(taken[1:]) for n, taken in times.items()},
    }
    write("dataloader", chosen.out, result)


if __name__ == "__main__":
    main()
