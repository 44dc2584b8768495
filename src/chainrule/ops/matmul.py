"""Matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.families import BilinearOp
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import DTypeError
from chainrule.ops.promotion import pair

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["matmul"]


class Matmul(BilinearOp):
    r"""y = a b, over the last two dimensions, the others broadcast as batches.

    a_bar = y_bar bᵀ,  b_bar = aᵀ y_bar
    """

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Plain, batched, broadcast and empty products."""
        for a, b in (
            ((2, 3), (3, 4)),
            ((5, 2, 3), (5, 3, 4)),
            ((5, 2, 3), (3, 4)),
            ((1, 2, 3), (4, 3, 2)),
            ((2, 0), (0, 3)),
        ):
            yield Sample(op(), (spread(a, -1, 1), spread(b, -1, 1, seed=1)))

    def type_rule(self, a: TensorType, b: TensorType) -> TensorType:
        """Inner sizes agree, batches broadcast."""
        if a.ndim < 2 or b.ndim < 2:
            self.fail(f"needs at least two dimensions each: {a} @ {b}", types=[a, b])
        if a.shape[-1] != b.shape[-2]:
            self.fail(
                f"inner sizes differ: {a} @ {b} ({a.shape[-1]} vs {b.shape[-2]})",
                cure="the last size of the first must equal the second-to-last of the second; "
                "transpose one of them?",
                types=[a, b],
            )
        if a.dtype is not b.dtype:
            self.fail(f"dtypes differ: {a} @ {b}", error=DTypeError, types=[a, b])
        batch = broadcast_shapes_or_none([a.shape[:-2], b.shape[:-2]])
        if batch is None:
            self.fail(f"batch dimensions do not broadcast: {a} @ {b}", types=[a, b])
        return TensorType((*batch, a.shape[-2], b.shape[-1]), a.dtype)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.matmul`."""
        return np.matmul(a, b)

    def transpose_a(self, y_bar: Tensor, a: TensorType, b: Tensor) -> Tensor:
        """y_bar bᵀ."""
        return matmul(y_bar, b.mT).sum_to_size(a.shape)

    def transpose_b(self, y_bar: Tensor, a: Tensor, b: TensorType) -> Tensor:
        """aᵀ y_bar."""
        return matmul(a.mT, y_bar).sum_to_size(b.shape)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, with PyTorch's rules for vectors and batches.

    Shapes:
        (K) @ (K) is a scalar; (M,K) @ (K) is (M); (K) @ (K,N) is (N);
        (..., M, K) @ (..., K, N) is (..., M, N), with the leading dimensions broadcast.

    >>> import chainrule
    >>> chainrule.matmul(chainrule.ones(2, 3), chainrule.ones(3))
    tensor([3., 3.])
    """
    a, b = pair(input, other)
    if a.ndim >= 2 and b.ndim >= 2:
        return bind(Matmul(), a, b)
    if a.ndim == 0 or b.ndim == 0:
        Matmul().fail(
            f"a scalar has no matrix product: {a.type} @ {b.type}",
            cure="use * to scale",
            types=[a.type, b.type],
        )
    wide = a.reshape(1, -1) if a.ndim == 1 else a
    tall = b.reshape(-1, 1) if b.ndim == 1 else b
    product = bind(Matmul(), wide, tall)
    if b.ndim == 1:
        product = product.reshape(product.shape[:-1])
    if a.ndim == 1:
        product = product.reshape(
            product.shape[:-1] if b.ndim == 1 else (*product.shape[:-2], product.shape[-1])
        )
    return product
