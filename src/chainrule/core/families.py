"""Families of ops: what is true of a whole group is written once, here.

| family | what it supplies | what an op of it writes |
|---|---|---|
| `Elementwise` | broadcasting, both derivatives | `reference`, one `partial_*` per operand |
| `LinearOp` | both derivatives | `type_rule`, `reference`, `transpose` |
| `BilinearOp` | both derivatives | `type_rule`, `reference`, two transposes |

Whatever fits none of them derives from `Op` and writes `vjp` and `jvp` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from chainrule.core.dtypes import bool_
from chainrule.core.interpret import bind
from chainrule.core.op import Bars, Needs, Op, Saves
from chainrule.core.types import TensorType, broadcast_shapes_or_none
from chainrule.errors import DTypeError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["BilinearOp", "Binary", "Elementwise", "LinearOp", "Predicate", "Unary"]

OUTPUT = -1  # the output's place behind the operands

Partial = tuple[Callable[..., Any], tuple[int, ...]]
"""A partial derivative's method, and the positions of what it wants in (*operands, y)."""


class Elementwise(Op, family=True):
    """y[i] = f(a[i], b[i], ...), with operands broadcast against each other.

    For each operand the op can be differentiated by, it defines `partial_<operand>`, dy/d(operand)
    written in ops. *The parameters of that method say what it needs* of the output `y` and the
    operands, and so what is kept for the backward pass:

        class Mul(Binary):
            def partial_a(self, b): return b
            def partial_b(self, a): return a

    A partial is a tensor, a Python number (`1` passes the cotangent on untouched), or a bool
    tensor: a mask, which lets the cotangent pass where it is true and puts zero elsewhere, even
    against an infinite cotangent.
    """

    operands: ClassVar[tuple[str, ...]] = ("x",)
    predicate: ClassVar[bool] = False
    _partials: ClassVar[tuple[Partial | None, ...]] = ()
    _saves_by_needs: ClassVar[dict[Needs, Saves]]

    def __init_subclass__(cls, *, family: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(family=family, **kwargs)
        cls._partials = tuple(cls._read_partial(operand) for operand in cls.operands)
        cls._saves_by_needs = {}

    @classmethod
    def _read_partial(cls, operand: str) -> Partial | None:
        """The method for one operand, and the positions of what its parameters name."""
        method = getattr(cls, f"partial_{operand}", None)
        if method is None:
            return None
        names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
        return method, tuple(OUTPUT if name == "y" else cls.operands.index(name) for name in names)

    def type_rule(self, *types: TensorType) -> TensorType:
        """The broadcast shape; operands share one dtype, a predicate's result is bool."""
        shape = broadcast_shapes_or_none([each.shape for each in types])
        if shape is None:
            self.fail(
                "shapes do not broadcast: " + " and ".join(map(str, types)),
                cure="aligned at the right, two sizes must be equal or one of them 1",
                types=types,
            )
        if any(each.dtype is not types[-1].dtype for each in types):
            self.fail(
                "dtypes differ: " + " and ".join(map(str, types)),
                cure="convert one of them with .to(dtype)",
                error=DTypeError,
                types=types,
            )
        return TensorType(shape, bool_ if self.predicate else types[-1].dtype)

    def saves_for(self, needs: Needs) -> Saves:
        """The union of what the wanted partials name."""
        found = self._saves_by_needs.get(needs)
        if found is None:
            wanted = {
                position
                for partial, need in zip(self._partials, needs, strict=True)
                if need and partial is not None
                for position in partial[1]
            }
            found = Saves(tuple(sorted(wanted - {OUTPUT})), OUTPUT in wanted)
            self._saves_by_needs[needs] = found
        return found

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """x_bar = y_bar · partial, summed over the axes along which x was broadcast."""
        known = (*inputs, y)
        x_bars: list[Tensor | None] = []
        for index, need in enumerate(needs):
            partial = self._partials[index]
            if not need or partial is None:
                x_bars.append(None)
                continue
            method, wants = partial
            x_bar = _times(y_bar, method(self, *map(known.__getitem__, wants)))
            x = inputs[index]
            shape = x.shape if type(x) is TensorType else x.value.shape
            x_bars.append(x_bar if x_bar.value.shape == shape else x_bar.sum_to_size(shape))
        return tuple(x_bars)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: Bars) -> Any:
        """y_dot = the sum of partial · x_dot, broadcast to the output's shape."""
        known = (*inputs, y)
        y_dot: Tensor | None = None
        for partial, x_dot in zip(self._partials, tangents, strict=True):
            if x_dot is None or partial is None:
                continue
            method, wants = partial
            term = _times(x_dot.expand(y.shape), method(self, *map(known.__getitem__, wants)))
            y_dot = term if y_dot is None else y_dot + term
        return y_dot


