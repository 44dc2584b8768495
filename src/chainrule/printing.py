"""How a tensor looks: PyTorch's layout, four decimals, `grad_fn`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["tensor_text"]


def tensor_text(x: Tensor) -> str:
    """`tensor([1., 2.], grad_fn=<MulBackward0>)`."""
    text = np.array2string(x.value, separator=", ", prefix="tensor(", precision=4)
    if x.grad_fn is not None:
        text += f", grad_fn={x.grad_fn}"
    elif x.requires_grad:
        text += ", requires_grad=True"
    return f"tensor({text})"
