"""Matrix products: matmul, and what is one under another name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.families import BilinearOp
from chainrule.core.interpret import bind, lift
from chainrule.core.op import Array, Sample
from chainrule.core.samples import spread
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import DTypeError
from chainrule.ops.promotion import pair
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bmm",
    "dot",
    "inner",
    "kron",
    "matmul",
    "matrix_power",
    "mm",
    "mv",
    "outer",
    "tensordot",
    "vdot",
]

IN_PLACE = ("addbmm", "addmm", "addmv", "addr", "baddbmm")


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
            ((2, 3), (5, 3, 4)),
            ((1, 2, 3), (4, 3, 2)),
            ((2, 0), (0, 3)),
        ):
            yield Sample(op(), (spread(a, -1, 1), spread(b, -1, 1, seed=1)))

    def type_rule(self, a: TensorType, b: TensorType) -> TensorType:
        """Inner sizes agree, batches broadcast."""
        if a.ndim < 2 or b.ndim < 2:
            self.fail(
                f"needs at least two dimensions each: {a} @ {b}",
                cure="unsqueeze the vector",
                types=[a, b],
            )
        if a.shape[-1] != b.shape[-2]:
            self.fail(
                f"inner sizes differ: {a} @ {b} ({a.shape[-1]} vs {b.shape[-2]})",
                cure="the last size of the first must equal the second-to-last of the second; "
                "transpose one of them?",
                types=[a, b],
            )
        if a.dtype is not b.dtype:
            self.fail(
                f"dtypes differ: {a} @ {b}",
                cure="convert one of them with .to(dtype)",
                error=DTypeError,
                types=[a, b],
            )
        batch = broadcast_shapes_or_none([a.shape[:-2], b.shape[:-2]])
        if batch is None:
            self.fail(
                f"batch dimensions do not broadcast: {a} @ {b}",
                cure="all sizes before the last two must agree, or be 1",
                types=[a, b],
            )
        return TensorType((*batch, a.shape[-2], b.shape[-1]), a.dtype)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.matmul`; a batch of matrices times one matrix is a single product."""
        if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous and a.size:
            return np.matmul(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[-1])
        return np.matmul(a, b)

    def reference_for(self, *types: TensorType) -> Callable[[Array, Array], Array]:
        """`np.matmul` itself for two matrices."""
        a, b = types
        return np.matmul if a.ndim == b.ndim == 2 else self.reference

    def transpose_a(self, y_bar: Tensor, a: TensorType, b: Tensor) -> Tensor:
        """y_bar bᵀ, summed over what a was broadcast along."""
        if a.ndim == 2 and b.ndim == 3:  # Σ over the batch of y_bar bᵀ: side by side, one product
            rows = y_bar.permute(1, 0, 2).reshape(a.shape[0], -1)
            return matmul(rows, b.permute(0, 2, 1).reshape(-1, a.shape[1]))
        return matmul(y_bar, b.mT).sum_to_size(a.shape)

    def transpose_b(self, y_bar: Tensor, a: Tensor, b: TensorType) -> Tensor:
        """aᵀ y_bar, summed over what b was broadcast along."""
        if b.ndim == 2 and a.ndim > 2:  # Σ over the batch of aᵀ y_bar: one above the other
            rows = math.prod(a.shape[:-1])
            tall = a.reshape(rows, a.shape[-1])
            return matmul(tall.mT, y_bar.reshape(rows, b.shape[1]))
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


