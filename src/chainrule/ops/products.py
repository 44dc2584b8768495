"""Products along a dimension, and their derivatives without a division.

The derivative of a product by one factor is the product of the others. Dividing the product by the
factor fails where a factor is zero, so the others are multiplied up instead: those before it times
those after it, each of which is a running product. A running product's own derivative is a linear
recurrence, solved by doubling in ⌈log₂ n⌉ steps of ops that can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import one_dim
from chainrule.core.dtypes import DType, int64
from chainrule.core.families import LinearOp
from chainrule.core.interpret import bind, lift
from chainrule.core.op import Array, Bars, Needs, Op, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.ops.promotion import cast, promote
from chainrule.ops.reduce import OneDimReduction, reduced_shape, restore_dims

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["cumprod", "prod"]

IN_PLACE = ("cumprod",)


class Shift(LinearOp):
    r"""y[i] = x[i - by] along a dimension, and 0 where there is none.    x_bar[i] = y_bar[i + by]

    Attributes:
        dim: the dimension.
        by: how far; negative is towards the front.
    """

    dim: int
    by: int

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Both ways, further than there are elements, and of nothing."""
        for by in (1, -2, 0, 7):
            yield Sample(op(1, by), (spread((2, 4), -3, 3),))
        yield Sample(op(0, 1), (spread((0, 2), -3, 3),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The same type."""
        return x

    def reference(self, x: Array) -> Array:
        """Zeros, and the slice that stays inside."""
        y = np.zeros_like(x)
        front = (slice(None),) * self.dim
        if self.by >= 0:
            stop = max(x.shape[self.dim] - self.by, 0)
            y[(*front, slice(self.by, None))] = x[(*front, slice(0, stop))]
        else:
            y[(*front, slice(0, self.by))] = x[(*front, slice(-self.by, None))]
        return y

    def transpose(self, y_bar: Tensor, x: TensorType, *, needs: Needs) -> Bars:
        """The other way."""
        return (bind(Shift(self.dim, -self.by), y_bar),)


class Scan(Op, family=True):
    """An op whose every output depends on the inputs before it, along a dimension.

    Attributes:
        dim: the dimension.
        reverse: start at the end.
    """

    dim: int
    reverse: bool = False

    def type_rule(self, x: TensorType) -> TensorType:
        """The same type."""
        return x


class CumProd(Scan):
    r"""y[i] = x[0] ⋯ x[i] along a dimension (from the other end if `reverse`).

    x_bar[k] = before[k] s[k], with before[k] = x[0] ⋯ x[k-1] and s[k] = y_bar[k] + x[k+1] s[k+1].
    """

    saves = Saves(inputs=(0,), output=True)

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Both ways, with a zero in it, of one and of no elements."""
        yield Sample(op(0), (spread((5,), 0.5, 2),))
        yield Sample(op(0), (np.array([1.5, 0.0, -2.0, 0.5]),))
        yield Sample(op(1, True), (spread((2, 3), -2, 2),))
        yield Sample(op(0), (spread((1, 2), -2, 2),))
        yield Sample(op(1), (spread((2, 0), -2, 2),))

    def reference(self, x: Array) -> Array:
        """`np.cumprod`, over a turned-round view where `reverse`."""
        if not self.reverse:
            return np.multiply.accumulate(x, axis=self.dim, dtype=x.dtype)
        turned = np.multiply.accumulate(np.flip(x, self.dim), axis=self.dim, dtype=x.dtype)
        return np.flip(turned, self.dim)

    def before(self, y: Tensor) -> Tensor:
        """The product of those that come before each; 1 for the first."""
        return bind(Shift(self.dim, -1 if self.reverse else 1), y) + self._one_at_start(y)

    def _one_at_start(self, y: Tensor) -> Tensor:
        size = y.shape[self.dim]
        one = np.zeros([size if axis == self.dim else 1 for axis in range(y.ndim)])
        if size:
            one.flat[-1 if self.reverse else 0] = 1
        return lift(one.astype(y.dtype.numpy))

    def _recurrence(self, b: Tensor, a: Tensor, direction: int) -> Tensor:
        """s with s[i] = b[i] + a[i] s[i - direction], by doubling the reach of b and a."""
        reach = 1
        while reach < b.shape[self.dim]:
            shift = Shift(self.dim, reach * direction)
            b = b + a * bind(shift, b)
            a = a * bind(shift, a)
            reach *= 2
        return b

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """The recurrence from the end, times what comes before."""
        ahead = 1 if self.reverse else -1
        following = bind(Shift(self.dim, ahead), inputs[0])
        return (self.before(y) * self._recurrence(y_bar, following, ahead),)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """y_dot[i] = before[i] x_dot[i] + x[i] y_dot[i-1]."""
        (x_dot,) = tangents
        return self._recurrence(self.before(y) * x_dot, inputs[0], -1 if self.reverse else 1)


def _whole(input: Tensor, dtype: DType | None) -> Tensor:
    (tensor,) = promote(input)
    if dtype is None and not tensor.dtype.is_floating_point:
        dtype = int64
    return tensor if dtype is None else cast(tensor, dtype)


def cumprod(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """The product of each element and all before it along `dim`. Integers become int64.

    >>> import chainrule
    >>> chainrule.tensor([1, 2, 3, 4]).cumprod(0)
    tensor([ 1,  2,  6, 24])
    """
    tensor = _whole(input, dtype)
    axis = one_dim("cumprod", dim, tensor.ndim)
    return bind(CumProd(axis), tensor) if tensor.ndim else tensor


class Prod(OneDimReduction):
    r"""y = Π x along a dimension.    x_bar[k] = y_bar Π over the others of x"""

    saves = Saves(inputs=(0,))

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Without a zero, with one, with two; of one and of no elements."""
        yield Sample(op(0), (spread((4,), -2, 2),))
        yield Sample(op(1, True), (spread((2, 3), -2, 2),))
        yield Sample(op(0), (np.array([1.5, 0.0, -2.0]),))
        yield Sample(op(0), (np.array([0.0, 3.0, 0.0]),))
        yield Sample(op(0), (spread((1, 2), -2, 2),))
        yield Sample(op(1), (spread((2, 0), -2, 2),))

    def type_rule(self, x: TensorType) -> TensorType:
        """The reduced shape, the same dtype."""
        return TensorType(reduced_shape(x.shape, (self.dim,), self.keepdim), x.dtype)

    def reference(self, x: Array) -> Array:
        """`np.prod`."""
        return np.multiply.reduce(x, axis=self.dim, dtype=x.dtype, keepdims=self.keepdim)

    def _others(self, x: Tensor) -> Tensor:
        """For each element, the product of those before it and those after it."""
        forward, back = CumProd(self.dim), CumProd(self.dim, reverse=True)
        return forward.before(bind(forward, x)) * back.before(bind(back, x))

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """The cotangent times the product of the others."""
        return (restore_dims(y_bar, (self.dim,), self.keepdim) * self._others(inputs[0]),)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """Σ x_dot · the product of the others."""
        return (tangents[0] * self._others(inputs[0])).sum(self.dim, self.keepdim)


def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The product along `dim`, or of everything. Integers multiply to int64; 1 of nothing.

    >>> import chainrule
    >>> chainrule.tensor([[1, 2], [3, 4]]).prod(0), chainrule.zeros(0).prod()
    (tensor([3, 8]), tensor(1.))
    """
    tensor = _whole(input, dtype)
    if dim is None:
        return bind(Prod(0), tensor.reshape(-1))
    axis = one_dim("prod", dim, tensor.ndim)
    return bind(Prod(axis, keepdim), tensor) if tensor.ndim else tensor
