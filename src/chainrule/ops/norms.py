"""Norms, and the logarithm of a sum of exponentials, which is a norm of sorts: a smooth maximum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import Dims, all_dims
from chainrule.core.dtypes import DType
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.errors import DTypeError, OpError
from chainrule.ops.promotion import cast, floating
from chainrule.ops.reduce import Reduction, accumulator, reduction_samples, restore_dims
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["logsumexp", "norm", "vector_norm"]


class Logsumexp(Reduction):
    r"""y = ln Σ e^x over some dimensions.    dy/dx = e^(x - y), the softmax of x"""

    saves = Saves(inputs=(0,), output=True)
    samples = reduction_samples()

    def reference(self, x: Array) -> Array:
        """With the maximum taken out first, so that nothing overflows."""
        if x.size == 0:
            return np.log(np.add.reduce(x, axis=self.dims, keepdims=self.keepdim))
        peak = np.maximum.reduce(x, axis=self.dims, keepdims=True)
        peak = np.where(np.isfinite(peak), peak, np.zeros_like(peak))
        total = np.add.reduce(np.exp(x - peak), axis=self.dims, keepdims=True)
        y = np.log(total) + peak
        return y if self.keepdim else y.squeeze(self.dims)

    def softmax(self, y: Tensor, x: Tensor) -> Tensor:
        """e^(x - y): 0 where y is -inf, since then every x is."""
        y = restore_dims(y, self.dims, self.keepdim)
        return (x - y.where(y != -math.inf, 0)).exp()

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """y_bar · softmax(x)."""
        return (restore_dims(y_bar, self.dims, self.keepdim) * self.softmax(y, inputs[0]),)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """Σ x_dot · softmax(x)."""
        product = tangents[0] * self.softmax(y, inputs[0])
        return product.sum(self.dims, self.keepdim) if self.dims else product


def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """ln Σ e^x over `dim`, without overflow.

    Where every element is -inf the gradient is 0 (PyTorch's is NaN).

    >>> import chainrule
    >>> chainrule.tensor([1000.0, 1000.0]).logsumexp(0)  # 1000 + ln 2
    tensor(1000.6932)
    """
    x = floating(input)
    return bind(Logsumexp(all_dims("logsumexp", dim, x.ndim), keepdim), x)


class VectorNorm(Reduction):
    r"""y = (Σ |x|^p)^(1/p) over some dimensions.    dy/dx = sign(x) (|x| / y)^(p-1), and 0 at 0

    p = 1 is the sum of magnitudes, p = 2 the length, p = inf the greatest magnitude, p = 0 how many
    elements are not zero.

    Attributes:
        ord: p.
    """

    ord: float = 2.0
    saves = Saves(inputs=(0,), output=True)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The orders with formulas of their own, and two without; some and all dimensions."""
        for ord in (2.0, 1.0, math.inf, -math.inf, 3.0, 1.5, 0.5):
            yield Sample(op((1,), False, ord), (spread((2, 3), -3, 3, avoid=(0,)),))
        yield Sample(op((0, 1), True, 2.0), (spread((2, 3), -3, 3, avoid=(0,)),))
        yield Sample(op((), False, 2.0), (np.array(-2.0),))
        yield Sample(op((0,), False, 0.0), (np.array([0.0, 2.0, -1.0]),), smooth=False)

    def reference(self, x: Array) -> Array:
        """The formula, in at least single precision."""
        p = self.ord
        over: dict[str, Any] = {"axis": self.dims, "keepdims": self.keepdim}
        wide = x.astype(accumulator(x), copy=False)
        if p == 2:
            return np.asarray(np.sqrt(np.add.reduce(wide * wide, **over)), x.dtype)
        size = np.abs(wide)
        if p == math.inf:
            y = np.maximum.reduce(size, initial=0, **over)
        elif p == -math.inf:
            y = np.minimum.reduce(size, **over)
        elif p == 0:
            y = np.add.reduce(size != 0, dtype=wide.dtype, **over)
        elif p == 1:
            y = np.add.reduce(size, **over)
        else:
            y = np.power(np.add.reduce(np.power(size, p), **over), 1 / p)
        return np.asarray(y, x.dtype)

    def slope(self, y: Tensor, x: Tensor) -> Tensor:
        """dy/dx, with every 0 / 0 taken to be 0."""
        p = self.ord
        y = restore_dims(y, self.dims, self.keepdim)
        if p == 0:
            return x * 0
        if p == 1:
            return x.sign()
        if math.isinf(p):
            hit = (x.abs() == y).to(x.dtype)
            return x.sign() * (hit / hit.sum(self.dims, True) if self.dims else hit)
        there = y != 0
        ratio = x / y.where(there, 1)
        if p == 2:
            return ratio.where(there, 0)
        if p < 2:  # |x|^(p-1) has no slope at 0, or none that is finite
            there = x != 0
        return ratio.sign() * ratio.abs().where(there, 1).pow(p - 1).where(there, 0)

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """y_bar · dy/dx."""
        return (restore_dims(y_bar, self.dims, self.keepdim) * self.slope(y, inputs[0]),)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """Σ x_dot · dy/dx."""
        product = tangents[0] * self.slope(y, inputs[0])
        return product.sum(self.dims, self.keepdim) if self.dims else product


def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """(Σ |x|^ord)^(1/ord) over `dim`, or over everything, whatever its shape.

    Args:
        x: a float tensor.
        ord: 2 is the length; 1, any other number, `inf`, `-inf` and 0 (how many are not zero).
        dim: the dimension or dimensions; None for all.
        keepdim: keep each dimension, with size 1.
        dtype: convert to this dtype first.

    >>> import chainrule
    >>> chainrule.vector_norm(chainrule.tensor([3.0, -4.0]))
    tensor(5.)
    """
    if dtype is not None:
        x = cast(x, dtype)
    op = VectorNorm(all_dims("norm", dim, x.ndim), keepdim, float(ord))
    if x.value.dtype.kind != "f":
        op.fail(
            f"only floats have a norm, not {x.type}",
            cure="convert it with .float(), or pass dtype=chainrule.float32",
            error=DTypeError,
            types=[x.type],
        )
    return bind(op, x)


def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """The norm over `dim`, or of all elements: `vector_norm` with the older names.

    Args:
        input: a float tensor.
        p: `"fro"` and None are 2; any number.
        dim: the dimension or dimensions; None for all.
        keepdim: keep each dimension, with size 1.
        dtype: convert to this dtype first.

    Raises:
        OpError: a `p` of another name: there are no norms of matrices here.
        DTypeError: the tensor holds integers, and no float `dtype` is given.

    >>> import chainrule
    >>> chainrule.tensor([[3.0, 4.0], [0.0, -2.0]]).norm(dim=1)
    tensor([5., 2.])
    """
    if p is None or p == "fro":
        p = 2
    if isinstance(p, str):
        refuse(
            "norm",
            f"p is {p!r}, and there are no norms of matrices here but 'fro'",
            cure="pass a number, or 'fro'",
            error=OpError,
            types=[input.type],
        )
    return vector_norm(input, p, dim, keepdim, dtype=dtype)
