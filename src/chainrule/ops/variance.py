"""How far numbers spread: var, std, and both with the mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.axes import Dims, all_dims
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.errors import DTypeError
from chainrule.ops.reduce import Reduction, accumulator, mean, reduced_size, restore_dims

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["std", "std_mean", "var", "var_mean"]


class Spread(Reduction, family=True):
    """A measure of how far x is from its mean.

    Attributes:
        correction: what is taken off the count: 1 makes the variance of a sample unbiased.
    """

    correction: float = 1

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Some and all dimensions, kept and not, corrected and not."""
        for dims, keepdim, correction, shape in (
            ((0,), False, 1, (4,)),
            ((0, 1), False, 0, (2, 3)),
            ((1,), True, 1, (2, 3)),
            ((0, 2), False, 2, (2, 3, 2)),
        ):
            yield Sample(op(dims, keepdim, correction), (spread(shape, -3, 3, seed=len(shape)),))

    def freedom(self, shape: tuple[int, ...]) -> float:
        """The degrees of freedom, n - correction, or NaN where none are left."""
        left = reduced_size(shape, self.dims) - self.correction
        return left if left > 0 else float("nan")

    def deviation(self, x: Tensor) -> Tensor:
        """x - its mean."""
        return x - mean(x, self.dims, True) if self.dims else x - x

    def _variance(self, x: Array) -> Array:
        wide = x.astype(accumulator(x), copy=False)
        size = reduced_size(x.shape, self.dims)
        deviation = wide - np.add.reduce(wide, axis=self.dims, keepdims=True) / size
        squares = np.add.reduce(deviation * deviation, axis=self.dims, keepdims=self.keepdim)
        return squares / np.maximum(np.asarray(size - self.correction, squares.dtype), 0)


class Var(Spread):
    r"""y = Σ (x - mean)² / (n - correction).    dy/dx = 2 (x - mean) / (n - correction)"""

    saves = Saves(inputs=(0,))

    def reference(self, x: Array) -> Array:
        """In two passes, so that a large mean costs no digits."""
        return np.asarray(self._variance(x), x.dtype)

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """y_bar · 2 (x - mean) / (n - correction)."""
        scale = restore_dims(y_bar * (2 / self.freedom(inputs[0].shape)), self.dims, self.keepdim)
        return (scale * self.deviation(inputs[0]),)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """Σ x_dot · 2 (x - mean) / (n - correction)."""
        product = self.deviation(inputs[0]) * tangents[0]
        return product.sum(self.dims, self.keepdim) * (2 / self.freedom(inputs[0].shape))


class Std(Spread):
    r"""y = √(Σ (x - mean)² / (n - correction)).    dy/dx = (x - mean) / (y (n - correction))

    Where all elements are equal, y = 0 and the slope is taken to be 0.
    """

    saves = Saves(inputs=(0,), output=True)

    def reference(self, x: Array) -> Array:
        """The square root of the variance."""
        return np.asarray(np.sqrt(self._variance(x)), x.dtype)

    def _scale(self, y: Tensor, shape: tuple[int, ...]) -> Tensor:
        spreads = y != 0
        return ((1 / self.freedom(shape)) / y.where(spreads, 1)).where(spreads, 0)

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """y_bar (x - mean) / (y (n - correction))."""
        scale = y_bar * self._scale(y, inputs[0].shape)
        return (restore_dims(scale, self.dims, self.keepdim) * self.deviation(inputs[0]),)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
        """Σ x_dot (x - mean) / (y (n - correction))."""
        product = self.deviation(inputs[0]) * tangents[0]
        return product.sum(self.dims, self.keepdim) * self._scale(y, inputs[0].shape)


def _spread(
    op: type[Spread],
    input: Tensor,
    dim: Dims | bool,
    unbiased: bool | None,
    keepdim: bool,
    correction: float | None,
) -> Tensor:
    if isinstance(dim, bool):  # var(x, False): the old form, without dimensions
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    bound = op(all_dims(op.name, dim, input.ndim), keepdim, correction)
    if input.value.dtype.kind != "f":
        bound.fail(
            f"only floats have a variance, not {input.type}",
            cure="convert it with .float()",
            error=DTypeError,
            types=[input.type],
        )
    return bind(bound, input)


def var(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over `dim`, or over everything: Σ (x - mean)² / (n - correction).

    Args:
        input: a float tensor.
        dim: the dimension or dimensions; None for all.
        unbiased: the older name: True is `correction=1`, False is `correction=0`.
        keepdim: keep each dimension, with size 1.
        correction: 1 unless given: the unbiased estimate from a sample.

    >>> import chainrule
    >>> chainrule.tensor([1.0, 2.0, 3.0]).var()
    tensor(1.)
    """
    return _spread(Var, input, dim, unbiased, keepdim, correction)


def std(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation over `dim`, or over everything: the square root of `var`.

    >>> import chainrule
    >>> x = chainrule.tensor([[1.0, 3.0], [2.0, 2.0]])
    >>> x.std(1), x.std(1, correction=0)
    (tensor([1.4142, 0.0000]), tensor([1., 0.]))
    """
    return _spread(Std, input, dim, unbiased, keepdim, correction)


def var_mean(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The variance and the mean.

    >>> import chainrule
    >>> chainrule.var_mean(chainrule.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    over = None if isinstance(dim, bool) else dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, over, keepdim)


def std_mean(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean.

    >>> import chainrule
    >>> chainrule.std_mean(chainrule.tensor([[1.0, 2.0, 3.0]]), dim=1, keepdim=True)
    (tensor([[1.]]), tensor([[2.]]))
    """
    over = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, over, keepdim)
