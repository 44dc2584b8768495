"""What a nest means: a slow interpreter in NumPy, the oracle that generated code is tested against.

Every axis is a dimension of its own, so an expression is an array over the axes it depends on, and
NumPy's broadcasting does the rest. Sums of floats are taken in more digits than they are kept in.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.core.dtypes import INTEGER, DType
from chainrule.errors import ChainruleError
from chainrule.ir.nest import (
    Affine,
    Axis,
    Expr,
    Iota,
    Literal,
    Load,
    Nest,
    Reduce,
    subexpressions,
)

__all__ = ["evaluate", "evaluate_expr"]

Array = np.ndarray[Any, np.dtype[Any]]


def evaluate(nest: Nest, buffers: Mapping[str, Array]) -> None:
    """Carry a nest out: all its loads come before all its stores, in each step of sequential axes.

    Args:
        nest: the nest.
        buffers: the memory by name; each is contiguous, and those stored to are written to.

    >>> from chainrule.ir.nest_text import parse_nest
    >>> nest = parse_nest("nest dot(| k: 3):\\n  reads %x f32\\n  %y[0] = sum[k](%x[k])")
    >>> buffers = {"x": np.arange(3, dtype=np.float32), "y": np.zeros(1, np.float32)}
    >>> evaluate(nest, buffers)
    >>> buffers["y"].tolist()
    [3.0]
    """
    if any(axis.size == 0 for axis in nest.maps):
        return
    steps = [range(axis.size) for axis in nest.maps if axis.name in nest.sequential]
    names = [axis.name for axis in nest.maps if axis.name in nest.sequential]
    for step in itertools.product(*steps):
        _evaluate_step(nest, buffers, dict(zip(names, step)))


def _evaluate_step(nest: Nest, buffers: Mapping[str, Array], step: Mapping[str, int]) -> None:
    run = _Run((*nest.maps, *nest.reduces), buffers, step)
    numbers = [run.value(store.expr) for store in nest.stores]
    over = [1 if axis.name in step else axis.size for axis in nest.maps] + [1] * len(nest.reduces)
    for store, number in zip(nest.stores, numbers):
        places = run.places(store.at)
        for index, stride in store.index:
            places = places + stride * run.value(index).astype(np.int64)
        places = np.broadcast_to(places, over)
        run.memory(store.buffer)[places] = np.broadcast_to(number, over)


def evaluate_expr(expr: Expr, axes: Sequence[Axis], buffers: Mapping[str, Array]) -> Array:
    """An expression's numbers over all axes; an axis it reduces over has size 1 in the result.

    >>> from chainrule.core.dtypes import int64
    >>> from chainrule.ir.nest import Call
    >>> evaluate_expr(Call("mul", (Iota("n", int64),) * 2, int64), [Axis("n", 4)], {}).tolist()
    [0, 1, 4, 9]
    """
    number = _Run(tuple(axes), buffers).value(expr)
    gone = {name for each in subexpressions(expr) if isinstance(each, Reduce) for name in each.axes}
    return np.broadcast_to(number, [1 if axis.name in gone else axis.size for axis in axes]).copy()


class _Run:
    """One evaluation: the axes, the buffers, and where the axes are that go step by step."""

    def __init__(
        self,
        axes: tuple[Axis, ...],
        buffers: Mapping[str, Array],
        step: Mapping[str, int] | None = None,
    ) -> None:
        self.axes = {axis.name: (place, axis.size) for place, axis in enumerate(axes)}
        self.buffers = buffers
        self.step = step or {}

    def value(self, expr: Expr) -> Array:
        """An expression's numbers: an array with a dimension for each axis, 1 where it is alike."""
        found: dict[int, Array] = {}
        with np.errstate(all="ignore"):  # infinities and NaN are results like others
            for each in subexpressions(expr):
                found[id(each)] = np.asarray(self._one(each, found), each.dtype.numpy)
        return found[id(expr)]

    def _one(self, expr: Expr, found: dict[int, Array]) -> Any:
        if isinstance(expr, Literal):
            return np.full((1,) * len(self.axes), expr.value).astype(expr.dtype.numpy)
        if isinstance(expr, Iota):
            return self.iota(expr.axis)
        if isinstance(expr, Load):
            places = self.places(expr.at)
            for index, stride in expr.index:
                places = places + stride * found[id(index)].astype(np.int64)
            memory = self.memory(expr.buffer)
            # Over an axis of size 0 nothing is read, but for the numbers that do not depend on it.
            return memory[places] if memory.size else np.zeros(places.shape, memory.dtype)
        if isinstance(expr, Reduce):
            return self._reduce(expr, found[id(expr.expr)])
        args = [found[id(each)] for each in expr.args]
        if expr.name in ("cast", "bitcast"):
            return (_cast if expr.name == "cast" else _bitcast)(args[0], expr.dtype)
        return _FUNCTIONS[expr.name](*args)

    def iota(self, axis: str) -> Array:
        """0, 1, 2, ... along an axis."""
        place, size = self.axes[axis]
        shape = [1] * len(self.axes)
        if axis in self.step:
            return np.full(shape, self.step[axis])
        shape[place] = size
        return np.arange(size).reshape(shape)

    def places(self, at: Affine) -> Array:
        """The places an affine expression stands for."""
        places = np.full((1,) * len(self.axes), at.offset, np.int64)
        for name, stride in at.strides:
            places = places + stride * self.iota(name)
        return places

    def memory(self, name: str) -> Array:
        """A buffer as a flat array, its own memory."""
        buffer = self.buffers[name]
        if not buffer.flags.c_contiguous:
            raise ChainruleError(
                f"evaluate: buffer %{name} is not contiguous", cure="pass a copy", buffer=name
            )
        return buffer.reshape(-1)

    def _reduce(self, reduce: Reduce, numbers: Array) -> Array:
        dims = tuple([self.axes[name][0] for name in reduce.axes])
        shape = list(numbers.shape)
        for name in reduce.axes:
            place, size = self.axes[name]
            shape[place] = size
        return _REDUCTIONS[reduce.kind](np.broadcast_to(numbers, shape), dims)


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What sums are taken in: more digits than a float has; an integer wraps around anyway."""
    if dtype.kind != "f":
        return dtype
    return np.dtype(np.float64 if dtype.itemsize < 8 else np.longdouble)


def _lowest(dtype: np.dtype[Any], sign: int) -> Any:
    if dtype.kind == "f":
        return -sign * np.inf
    return np.iinfo(dtype).min if sign > 0 else np.iinfo(dtype).max


_REDUCTIONS: dict[str, Callable[[Array, tuple[int, ...]], Any]] = {
    "sum": lambda x, dims: np.sum(x, dims, _wide(x.dtype), keepdims=True),
    "product": lambda x, dims: np.prod(x, dims, _wide(x.dtype), keepdims=True),
    "max": lambda x, dims: np.max(x, dims, initial=_lowest(x.dtype, 1), keepdims=True),
    "min": lambda x, dims: np.min(x, dims, initial=_lowest(x.dtype, -1), keepdims=True),
    "any": lambda x, dims: np.any(x, dims, keepdims=True),
    "all": lambda x, dims: np.all(x, dims, keepdims=True),
}


# ---- the primitives --------------------------------------------------------------------------


def _cast(x: Array, dtype: DType) -> Array:
    """NumPy's `astype`; where that leaves it open, the nearest int32 or int64, and 0 for NaN."""
    if x.dtype.kind != "f" or dtype.category != INTEGER:
        return x.astype(dtype.numpy)
    whole = np.trunc(np.where(np.isnan(x), 0, x))
    limits = np.iinfo(np.int64 if dtype.itemsize == 8 else np.int32)
    top = np.nextafter(x.dtype.type(limits.max + 1), x.dtype.type(0))
    inside = np.clip(whole, x.dtype.type(limits.min), top).astype(limits.dtype)
    return np.where(whole > top, limits.max, inside).astype(dtype.numpy)


