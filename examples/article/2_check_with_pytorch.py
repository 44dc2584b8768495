"""The same example in PyTorch: the same lines, with another import, give the same numbers.

Where PyTorch is not installed there is nothing to compare with, and the script says so.

    python examples/article/2_check_with_pytorch.py
"""

from typing import Any

import chainrule

try:
    import torch
except ImportError:
    torch = None


def example(library: Any) -> dict[str, float]:
    """f, the loss, and the gradients of both: in whichever library is passed."""
    x = library.tensor(-2.0, requires_grad=True)
    y = library.tensor(5.0, requires_grad=True)
    z = library.tensor(-4.0, requires_grad=True)
    named = {"x": x, "y": y, "z": z}

    f = (x + y) * z
    f.backward()
    numbers = {"f": f.item()}
    numbers |= {f"df/d{name}": each.grad.item() for name, each in named.items()}

    for each in named.values():
        each.grad = None
    loss = ((x + y) * z - -13.0) ** 2
    loss.backward()
    numbers["loss"] = loss.item()
    return numbers | {f"dloss/d{name}": each.grad.item() for name, each in named.items()}


ours = example(chainrule)

if torch is None:
    for name, value in ours.items():
        print(f"{name:8} {value:6g}")
    print("\nNot checked: PyTorch is not installed. To compare: pip install 'chainrule[parity]'")
    raise SystemExit

theirs = example(torch)
print(f"{'':8} {'chainrule':>10} {'PyTorch':>10}")
for name, value in ours.items():
    print(f"{name:8} {value:10g} {theirs[name]:10g}")

if ours != theirs:
    raise SystemExit("\nThey differ: that is a bug, please report it.")
print(f"\nAll {len(ours)} numbers agree.")
