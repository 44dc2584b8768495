"""Chains of reshapes and permutations, each written in one way.

What a chain does to a tensor is how the digits of the result's axes lie in the source
(`compile/views.py`): that is its `Movement`. Two chains that do the same have the same movement,
and `steps` writes it with as few ops as it takes: a permutation, or a reshape, or one after the
other; three only where both are needed before the axes can be put in order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from chainrule.compile.views import Digits, View, contiguous, simplified
from chainrule.core.dtypes import bool_
from chainrule.core.op import Op
from chainrule.ops.movement import Permute, Reshape

__all__ = ["Movement", "Shape", "inverse", "without_ones"]

Shape = tuple[int, ...]

_remembered = lru_cache(maxsize=4096)
"""Passes ask the same of the same few movements again and again."""


@dataclass(frozen=True)
class Movement:
    """A bijection between the elements of two shapes, made of reshapes and permutations.

    Attributes:
        source: the shape it begins with.
        axes: for each axis of the result, its digits: (size, stride in the source), slowest first.
    """

    source: Shape
    axes: tuple[Digits, ...]

    @staticmethod
    @_remembered
    def none(shape: Shape) -> Movement:
        """The one that moves nothing."""
        return Movement(shape, contiguous("", bool_, shape).axes)

    @property
    def shape(self) -> Shape:
        """The shape of the result."""
        return self._view.shape

    @property
    def _view(self) -> View:
        return View("", bool_, 0, self.axes)

    @_remembered
    def then(self, op: Op) -> Movement | None:
        """This and a reshape or permutation after it; None where digits would be cut askew."""
        if isinstance(op, Permute):
            return Movement(self.source, self._view.permute(op.dims).axes)
        assert isinstance(op, Reshape)
        view = View("", bool_, 0, (self.factors(),)).reshape(op.shape)
        return None if view is None else Movement(self.source, view.axes)

    @_remembered
    def factors(self) -> Digits:
        """The digits of the result in order, as few as say where everything is."""
        return simplified(tuple(itertools.chain.from_iterable(self.axes)))

    @_remembered
    def steps(self) -> tuple[Op, ...]:
        """Ops that do it, as few as it takes."""
        source, shape, factors = self.source, self.shape, self.factors()
        if len(factors) == 1 or 0 in source:
            return _reshaped(source, shape)
        dims = _permutation(source, self.axes)
        if dims is not None:
            return (Permute(dims),)
        order = sorted(range(len(factors)), key=lambda each: -factors[each][1])
        pieces = tuple([factors[each][0] for each in order])
        ours = _grouped(source, pieces)
        theirs = _grouped(shape, tuple([size for size, _ in factors]))
        if ours is not None and (theirs is None or len(source) <= len(shape)):
            # the source's own axes are permuted, then reshaped
            place = dict(zip(order, ours))
            dims = tuple([dim for factor in range(len(factors)) for dim in place[factor]])
            return (Permute(dims), *_reshaped(tuple([source[dim] for dim in dims]), shape))
        if theirs is not None:  # reshaped first, and what is permuted are the result's axes
            first = [dim for factor in order for dim in theirs[factor]]
            back = tuple([first.index(dim) for dim in range(len(shape))])
            return (*_reshaped(source, tuple([shape[dim] for dim in first])), Permute(back))
        dims = tuple([order.index(factor) for factor in range(len(factors))])
        middle = tuple([size for size, _ in factors])
        return (*_reshaped(source, pieces), Permute(dims), *_reshaped(middle, shape))

    @_remembered
    def back(self, shape: Shape) -> Movement | None:
        """What an operand that broadcasts to the result is beside the source.

        For `f(self(x), y) = self(f(x, y'))`, the way from y to y', which has the source's sizes,
        and 1 where y does not vary; None if y varies along a part of one of its axes only. For a y
        of the result's shape that is the way back.
        """
        given = (1,) * (len(self.axes) - len(shape)) + shape
        own = Movement.none(given).axes
        pieces: dict[int, tuple[int, int]] = {}  # by stride in the source: size, stride in y
        for axis, size, ((_, step),) in zip(self.axes, given, own):
            for length, stride in reversed(axis):
                parts = _split(self.source, length, stride)
                if parts is None:
                    return None
                for part, at in parts:
                    pieces[at] = part, step if size > 1 else 0
                    step *= part
        axes: list[Digits] = []
        stride = 1
        for size in reversed(self.source):
            digits: list[tuple[int, int]] = []
            end = stride * size
            while stride < end:
                digits.append(pieces[stride])
                stride *= digits[-1][0]
            varying = {step != 0 for _, step in digits}
            if len(varying) > 1:
                return None
            axes.append(tuple(reversed(digits)) if True in varying else ((1, 0),))
        return Movement(given, tuple(reversed(axes)))

    def finer(self) -> Movement:
        """The same movement of the source cut into its digits, an axis each."""
        digits = [digit for axis in self.axes for digit in axis if digit[0] != 1]
        digits.sort(key=lambda digit: -digit[1])
        return Movement(tuple([size for size, _ in digits]), self.axes)


def _split(source: Shape, size: int, stride: int) -> list[tuple[int, int]] | None:
    """A digit cut where the axes of the source begin, the fastest part first; None if askew."""
    parts: list[tuple[int, int]] = []
    end = 1
    for length in reversed(source):
        end *= length
        if size == 1:
            break
        if stride >= end:
            continue
        part = math.gcd(size, end // stride)
        if end % stride or part != min(size, end // stride):
            return None
        parts.append((part, stride))
        size, stride = size // part, stride * part
    return parts


def _reshaped(before: Shape, after: Shape) -> tuple[Op, ...]:
    return () if before == after else (Reshape(after),)


def _permutation(source: Shape, axes: tuple[Digits, ...]) -> Shape | None:
    """The order of the source's axes, if the result has them whole; those of size 1 as they come.

    None where it has not.
    """
    if len(axes) != len(source):
        return None
    place: dict[int, int] = {}
    stride = 1
    for dim in reversed(range(len(source))):
        if source[dim] != 1:
            place[stride] = dim
            stride *= source[dim]
    ones = iter([dim for dim, size in enumerate(source) if size == 1])
    dims: list[int] = []
    for axis in axes:
        (size, step), *more = simplified(axis)
        dim = next(ones, None) if size == 1 else place.get(step)
        if dim is None or more or source[dim] != size:
            return None
        dims.append(dim)
    return tuple(dims)


def _grouped(shape: Shape, pieces: Sequence[int]) -> list[list[int]] | None:
    """The axes of a shape in groups whose sizes multiply to the pieces; None if they don't."""
    groups: list[list[int]] = []
    axes = iter(range(len(shape)))
    for piece in pieces:
        group: list[int] = []
        size = 1
        while size < piece:
            dim = next(axes)
            group.append(dim)
            size *= shape[dim]
        if size != piece:
            return None
        groups.append(group)
    groups[-1] += axes
    return groups


def inverse(ops: Sequence[Op], source: Shape) -> Iterator[Op]:
    """Ops that undo a chain of reshapes and permutations of something that had a shape."""
    shapes = [source]
    for op in ops:
        before = shapes[-1]
        if isinstance(op, Permute):
            shapes.append(tuple([before[dim] for dim in op.dims]))
        else:
            assert isinstance(op, Reshape)
            shapes.append(op.shape)
    for op, before in zip(reversed(ops), reversed(shapes[:-1])):
        if isinstance(op, Permute):
            yield Permute(tuple(sorted(range(len(op.dims)), key=op.dims.__getitem__)))
        else:
            yield Reshape(before)


def without_ones(shape: Shape) -> Shape:
    """A shape without the sizes of 1 that it begins with: broadcasting adds them."""
    first = next((dim for dim, size in enumerate(shape) if size != 1), len(shape))
    return shape[first:]
