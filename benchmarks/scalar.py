"""The article's example on scalars, f = (x + y) z: once forwards, once backwards.

In two forms: the leaves made anew each time, and the leaves kept, their gradients set to None.
What is measured is the cost of an op itself, for there is nothing to compute.
"""

from __future__ import annotations

from typing import Any

from benchmarks._pairing import Block, Comparison, Options, compare

X, Y, Z = -2.0, 5.0, -4.0


def _fresh(library: Any, options: Options) -> Block:
    tensor, steps = library.tensor, options["steps"]

    def block() -> float:
        for _ in range(steps):
            x = tensor(X, requires_grad=True)
            y = tensor(Y, requires_grad=True)
            z = tensor(Z, requires_grad=True)
            f = (x + y) * z
            f.backward()
        return f.item() + x.grad.item() + y.grad.item() + z.grad.item()

    return block


def _kept(library: Any, options: Options) -> Block:
    steps = options["steps"]
    x, y, z = (library.tensor(each, requires_grad=True) for each in (X, Y, Z))

    def block() -> float:
        for _ in range(steps):
            x.grad = y.grad = z.grad = None
            f = (x + y) * z
            f.backward()
        return f.item() + x.grad.item() + y.grad.item() + z.grad.item()

    return block


def ours_fresh(options: Options) -> Block:
    import chainrule

    return _fresh(chainrule, options)


def ours_kept(options: Options) -> Block:
    import chainrule

    return _kept(chainrule, options)


def _torch(options: Options) -> Any:
    import torch

    torch.set_num_threads(options["threads"])
    return torch


def torch_fresh(options: Options) -> Block:
    return _fresh(_torch(options), options)


def torch_kept(options: Options) -> Block:
    return _kept(_torch(options), options)


COMPARISONS = (
    Comparison(
        "f = (x + y) z on scalars, leaves kept",
        {"chainrule": "ours_kept"},
        {"PyTorch eager": "torch_kept"},
        steps=2000,
        target=0.4,
    ),
    Comparison(
        "f = (x + y) z on scalars, leaves made each time",
        {"chainrule": "ours_fresh"},
        {"PyTorch eager": "torch_fresh"},
        steps=2000,
        target=0.4,
    ),
)

if __name__ == "__main__":
    compare("scalar", __doc__, COMPARISONS, blocks=15)