def _shapes(name: str, *expected: tuple[Tensor, int]) -> None:
    """Each tensor has as many dimensions as its function asks for."""
    if any(tensor.ndim != ndim for tensor, ndim in expected):
        types = [tensor.type for tensor, _ in expected]
        refuse(
            name,
            f"takes tensors of {' and '.join(str(ndim) for _, ndim in expected)} "
            f"dimensions, not {' and '.join(map(str, types))}",
            cure="matmul takes all shapes, and broadcasts",
            types=types,
        )


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, (n, m) and (m, p); nothing is broadcast.

    >>> import chainrule
    >>> chainrule.mm(chainrule.tensor([[1, 2], [3, 4]]), chainrule.tensor([[0, 1], [1, 0]]))
    tensor([[2, 1],
            [4, 3]])
    """
    _shapes("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of as many matrices: (b, n, m) and (b, m, p) give (b, n, p).

    >>> import chainrule
    >>> chainrule.bmm(chainrule.zeros(5, 2, 3), chainrule.zeros(5, 3, 4)).shape
    (5, 2, 4)
    """
    _shapes("bmm", (input, 3), (mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        refuse(
            "bmm",
            f"batches differ: {input.type} and {mat2.type}",
            cure="matmul broadcasts batches",
            types=[input.type, mat2.type],
        )
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector: (n, m) and (m) give (n).

    >>> import chainrule
    >>> chainrule.mv(chainrule.tensor([[1, 2], [3, 4]]), chainrule.tensor([1, -1]))
    tensor([-1, -1])
    """
    _shapes("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Σ a_i b_i over two vectors of one length.

    >>> import chainrule
    >>> chainrule.dot(chainrule.tensor([1.0, 2.0]), chainrule.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _shapes("dot", (input, 1), (tensor, 1))
    return matmul(input, tensor)


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """As `dot`: all numbers here are real.

    >>> import chainrule
    >>> chainrule.vdot(chainrule.tensor([1, 2]), chainrule.tensor([3, 4]))
    tensor(11)
    """
    return dot(input, other)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimensions of both; with a scalar, the product.

    >>> import chainrule
    >>> chainrule.inner(chainrule.zeros(2, 3), chainrule.zeros(4, 3)).shape
    (2, 4)
    """
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    return tensordot(input, other, ([-1], [-1]))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """y[i, j] = a_i b_j.

    >>> import chainrule
    >>> chainrule.outer(chainrule.tensor([1, 2]), chainrule.tensor([3, 4, 5]))
    tensor([[ 3,  4,  5],
            [ 6,  8, 10]])
    """
    _shapes("outer", (input, 1), (vec2, 1))
    return input.reshape(-1, 1) * vec2


def _scaled(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    """beta input + alpha product; where beta is 0 the input's NaNs do not count."""
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:
        return scaled
    return (input if beta == 1 else input * beta) + scaled


def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta input + alpha (mat1 @ mat2), with `input` broadcast.

    >>> import chainrule
    >>> chainrule.addmm(chainrule.tensor([0.1, 0.2]), chainrule.ones(1, 3), chainrule.ones(3, 2))
    tensor([[3.1000, 3.2000]])
    """
    return _scaled(input, mm(mat1, mat2), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (mat @ vec), with `input` broadcast.

    >>> import chainrule
    >>> chainrule.addmv(chainrule.tensor(1.0), chainrule.ones(2, 3), chainrule.ones(3), alpha=2)
    tensor([7., 7.])
    """
    return _scaled(input, mv(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (vec1 vec2ᵀ), with `input` broadcast.

    >>> import chainrule
    >>> chainrule.addr(
    ...     chainrule.eye(2), chainrule.tensor([1.0, 2.0]), chainrule.tensor([3.0, 4.0])
    ... )
    tensor([[4., 4.],
            [6., 9.]])
    """
    return _scaled(input, outer(vec1, vec2), beta, alpha)


def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta input + alpha (batch1 @ batch2), matrix by matrix.

    >>> import chainrule
    >>> chainrule.baddbmm(chainrule.ones(2), chainrule.ones(5, 1, 3), chainrule.ones(5, 3, 2))[0]
    tensor([[4., 4.]])
    """
    return _scaled(input, bmm(batch1, batch2), beta, alpha)


def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta input + alpha times the sum of batch1 @ batch2 over the batch.

    >>> import chainrule
    >>> chainrule.addbmm(chainrule.zeros(1, 2), chainrule.ones(5, 1, 3), chainrule.ones(5, 3, 2))
    tensor([[15., 15.]])
    """
    return _scaled(input, bmm(batch1, batch2).sum(0), beta, alpha)


def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """Sums of products over some dimensions of both.

    Args:
        dims: how many, the last of a and the first of b; or two lists that name them in pairs.

    >>> import chainrule
    >>> chainrule.tensordot(chainrule.ones(2, 3, 4), chainrule.ones(3, 4, 5), dims=2).shape == (
    ...     2,
    ...     5,
    ... )
    True
    """
    if isinstance(dims, int):
        from_a = list(range(a.ndim - dims, a.ndim))
        from_b = list(range(dims))
    else:
        from_a = [one_dim("tensordot", dim, a.ndim) for dim in dims[0]]
        from_b = [one_dim("tensordot", dim, b.ndim) for dim in dims[1]]
    sizes = [a.shape[dim] for dim in from_a if dim >= 0]
    if len(sizes) != len(from_b) or sizes != [b.shape[dim] for dim in from_b if dim < b.ndim]:
        refuse(
            "tensordot",
            f"dims {from_a} of {a.type} and {from_b} of {b.type} do not pair up",
            cure="they must be as many, and of the same sizes",
            types=[a.type, b.type],
        )
    rest_a = [dim for dim in range(a.ndim) if dim not in from_a]
    rest_b = [dim for dim in range(b.ndim) if dim not in from_b]
    inner_size = math.prod(sizes)
    shape_a, shape_b = [a.shape[dim] for dim in rest_a], [b.shape[dim] for dim in rest_b]
    wide = a.permute(*rest_a, *from_a).reshape(math.prod(shape_a), inner_size)
    tall = b.permute(*from_b, *rest_b).reshape(inner_size, math.prod(shape_b))
    return matmul(wide, tall).reshape((*shape_a, *shape_b))


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of `input` times all of `other`, as a block.

    >>> import chainrule
    >>> chainrule.kron(chainrule.tensor([1, 10]), chainrule.tensor([1, 2, 3]))
    tensor([ 1,  2,  3, 10, 20, 30])
    """
    ndim = max(input.ndim, other.ndim)
    a = (1,) * (ndim - input.ndim) + input.shape
    b = (1,) * (ndim - other.ndim) + other.shape
    blocks = input.reshape([each for size in a for each in (size, 1)])
    product = blocks * other.reshape([each for size in b for each in (1, size)])
    return product.reshape([m * n for m, n in zip(a, b)])


def matrix_power(input: Tensor, n: int) -> Tensor:
    """A square matrix (or a batch of them) multiplied n times with itself, by repeated squaring.

    Raises:
        ShapeError: not square, or n is negative.

    >>> import chainrule
    >>> chainrule.matrix_power(chainrule.tensor([[1, 1], [1, 0]]), 10)  # Fibonacci's numbers
    tensor([[89, 55],
            [55, 34]])
    """
    square = input.ndim >= 2 and input.shape[-1] == input.shape[-2]
    if not square or n < 0:
        refuse(
            "matrix_power",
            f"takes square matrices and a power of 0 or more, not {input.type} and {n}",
            cure="the last two sizes are to be equal; a negative power needs an inverse, and there "
            "is none here",
            types=[input.type],
        )
    if n == 0:
        identity = lift(np.eye(input.shape[-1], dtype=input.dtype.numpy))
        return identity.expand(input.shape).clone()
    result: Tensor | None = None
    power = input
    while True:
        if n % 2:
            result = power if result is None else matmul(result, power)
        n //= 2
        if n == 0:
            return result if result is not None else power
        power = matmul(power, power)