def _times(bar: Tensor, partial: Any) -> Tensor:
    """One (co)tangent times one partial derivative, as `Elementwise` describes partials."""
    if isinstance(partial, (int, float)):  # a union takes three times as long
        return bar if partial == 1 else -bar if partial == -1 else bar * partial
    if partial.value.dtype.kind == "b":
        return bar.keep_where(partial)
    return bar * partial


class Unary(Elementwise, family=True):
    """y[i] = f(x[i])."""

    operands = ("x",)


class Binary(Elementwise, family=True):
    """y[i] = f(a[i], b[i])."""

    operands = ("a", "b")


class Predicate(Elementwise, family=True):
    """A comparison or a test: the result is bool, and there is no derivative."""

    predicate = True
    differentiable = False


class LinearOp(Op, family=True):
    """y = L x, linear in the inputs that `linear_in` lists; the others only steer (an index).

    Its derivative is itself, and its cotangent goes back through the transpose.
    """

    linear_in: ClassVar[tuple[int, ...] | None] = None  # None: in all of them

    def _is_linear_in(self, index: int) -> bool:
        return self.linear_in is None or index in self.linear_in

    def saves_for(self, needs: Needs) -> Saves:
        """The inputs that steer; the linear ones are not needed again."""
        if self.linear_in is None:
            return self.saves
        return Saves(tuple(i for i in range(len(needs)) if i not in self.linear_in))

    transpose: ClassVar[Callable[..., Bars]]
    """`transpose(y_bar, *inputs, needs=...)`: Lᵀ y_bar for each input; the linear ones arrive as
    their `TensorType`, the steering ones as they were."""

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """x_bar = Lᵀ y_bar."""
        return self.transpose(y_bar, *inputs, needs=needs)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: Bars) -> Any:
        """y_dot = L x_dot."""
        return bind(
            self,
            *[
                x if not self._is_linear_in(i) else x.zeros_like() if x_dot is None else x_dot
                for i, (x, x_dot) in enumerate(zip(inputs, tangents, strict=True))
            ],
        )


class BilinearOp(Op, family=True):
    """y = B(a, b), linear in each of two inputs."""

    def saves_for(self, needs: Needs) -> Saves:
        """The cotangent of each input needs the other."""
        return Saves(tuple(i for i in (0, 1) if needs[1 - i]))

    transpose_a: ClassVar[Callable[..., Any]]
    """`transpose_a(y_bar, a, b)`: a_bar; `a` arrives as its type."""

    transpose_b: ClassVar[Callable[..., Any]]
    """`transpose_b(y_bar, a, b)`: b_bar; `b` arrives as its type."""

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """(Bᵀ(y_bar, b), Bᵀ(a, y_bar))."""
        a, b = inputs
        return (
            self.transpose_a(y_bar, a, b) if needs[0] else None,
            self.transpose_b(y_bar, a, b) if needs[1] else None,
        )

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: Bars) -> Any:
        """y_dot = B(a_dot, b) + B(a, b_dot)."""
        a, b = inputs
        a_dot, b_dot = tangents
        if a_dot is None:
            return None if b_dot is None else bind(self, a, b_dot)
        if b_dot is None:
            return bind(self, a_dot, b)
        return bind(self, a_dot, b) + bind(self, a, b_dot)
