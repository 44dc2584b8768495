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

OUTPUT = -1

Partial = Callable[[Any, Any, tuple[Any, ...]], Any]
"""A partial derivative as a function of the op, its output and all its operands."""


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
    _wanted: ClassVar[tuple[tuple[int, ...], ...]] = ()
    _saves_by_needs: ClassVar[dict[Needs, Saves]]

    def __init_subclass__(cls, *, family: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(family=family, **kwargs)
        defined = [hasattr(cls, f"partial_{operand}") for operand in cls.operands]
        cls._wanted = tuple(
            cls._wants(operand) if known else ()
            for operand, known in zip(cls.operands, defined, strict=True)
        )
        cls._partials = tuple(
            _partial(getattr(cls, f"partial_{operand}"), wants) if known else None
            for operand, known, wants in zip(cls.operands, defined, cls._wanted, strict=True)
        )
        cls._saves_by_needs = {}

    @classmethod
    def _wants(cls, operand: str) -> tuple[int, ...]:
        """The positions of what the partial's parameters name: `OUTPUT`, or an operand's."""
        code = getattr(cls, f"partial_{operand}").__code__
        names = code.co_varnames[1 : code.co_argcount]
        return tuple(OUTPUT if name == "y" else cls.operands.index(name) for name in names)

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
                for wants, need in zip(self._wanted, needs, strict=True)
                if need
                for position in wants
            }
            found = Saves(tuple(sorted(wanted - {OUTPUT})), OUTPUT in wanted)
            self._saves_by_needs[needs] = found
        return found

    def vjp(self, y_bar: Any, y: Any, *inputs: Any, needs: Needs) -> Bars:
        """x_bar = y_bar · partial, summed over the axes along which x was broadcast."""
        x_bars: list[Tensor | None] = []
        for partial, x, need in zip(self._partials, inputs, needs, strict=True):
            if not need or partial is None:
                x_bars.append(None)
                continue
            x_bar = _times(y_bar, partial(self, y, inputs))
            if x_bar.value.shape != x.shape:
                x_bar = x_bar.sum_to_size(x.shape)
            x_bars.append(x_bar)
        return tuple(x_bars)

    def jvp(self, y: Any, inputs: tuple[Any, ...], tangents: Bars) -> Any:
        """y_dot = the sum of partial · x_dot, broadcast to the output's shape."""
        y_dot: Tensor | None = None
        for partial, x_dot in zip(self._partials, tangents, strict=True):
            if x_dot is None or partial is None:
                continue
            term = _times(x_dot.expand(y.shape), partial(self, y, inputs))
            y_dot = term if y_dot is None else y_dot + term
        return y_dot


def _partial(method: Callable[..., Any], wants: tuple[int, ...]) -> Partial:
    """The method, handed just what its parameters name. One value is what most of them want."""
    if len(wants) == 1:
        (only,) = wants
        if only == OUTPUT:
            return lambda op, y, inputs: method(op, y)
        return lambda op, y, inputs: method(op, inputs[only])
    if not wants:
        return lambda op, y, inputs: method(op)
    return lambda op, y, inputs: method(op, *[y if w == OUTPUT else inputs[w] for w in wants])


def _times(bar: Tensor, partial: Any) -> Tensor:
    """One (co)tangent times one partial derivative, as `Elementwise` describes partials."""
    if isinstance(partial, (int, float)):  # noqa: UP038  # a union takes three times as long
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
