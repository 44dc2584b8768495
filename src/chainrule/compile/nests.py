"""From trees to a nest: axes are cut into digits that all views agree on, and these are loops."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.compile.trees import (
    Fold,
    Leaf,
    Place,
    Take,
    Tree,
    expression,
    folds,
    leaves,
)
from chainrule.compile.views import View, digits_of, refine
from chainrule.core.dtypes import int64
from chainrule.ir.nest import Affine, Axis, Call, Expr, Iota, Literal, Load, Nest, Reduce, Store

__all__ = ["CannotNest", "Target", "nest_of"]


class CannotNest(Exception):
    """Views whose digits don't fit together: these must be copied first."""

    def __init__(self, views: list[View]) -> None:
        super().__init__("digits that do not fit")
        self.views = views


Target = View | Take
"""Where a tree is computed into: a place that is known, or one that is found at run time."""


def nest_of(
    name: str, pairs: Sequence[tuple[Tree, Target]], sequential: Sequence[int] = ()
) -> Nest:
    """The nest that computes each tree into its place. All have one shape.

    Args:
        sequential: the axes whose steps come one after the other.

    Raises:
        CannotNest: some views can't be written in common digits.
    """
    return _Nesting(name, pairs).nest(sequential)


class _Nesting:
    def __init__(self, name: str, pairs: Sequence[tuple[Tree, Target]]) -> None:
        self.name, self.pairs = name, pairs
        self.known: dict[int, Expr] = {}
        outer = [into if isinstance(into, View) else into.view for _, into in pairs]
        self.rank = len(outer[0].axes)
        inner: list[View] = []
        for tree, into in pairs:
            outer += leaves(tree)
            outer += [] if isinstance(into, View) else leaves(into)
            for each in folds(tree):
                inner += leaves(each.body)
        self.digits = self._digits(outer, inner)

    def _digits(self, outer: list[View], inner: list[View]) -> list[tuple[int, ...]]:
        """The sizes of the digits of every axis: those of the shape, then those reduced."""
        rank = max([len(view.axes) for view in (*outer, *inner)])
        found: list[tuple[int, ...]] = []
        for dim in range(rank):
            views = [view for view in (*outer, *inner) if dim < len(view.axes)]
            sizes = refine([view.axes[dim] for view in views if any(s for _, s in view.axes[dim])])
            if sizes is None:
                # The places written to can't be moved; of the others, those with the most digits.
                raise CannotNest([v for v in views[len(self.pairs) :] if len(v.axes[dim]) > 1])
            size = views[0].shape[dim]
            found.append(sizes if sizes != (1,) or size == 1 else (size,))
        return found

    def _names(self, dim: int) -> list[str]:
        letter = f"i{dim}" if dim < self.rank else f"r{dim - self.rank}"
        digits = self.digits[dim]
        return [letter] if len(digits) == 1 else [f"{letter}_{k}" for k in range(len(digits))]

    def _affine(self, view: View) -> Affine:
        strides: list[tuple[str, int]] = []
        for dim, axis in enumerate(view.axes):
            for name, stride in zip(self._names(dim), digits_of(axis, self.digits[dim])):
                if stride:
                    strides.append((name, stride))
        return Affine(view.offset, tuple(strides))

    def nest(self, sequential: Sequence[int]) -> Nest:
        stores = tuple([self._store(tree, into) for tree, into in self.pairs])
        axes = [
            [Axis(name, size) for name, size in zip(self._names(dim), sizes)]
            for dim, sizes in enumerate(self.digits)
        ]
        maps = tuple([axis for some in axes[: self.rank] for axis in some])
        reduces = tuple([axis for some in axes[self.rank :] for axis in some])
        in_turn = tuple([axis.name for dim in sequential for axis in axes[dim]])
        return Nest(self.name, maps, reduces, stores, in_turn)

    def _store(self, tree: Tree, into: Target) -> Store:
        expr = expression(tree, self.known, self._leaf)
        if isinstance(into, View):
            return Store(into.buffer, self._affine(into), expr)
        return Store(into.view.buffer, self._affine(into.view), expr, self._index(into))

    def _index(self, tree: Take) -> tuple[tuple[Expr, int], ...]:
        return tuple(
            [(expression(index, self.known, self._leaf), step) for index, step in tree.indices]
        )

    def _leaf(self, tree: Tree) -> Expr:
        if isinstance(tree, Leaf):
            return Load(tree.view.buffer, self._affine(tree.view), tree.dtype)
        if isinstance(tree, Take):
            at = self._affine(tree.view)
            return Load(tree.view.buffer, at, tree.dtype, self._index(tree))
        if isinstance(tree, Place):
            return self._place(tree)
        assert isinstance(tree, Fold)
        axes = [
            name
            for dim in range(self.rank, self.rank + len(tree.sizes))
            for name in self._names(dim)
        ]
        return Reduce(tree.kind, expression(tree.body, self.known, self._leaf), tuple(axes))

    def _place(self, tree: Place) -> Expr:
        """offset + Σ stride · digit, computed."""
        at = self._affine(tree.view)
        total: Expr | None = None
        for name, stride in at.strides:
            term: Expr = Iota(name, int64)
            if stride != 1:
                term = Call("mul", (term, Literal(stride, int64)), int64)
            total = term if total is None else Call("add", (total, term), int64)
        if total is None:
            return Literal(at.offset, int64)
        return total if not at.offset else Call("add", (total, Literal(at.offset, int64)), int64)