def _bitcast(x: Array, dtype: DType) -> Array:
    return np.ascontiguousarray(x).view(dtype.numpy).reshape(x.shape)


def _idiv(a: Array, b: Array) -> Array:
    divisor = np.where(b == 0, 1, b).astype(b.dtype)
    return np.where(b == 0, 0, (a - np.fmod(a, divisor)) // divisor)


def _irem(a: Array, b: Array) -> Array:
    return np.fmod(a, b)  # 0 where b is


def _fma_one(a: float, b: float, c: float, narrow: bool) -> float:
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c  # for the sign
    try:
        near = float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
    if not narrow or Fraction(near) == exact:
        return near
    # Rounded twice, a number could come to lie on a tie of float32 that it was not on: keep it off.
    towards = math.inf if exact > Fraction(near) else -math.inf
    odd = np.float64(near).view(np.int64) & 1
    return near if odd else math.nextafter(near, towards)


def _fma(a: Array, b: Array, c: Array) -> Array:
    one = functools.partial(_fma_one, narrow=a.dtype.itemsize < 8)
    wide = [each.astype(np.float64) for each in (a, b, c)]
    exact: Array = np.asarray(np.frompyfunc(one, 3, 1)(*wide))
    return exact.astype(np.float64).astype(a.dtype)


def _of_python(function: Callable[[float], float]) -> Callable[[Array], Array]:
    ufunc = np.frompyfunc(function, 1, 1)
    return lambda x: np.asarray(ufunc(x.astype(np.float64))).astype(np.float64).astype(x.dtype)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "add": np.add,
    "and": np.bitwise_and,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "copysign": np.copysign,
    "cos": np.cos,
    "cosh": np.cosh,
    "div": np.divide,
    "eq": np.equal,
    "erf": _of_python(math.erf),
    "erfc": _of_python(math.erfc),
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "floor": np.floor,
    "fma": _fma,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "ge": np.greater_equal,
    "gt": np.greater,
    "idiv": _idiv,
    "irem": _irem,
    "le": np.less_equal,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.invert,
    "or": np.bitwise_or,
    "pow": np.power,
    "rint": np.rint,
    "select": np.where,
    "shl": np.left_shift,
    "shr": np.right_shift,
    "sigmoid": _sigmoid,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "sub": np.subtract,
    "tan": np.tan,
    "tanh": np.tanh,
    "trunc": np.trunc,
    "xor": np.bitwise_xor,
}
