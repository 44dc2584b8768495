"""Nests rewritten so that what they use again is still near: long sums in parts, operands in order.

A product streams its operands past a tile again and again. Where they don't fit into a cache, the
sum is cut into parts short enough that they do, and each part is added to what the parts before
have come to. And an operand whose neighbours in the lanes are far apart in memory is copied first,
if the model says that it pays: the copy serves every nest that reads the operand so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from chainrule.compile.axes import merge_axes
from chainrule.compile.choose import Choice, cost
from chainrule.compile.lowering import Buffer, Guard, Host, Lowered
from chainrule.compile.pool import Pool
from chainrule.compile.target import Target
from chainrule.ir.nest import (
    Affine,
    Axis,
    Call,
    Expr,
    Literal,
    Load,
    Nest,
    Reduce,
    Store,
    subexpressions,
)

__all__ = ["improve", "improved"]

WORTH = 500_000
"""Steps of a nest below which nothing is tried."""

GOOD = 1.2
"""Nothing is tried either where the model says that so much of the least time is taken."""

CLOSE = 1.3
"""Sums are cut in what costs at most so much more than the cheapest."""

WIN = 0.85
"""How much cheaper it has to become."""

RUN = 256
"""How many neighbours in memory are not torn apart: every short run is another page to look up."""

DEAR = frozenset(["tanh", "exp", "log", "sigmoid", "erf", "sin", "cos", "pow", "expm1", "log1p"])
"""Functions that cost far more for one number than for one lane of many."""

_Key = tuple[str, int, tuple[tuple[int, int, int], ...]]
"""A copy: the buffer, the offset, and of each axis the size and the strides there and here."""


def improve(lowered: Lowered, target: Target) -> None:
    """Rewrite the products of a program in place, where the model says that it pays."""
    for _ in improved(lowered, target):
        pass


def improved(lowered: Lowered, target: Target) -> Iterator[Nest | Host | Guard]:
    """The same, and each step of the program as soon as it is final."""
    yield from _Improving(lowered, target).run()


@dataclass(slots=True)
class _Variant:
    """One way to compute a product.

    Attributes:
        nest: the product, reading what it reads.
        copy: the kernel that must run before, to put an operand in order; None where none must.
        key: by which the copy can be found again.
        cycles: what the product costs, and the copy.
        choices: its best schedules.
        parts: the axis whose sum is cut, and the length of a part.
    """

    nest: Nest
    copy: Nest | None
    key: _Key | None
    cycles: float
    choices: list[Choice]
    parts: tuple[str, int] | None = None


class _Improving:
    def __init__(self, lowered: Lowered, target: Target) -> None:
        self.lowered, self.target = lowered, target
        self.copies: dict[_Key, str] = {}
        self.steps: list[Nest | Host | Guard] = []
        written = Counter(
            [
                store.buffer
                for step in lowered.steps
                if isinstance(step, Nest)
                for store in step.stores
            ]
        )
        self.often = {name for name, count in written.items() if count > 1}

    def run(self) -> Iterator[Nest | Host | Guard]:
        """All steps, one after the other."""
        given = 0
        for step in self.lowered.steps:
            if isinstance(step, Nest):
                nest = merge_axes(step)
                for each in self._apart(nest):
                    self._improve(each)
            else:
                self.steps.append(step)
            yield from self.steps[given:]
            given = len(self.steps)
        self.lowered.steps[:] = self.steps

    def _improve(self, nest: Nest) -> None:
        reduce = _product(nest)
        points = math.prod([axis.size for axis in (*nest.maps, *nest.reduces)])
        if reduce is None or points < WORTH:
            self.steps.append(nest)
            return
        cycles, choices = cost(nest, self.target)
        ideal = points / 2 / (self.target.vector_bytes // reduce.dtype.itemsize)
        plain = _Variant(nest, None, None, cycles, choices)
        if cycles < GOOD * ideal:
            self._take(plain, reduce)
            return
        variants = [plain, *self._with_copies(nest, reduce)]
        least = min(each.cycles for each in variants)
        for each in variants:
            if each is plain or each.cycles < CLOSE * least:
                self._try_parts(each)
        best = min(variants, key=lambda each: each.cycles)
        if best.cycles > WIN * plain.cycles:
            best = plain
        self._take(best, reduce)

    def _take(self, variant: _Variant, reduce: Reduce) -> None:
        """Put a variant into the program."""
        if variant.copy is not None and variant.key is not None:
            self.steps.append(variant.copy)
            self.copies[variant.key] = variant.copy.stores[0].buffer
        if variant.parts is None:
            self.steps.append(variant.nest)
            return
        name = self._buffer("sum", reduce, variant.nest)
        found = _product(variant.nest)
        assert found is not None
        self.steps += self._parts_of(variant.nest, found, *variant.parts, name)

    def _buffer(self, prefix: str, reduce: Reduce, nest: Nest) -> str:
        """A new buffer for what a reduction comes to."""
        name = f"{prefix}{len(self.lowered.buffers)}"
        count = math.prod([axis.size for axis in nest.maps])
        self.lowered.buffers[name] = Buffer("arena", reduce.dtype, count)
        return name

    # -- what comes after, apart --

    def _apart(self, nest: Nest) -> list[Nest]:
        """The nest; or, where what it makes of its sums is dear and not in the lanes, two.

        With a reduction in the lanes each sum is one number, and so is all that follows.
        """
        reduce = _product(nest)
        if reduce is None or not any(
            isinstance(e, Call) and e.name in DEAR for e in Pool(nest).exprs
        ):
            return [nest]
        whole, choices = cost(nest, self.target)
        if choices[0][0] not in [axis.name for axis in nest.reduces]:
            return [nest]
        at = _in_line(nest)
        for name in ("", "sum"):
            so_far = Load(name and self._buffer(name, reduce, nest), at, reduce.dtype)
            store = Store(so_far.buffer, at, reduce)
            first = Nest("matmul", nest.maps, nest.reduces, (store,))
            end = _exchanged(nest, lambda e: e, _everywhere(nest, reduce, so_far))
            parts = [first, merge_axes(Nest(nest.name, nest.maps, (), end.stores))]
            if not name and sum(cost(each, self.target)[0] for each in parts) > 0.9 * whole:
                return [nest]
        return parts

    # -- operands in order --

    def _with_copies(self, nest: Nest, reduce: Reduce) -> Iterator[_Variant]:
        """The nest with one of its operands copied, another axis innermost."""
        for load in _factors(reduce):
            buffer = self.lowered.buffers[load.buffer]
            if load.buffer in self.often or not _is_dense(load.at, nest, buffer.size):
                continue
            for axis, stride in load.at.strides:
                if stride != 1:
                    yield self._with_copy(nest, load, axis)

    def _with_copy(self, nest: Nest, load: Load, last: str) -> _Variant:
        sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
        axes = [axis for axis, _ in load.at.strides if axis != last]
        axes.sort(key=lambda axis: -abs(load.at.stride(axis)))
        strides: dict[str, int] = {}
        step = 1
        for axis in reversed([*axes, last]):
            strides[axis], step = step, step * sizes[axis]
        at = Affine(0, tuple([(axis, strides[axis]) for axis, _ in load.at.strides]))
        pairs = sorted([(sizes[axis], stride, strides[axis]) for axis, stride in load.at.strides])
        key = load.buffer, load.at.offset, tuple(pairs)
        name, copy, extra = self.copies.get(key), None, 0.0
        if name is None:
            name = f"ordered{len(self.lowered.buffers)}_{last}"
            maps = tuple([Axis(axis, sizes[axis]) for axis in [*axes, last]])
            copy = Nest("ordered", maps, (), (Store(name, at, load),))
            self.lowered.buffers.setdefault(name, Buffer("arena", load.dtype, step))
            extra = cost(merge_axes(copy), self.target)[0]
        made = _exchanged(nest, lambda e: replace(e, buffer=name, at=at) if e == load else e)
        cycles, choices = cost(made, self.target)
        return _Variant(made, copy, key, cycles + extra, choices)

    # -- sums in parts --

    def _try_parts(self, variant: _Variant) -> None:
        """Cut the variant's sum, if that makes it cheaper."""
        nest = variant.nest
        reduce = _product(nest)
        assert reduce is not None
        whole = cost(nest, self.target, variant.choices)[0]
        best = WIN * whole
        for axis in nest.reduces:
            rest = math.prod([each.size for each in nest.reduces]) // axis.size
            in_line = any(load.at.stride(axis.name) == 1 for load in _factors(reduce))
            for size in _parts(axis.size, rest):
                if in_line and size < RUN:
                    continue
                parts = self._parts_of(nest, reduce, axis.name, size, "")
                total = cost(parts[1], self.target, variant.choices)[0]
                if total < best:
                    best, variant.parts = total, (axis.name, size)
        if variant.parts is not None:
            variant.cycles += best - whole

    def _parts_of(self, nest: Nest, reduce: Reduce, axis: str, size: int, name: str) -> list[Nest]:
        at = _in_line(nest)
        so_far = Load(name, at, reduce.dtype)
        zero = Nest("zero", nest.maps, (), (Store(name, at, Literal(0, reduce.dtype)),))
        length = next(each.size for each in nest.reduces if each.name == axis)
        outer = f"{axis}_part"

        def cut(place: Affine) -> Affine:
            stride = place.stride(axis)
            if not stride:
                return place
            return Affine(place.offset, ((outer, stride * size), *place.strides))

        part = _exchanged_expr(reduce, lambda e: replace(e, at=cut(e.at)))
        total = Call("add", (so_far, part), reduce.dtype)
        reduces = tuple([Axis(axis, size) if r.name == axis else r for r in nest.reduces])
        maps = (Axis(outer, length // size), *nest.maps)
        parts = Nest("part", maps, reduces, (Store(name, at, total),), (outer,))
        end = _exchanged(nest, lambda e: e, _everywhere(nest, reduce, so_far))
        return [zero, parts, Nest(nest.name, nest.maps, (), end.stores)]


def _parts(length: int, rest: int) -> list[int]:
    """Sizes of parts to try: divisors that make sums of about 64, 256 and 1024 steps."""
    divisors = [n for n in range(1, length // 2 + 1) if length % n == 0 and length // n <= 64]
    near = [
        min(divisors, key=lambda n: abs(n * rest - want)) for want in (64, 256, 1024) if divisors
    ]
    return list(dict.fromkeys(near))


def _product(nest: Nest) -> Reduce | None:
    """The sum of products that a nest is made around, if it is."""
    found = {id(e): e for e in Pool(nest).exprs if isinstance(e, Reduce)}
    if len(found) != 1:
        return None
    (reduce,) = found.values()
    body = reduce.expr
    good = reduce.kind == "sum" and isinstance(body, Call) and body.name == "mul"
    return (
        reduce if good and len(_factors(reduce)) == 2 and reduce.dtype.is_floating_point else None
    )


def _everywhere(nest: Nest, reduce: Reduce, made: Expr) -> dict[int, Expr]:
    """What stands for the reduction, for each of the expressions that say it."""
    exprs = [each for store in nest.stores for each in subexpressions(store.expr)]
    return {id(each): made for each in exprs if each == reduce}


def _factors(reduce: Reduce) -> list[Load]:
    body = reduce.expr
    assert isinstance(body, Call)
    return [arg for arg in body.args if isinstance(arg, Load) and not arg.index]


def _in_line(nest: Nest) -> Affine:
    """A place for a number at every point of the maps, in the order of what the nest stores."""
    strides: dict[str, int] = {}
    step = 1
    for axis in sorted(nest.maps, key=lambda axis: nest.stores[0].at.stride(axis.name)):
        strides[axis.name], step = step, step * axis.size
    return Affine(0, tuple([(axis.name, strides[axis.name]) for axis in nest.maps]))


def _is_dense(at: Affine, nest: Nest, size: int) -> bool:
    """Whether a place visits no element twice, as overlapping windows do."""
    sizes = {axis.name: axis.size for axis in (*nest.maps, *nest.reduces)}
    return math.prod([sizes[axis] for axis, _ in at.strides]) <= size


def _exchanged(
    nest: Nest, load: Callable[[Load], Load], known: dict[int, Expr] | None = None
) -> Nest:
    """The nest with its loads changed."""
    known = dict(known or {})
    stores = tuple(
        [replace(each, expr=_exchanged_expr(each.expr, load, known)) for each in nest.stores]
    )
    return replace(nest, stores=stores)


def _exchanged_expr(
    expr: Expr, load: Callable[[Load], Load], known: dict[int, Expr] | None = None
) -> Expr:
    known = {} if known is None else known
    if id(expr) not in known:
        if isinstance(expr, Load):
            made: Expr = load(expr)
        elif isinstance(expr, Call):
            made = replace(expr, args=tuple([_exchanged_expr(a, load, known) for a in expr.args]))
        elif isinstance(expr, Reduce):
            made = replace(expr, expr=_exchanged_expr(expr.expr, load, known))
        else:
            made = expr
        known[id(expr)] = made
    return known[id(expr)]
