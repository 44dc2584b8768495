"""Whether a nest makes sense: raises unless axes, dtypes, arities and places all fit.

Run after every step that makes nests, in tests; a nest that passes can be generated code for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from chainrule.core.dtypes import BOOL, INTEGER, DType, float16
from chainrule.errors import ChainruleError
from chainrule.ir.nest import Affine, Axis, Call, Expr, Iota, Literal, Load, Nest, Reduce, Store
from chainrule.ir.primitives import PRIMITIVES, result_dtype

__all__ = ["verify_nest"]

_KINDS = ("sum", "product", "max", "min", "any", "all")


def verify_nest(nest: Nest, sizes: Mapping[str, int] | None = None) -> None:
    """Raise unless the nest is sound.

    Args:
        nest: the nest.
        sizes: how many elements each buffer has; with it, places are checked too (but for those
            found at run time).

    Raises:
        ChainruleError: an axis is unknown or used where it has no value, dtypes or arities do not
            fit, an element is written twice or outside its buffer.

    >>> from chainrule.ir.nest_text import parse_nest
    >>> text = "nest copy(n: 4):\\n  reads %x f32\\n  %y[n] = %x[n + 1]"
    >>> verify_nest(parse_nest(text), {"x": 5, "y": 4})
    """
    _Check(nest, sizes).run()


class _Check:
    """One check of one nest."""

    def __init__(self, nest: Nest, sizes: Mapping[str, int] | None) -> None:
        self.nest = nest
        self.sizes = sizes
        self.axes: dict[str, Axis] = {}
        self.dtypes: dict[str, DType] = {}
        self.free: dict[int, frozenset[str]] = {}

    def fail(self, problem: str) -> NoReturn:
        """Raise the error."""
        raise ChainruleError(
            f"nest {self.nest.name}: {problem}",
            cure="whoever made this nest is at fault; please report it",
            nest=self.nest.name,
        )

    def run(self) -> None:
        """Axes first, then each store."""
        for axis in (*self.nest.maps, *self.nest.reduces):
            if axis.name in self.axes:
                self.fail(f"there are two axes {axis.name}")
            if axis.size < 0:
                self.fail(f"axis {axis.name} has size {axis.size}")
            self.axes[axis.name] = axis
        maps = frozenset([axis.name for axis in self.nest.maps])
        if not maps.issuperset(self.nest.sequential):
            self.fail(f"{_names(set(self.nest.sequential) - maps)} goes in turn: no map axis")
        for store in self.nest.stores:
            over = self.expression(store.expr)
            if not over <= maps:
                self.fail(f"%{store.buffer} depends on {_names(over - maps)}, outside a reduction")
            named = {name for name, _ in store.at.strides}
            for index, _ in store.index:
                named |= self.expression(index)
            self.indices(store)
            if not named <= maps:
                self.fail(f"%{store.buffer} is written at {_names(named - maps)}: no map axis")
            self.place(store.buffer, store.at, store.expr.dtype, bool(store.index))
            named.update(self.nest.sequential)
            repeated = [a.name for a in self.nest.maps if a.size > 1 and a.name not in named]
            if repeated:
                self.fail(f"each element of %{store.buffer} is written for every {repeated[0]}")

    def expression(self, root: Expr) -> frozenset[str]:
        """Check an expression; gives the axes it depends on, beyond those it reduces."""
        pending: list[tuple[Expr, bool]] = [(root, False)]
        while pending:
            expr, ready = pending.pop()
            if id(expr) in self.free:
                continue
            if ready:
                self.free[id(expr)] = self.one(expr)
                continue
            pending.append((expr, True))
            pending += [(part, False) for part in reversed(_parts(expr))]
        return self.free[id(root)]

    def one(self, expr: Expr) -> frozenset[str]:
        """Check one expression whose parts are known to be right."""
        if expr.dtype is float16:
            self.fail("float16 is not computed in: it is for the host")
        if isinstance(expr, Literal):
            if expr.dtype.category == BOOL and expr.value not in (0, 1):
                self.fail(f"{expr.value} is no bool")
            return frozenset()
        if isinstance(expr, Iota):
            self.known([expr.axis])
            if expr.dtype.category == BOOL:
                self.fail(f"the place along {expr.axis} is no bool")
            return frozenset([expr.axis])
        if isinstance(expr, Load):
            named = self.place(expr.buffer, expr.at, expr.dtype, bool(expr.index))
            self.indices(expr)
            for index, _ in expr.index:
                named |= self.free[id(index)]
            return named
        if isinstance(expr, Reduce):
            return self.reduction(expr)
        self.call(expr)
        return frozenset[str]().union(*[self.free[id(each)] for each in expr.args])

    def reduction(self, reduce: Reduce) -> frozenset[str]:
        """The kind exists and suits the dtype; the axes are reduction axes."""
        if reduce.kind not in _KINDS:
            self.fail(f"there is no reduction {reduce.kind!r}")
        if (reduce.kind in ("any", "all")) != (reduce.dtype.category == BOOL):
            self.fail(f"{reduce.kind} of {reduce.dtype.name}")
        unknown = set(reduce.axes) - {axis.name for axis in self.nest.reduces}
        if unknown or not reduce.axes:
            self.fail(f"{reduce.kind} over {_names(unknown) or 'nothing'}: no reduction axis")
        return self.free[id(reduce.expr)] - set(reduce.axes)

    def call(self, call: Call) -> None:
        """The name exists; arguments and result are as it says."""
        primitive = PRIMITIVES.get(call.name)
        if primitive is None:
            self.fail(f"there is no primitive {call.name!r}")
        given = [each.dtype for each in call.args]
        text = f"{call.name}({', '.join([each.name for each in given])}) -> {call.dtype.name}"
        if len(given) != primitive.arity:
            self.fail(f"{text}: it takes {primitive.arity} arguments")
        last = given[-1]
        alike = given[1:] if primitive.result == "select" else given
        if any(each is not last for each in alike) or last.category not in primitive.categories:
            self.fail(f"{text}: such arguments it does not take")
        if primitive.result == "select" and given[0].category != BOOL:
            self.fail(f"{text}: the condition is no bool")
        if primitive.result != "cast" and call.dtype is not result_dtype(call.name, last):
            self.fail(f"{text}: the result is {result_dtype(call.name, last).name}")
        if call.name == "bitcast" and call.dtype.itemsize != last.itemsize:
            self.fail(f"{text}: the sizes differ")

    def indices(self, place: Load | Store) -> None:
        """Places are found at run time by integers."""
        for index, _ in place.index:
            if index.dtype.category != INTEGER:
                self.fail(f"%{place.buffer} is indexed by {index.dtype.name}, not integers")

    def place(self, buffer: str, at: Affine, dtype: DType, indexed: bool = False) -> frozenset[str]:
        """Check a place in a buffer, and that all agree on what is there; gives its axes."""
        if self.dtypes.setdefault(buffer, dtype) is not dtype:
            self.fail(f"%{buffer} holds {self.dtypes[buffer].name}, and {dtype.name}")
        names = [name for name, _ in at.strides]
        self.known(names)
        if len(set(names)) < len(names) or any(stride == 0 for _, stride in at.strides):
            self.fail(f"%{buffer}[{at}]: an axis twice, or a stride of 0")
        if self.sizes is None or any(self.axes[name].size == 0 for name in self.axes):
            return frozenset(names)
        if buffer not in self.sizes:
            self.fail(f"there is no buffer %{buffer}")
        ends = [stride * (self.axes[name].size - 1) for name, stride in at.strides]
        low = at.offset + sum([min(end, 0) for end in ends])
        high = at.offset + sum([max(end, 0) for end in ends])
        size = self.sizes[buffer]
        if not indexed and not 0 <= low <= high < size:
            self.fail(f"%{buffer}[{at}] goes from {low} to {high}, and there are {size} elements")
        return frozenset(names)

    def known(self, names: Iterable[str]) -> None:
        """The axes exist."""
        for name in names:
            if name not in self.axes:
                self.fail(f"there is no axis {name}")


def _parts(expr: Expr) -> list[Expr]:
    if isinstance(expr, Call):
        return list(expr.args)
    if isinstance(expr, Reduce):
        return [expr.expr]
    return [index for index, _ in expr.index] if isinstance(expr, Load) else []


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
