"""The expressions of a nest, numbered: equal ones are one, and each knows its axes."""

from __future__ import annotations

from chainrule.ir.nest import Affine, Call, Expr, Iota, Literal, Load, Nest, Reduce

__all__ = ["Pool"]


class Pool:
    """Expressions by number, parts before the whole.

    Attributes:
        exprs: the expressions.
        parts: the numbers of what each is made of.
        axes: the axes each depends on; a reduction does not depend on those it runs over.
        roots: the numbers of what the nest's stores write.
        indices: for each store, the numbers of its places that are found at run time.
    """

    def __init__(self, nest: Nest) -> None:
        self.exprs: list[Expr] = []
        self.parts: list[tuple[int, ...]] = []
        self.axes: list[frozenset[str]] = []
        self._numbers: dict[object, int] = {}
        self._seen: dict[int, int] = {}
        self.roots = [self.add(store.expr) for store in nest.stores]
        self.indices = [tuple([self.add(e) for e, _ in store.index]) for store in nest.stores]

    def add(self, root: Expr) -> int:
        """The number of an expression, and of all its parts."""
        pending = [(root, False)]
        while pending:
            expr, ready = pending.pop()
            if id(expr) in self._seen:
                continue
            children = _children(expr)
            if ready or not children:
                self._seen[id(expr)] = self._number(
                    expr, tuple(self._seen[id(c)] for c in children)
                )
            else:
                pending.append((expr, True))
                pending += [(child, False) for child in reversed(children)]
        return self._seen[id(root)]

    def _number(self, expr: Expr, parts: tuple[int, ...]) -> int:
        key = (*_own(expr), parts)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.exprs)
            self.exprs.append(expr)
            self.parts.append(parts)
            axes = frozenset[str]().union(*[self.axes[part] for part in parts], _own_axes(expr))
            self.axes.append(axes.difference(expr.axes) if isinstance(expr, Reduce) else axes)
        return number

    def inside(self, number: int) -> list[int]:
        """An expression and all its parts, parts first, without the bodies of its reductions."""
        found: dict[int, None] = {}
        pending = [number]
        while pending:
            each = pending.pop()
            if each not in found:
                found[each] = None
                if not isinstance(self.exprs[each], Reduce):
                    pending += self.parts[each]
        return sorted(found)

    def reduces(self) -> list[int]:
        """The reductions."""
        return [i for i, expr in enumerate(self.exprs) if isinstance(expr, Reduce)]


def _children(expr: Expr) -> tuple[Expr, ...]:
    if isinstance(expr, Call):
        return expr.args
    if isinstance(expr, Reduce):
        return (expr.expr,)
    if isinstance(expr, Load):
        return tuple([part for part, _ in expr.index])
    return ()


def _own(expr: Expr) -> tuple[object, ...]:
    """What tells an expression from others with the same parts."""
    if isinstance(expr, Literal):
        return "literal", repr(expr.value), expr.dtype
    if isinstance(expr, Load):
        return "load", expr.buffer, expr.at, expr.dtype, tuple([step for _, step in expr.index])
    if isinstance(expr, Iota):
        return "iota", expr.axis, expr.dtype
    if isinstance(expr, Call):
        return "call", expr.name, expr.dtype
    return "reduce", expr.kind, expr.axes


def _own_axes(expr: Expr) -> frozenset[str]:
    if isinstance(expr, Load):
        return frozenset([name for name, _ in expr.at.strides])
    if isinstance(expr, Iota):
        return frozenset([expr.axis])
    return frozenset()


def places(nest: Nest, pool: Pool) -> list[Affine]:
    """Every place that the nest reads from or writes to."""
    loads = [expr.at for expr in pool.exprs if isinstance(expr, Load)]
    return [*loads, *[store.at for store in nest.stores]]
