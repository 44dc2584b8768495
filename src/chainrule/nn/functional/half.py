"""float16 is a dtype to store in, not to compute in: coarse ops widen it to float32 and round once.

A sum of a few thousand float16 numbers has two correct digits, its largest number is 65504, and
NumPy has no fast matrix product for it. PyTorch's CPU kernels accumulate in float32 likewise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.core.coarse import CoarseOp
from chainrule.core.dtypes import float16, float32
from chainrule.ops.promotion import cast

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["apply_wide"]


def apply_wide(op: CoarseOp, *inputs: Tensor) -> Tensor:
    """`op.apply`, where all float inputs are float16 computed in float32 and rounded at the end.

    Indices and masks stay as they are; of mixed floats the op's type rule complains.

    >>> import chainrule
    >>> from chainrule.nn.functional.softmax import Softmax
    >>> apply_wide(Softmax(dim=0), chainrule.tensor([0.0, 1.0]).half()).dtype
    chainrule.float16
    """
    if inputs[0].dtype is not float16:
        return op.apply(*inputs)
    if any(x.dtype.is_floating_point and x.dtype is not float16 for x in inputs):
        return op.apply(*inputs)
    wide = [cast(x, float32) if x.dtype is float16 else x for x in inputs]
    return cast(op.apply(*wide), float16)
