"""The arithmetic of two operands: + - * / and kin, with PyTorch's promotion of mixed dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.base import TensorBase, is_tensor
from chainrule.core.dtypes import bool_
from chainrule.core.families import Binary, Elementwise, Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Op, Sample
from chainrule.core.samples import binary_samples, spread, unary_samples
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError, OpError
from chainrule.ops.division import DivFloor, DivTrunc
from chainrule.ops.promotion import floating, pair, promote
from chainrule.ops.refusal import refuse

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "add",
    "addcdiv",
    "addcmul",
    "copysign",
    "div",
    "lerp",
    "logaddexp",
    "logaddexp2",
    "mul",
    "neg",
    "positive",
    "rsub",
    "sub",
    "true_divide",
]

IN_PLACE = (
    "add",
    "addcdiv",
    "addcmul",
    "copysign",
    "div",
    "lerp",
    "mul",
    "neg",
    "sub",
    "true_divide",
)
"""Those with an in-place method: `add_` and so on."""

_TENSOR: Any = TensorBase  # for `isinstance`, which takes a third of `is_tensor`'s time

ROUNDED = {"floor": DivFloor, "trunc": DivTrunc}
"""The ops behind the rounding modes of `div`."""


def _is_whole(operand: Any) -> bool:
    return is_tensor(operand) and operand.value.dtype.kind != "f"


def _scaled(op: Op, other: Any, alpha: float) -> Any:
    """`alpha * other`; a fraction of integers would change their dtype behind the user's back."""
    if alpha == 1:
        return other
    if isinstance(alpha, float) and _is_whole(other):
        op.fail(
            f"alpha is {alpha}, a float, and the other operand holds integers",
            cure="pass an int, or convert the operand to floats",
            error=OpError,
        )
    return mul(other, alpha)


class Add(Binary):
    r"""y = a + b.    dy/da = 1,  dy/db = 1"""

    samples = binary_samples(low=-3, high=3)

    reference = staticmethod(np.add)

    def partial_a(self) -> int:
        """1."""
        return 1

    def partial_b(self) -> int:
        """1."""
        return 1


_ADD = Add()  # made once: it has no fields


def add(input: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """`input + alpha * other`, element by element, broadcast.

    >>> import chainrule
    >>> chainrule.add(chainrule.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    a, b = pair(input, other if alpha == 1 else _scaled(Add(), other, alpha))
    return bind(_ADD, a, b)


class Sub(Binary):
    r"""y = a - b.    dy/da = 1,  dy/db = -1"""

    samples = binary_samples(low=-3, high=3)

    def type_rule(self, *types: TensorType) -> TensorType:
        """The broadcast shape; not of bools."""
        if types[0].dtype is bool_:
            self.fail(
                "bools can't be subtracted: " + " and ".join(map(str, types)),
                cure="use ^ (they differ) or logical_not, or convert them to integers",
                error=DTypeError,
                types=types,
            )
        return super().type_rule(*types)

    reference = staticmethod(np.subtract)

    def partial_a(self) -> int:
        """1."""
        return 1

    def partial_b(self) -> int:
        """-1."""
        return -1


_SUB = Sub()  # made once: it has no fields


def sub(input: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """`input - alpha * other`, element by element, broadcast.

    Raises:
        DTypeError: both are bools.
        OpError: a fraction for `alpha` where both are integers.

    >>> import chainrule
    >>> chainrule.tensor([10, 20]).sub(chainrule.tensor([1, 2]), alpha=2)
    tensor([ 8, 16])
    """
    a, b = pair(input, other if alpha == 1 else _scaled(Sub(), other, alpha))
    return bind(_SUB, a, b)


def rsub(input: Tensor, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """`other - alpha * input`: `sub` the other way round.

    >>> import chainrule
    >>> chainrule.rsub(chainrule.tensor([1, 2]), 10)
    tensor([9, 8])
    """
    a, b = pair(other, input if alpha == 1 else _scaled(Sub(), input, alpha))
    return bind(_SUB, a, b)


class Mul(Binary):
    r"""y = a b.    dy/da = b,  dy/db = a"""

    samples = binary_samples(low=-3, high=3)

    reference = staticmethod(np.multiply)

    def partial_a(self, b: Tensor) -> Tensor:
        """b."""
        return b

    def partial_b(self, a: Tensor) -> Tensor:
        """a."""
        return a


_MUL = Mul()  # made once: it has no fields


def mul(input: Tensor | float, other: Tensor | float) -> Tensor:
    """`input * other`, element by element, broadcast.

    >>> import chainrule
    >>> chainrule.tensor([[1], [2]]) * chainrule.tensor([3, 4])
    tensor([[3, 4],
            [6, 8]])
    """
    a, b = pair(input, other)
    return bind(_MUL, a, b)


def _operator(op: Op, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The operator of a function: straight to the op where both are tensors of one dtype."""

    def operator(self: Tensor, other: Any) -> Tensor:
        if isinstance(other, _TENSOR) and self.value.dtype is other.value.dtype:
            return bind(op, self, other)
        return function(self, other)

    return operator


plus, minus, times = _operator(_ADD, add), _operator(_SUB, sub), _operator(_MUL, mul)
"""What `+`, `-` and `*` are: the arithmetic that most code consists of."""


class Div(Binary):
    r"""y = a / b.    dy/da = 1/b,  dy/db = -y/b"""

    samples = binary_samples(low=-3, high=3, low_b=0.5)

    reference = staticmethod(np.divide)

    def partial_a(self, b: Tensor) -> Tensor:
        """1 / b."""
        return 1 / b

    def partial_b(self, y: Tensor, b: Tensor) -> Tensor:
        """-y / b."""
        return -(y / b)


_DIV = Div()  # made once: it has no fields


def div(
    input: Tensor | float, other: Tensor | float, *, rounding_mode: str | None = None
) -> Tensor:
    """`input / other`, broadcast; without a rounding mode integers divide to floats.

    Args:
        rounding_mode: None for true division, `"trunc"` to round towards zero, `"floor"` down.
            A rounded quotient of integers is an integer, and none has a gradient but zero.

    >>> import chainrule
    >>> chainrule.div(chainrule.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    a, b = pair(input, other)
    if rounding_mode is None:
        return bind(_DIV, floating(a), floating(b))
    if rounding_mode not in ROUNDED:
        Div().fail(
            f"rounding_mode is {rounding_mode!r}",
            cure='pass None, "trunc" or "floor"',
            error=OpError,
        )
    return bind(ROUNDED[rounding_mode](), a, b)


def true_divide(input: Tensor | float, other: Tensor | float) -> Tensor:
    """`input / other`, broadcast; integers divide to floats.

    >>> import chainrule
    >>> chainrule.true_divide(chainrule.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    return div(input, other)


class Neg(Unary):
    r"""y = -x.    dy/dx = -1"""

    samples = unary_samples(low=-3, high=3)

    def type_rule(self, *types: TensorType) -> TensorType:
        """The same type; not of bools."""
        if types[0].dtype is bool_:
            self.fail(
                f"bools have no negative: {types[0]}",
                cure="use ~ for not, or convert them to integers",
                error=DTypeError,
                types=types,
            )
        return types[0]

    reference = staticmethod(np.negative)

    def partial_x(self) -> int:
        """-1."""
        return -1


_NEG = Neg()  # made once: it has no fields


def neg(input: Tensor) -> Tensor:
    """`-input`.

    Raises:
        DTypeError: of bools; `~input` is their negation.

    >>> import chainrule
    >>> -chainrule.tensor([1.0, -2.0])
    tensor([-1.,  2.])
    """
    return bind(_NEG, input)


def positive(input: Tensor) -> Tensor:
    """The tensor itself: what `+x` gives.

    >>> import chainrule
    >>> x = chainrule.tensor([1, -2])
    >>> x.positive() is x
    True
    """
    return input


class Lerp(Elementwise):
    r"""y = a + w (b - a).    dy/da = 1 - w,  dy/db = w,  dy/dw = b - a"""

    operands = ("a", "b", "w")

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Weights inside and outside [0, 1]; all three broadcast."""
        for a, b, w in (((4,), (4,), ()), ((2, 3), (3,), (2, 1)), ((), (), (2,))):
            yield Sample(
                op(), (spread(a, -3, 3), spread(b, -3, 3, seed=1), spread(w, -0.5, 1.5, seed=2))
            )

    def reference(self, a: Array, b: Array, w: Array) -> Array:
        """From whichever end is nearer, so that w = 1 gives b exactly."""
        return np.where(np.abs(w) < 0.5, a + w * (b - a), b - (b - a) * (1 - w))

    def partial_a(self, w: Tensor) -> Tensor:
        """1 - w."""
        return 1 - w

    def partial_b(self, w: Tensor) -> Tensor:
        """w."""
        return w

    def partial_w(self, a: Tensor, b: Tensor) -> Tensor:
        """b - a."""
        return b - a


def lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """From `input` (weight 0) to `end` (weight 1) along the straight line between them.

    input + weight * (end - input), broadcast.

    >>> import chainrule
    >>> chainrule.lerp(chainrule.tensor([0.0, 10.0]), chainrule.tensor([1.0, 20.0]), 0.25)
    tensor([ 0.2500, 12.5000])
    """
    return bind(Lerp(), *promote(input, end, weight))


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """`input + value * tensor1 * tensor2`, broadcast.

    A fractional value of integers is refused, as `add` refuses such an alpha. (PyTorch cuts off
    the fraction.)

    >>> import chainrule
    >>> x = chainrule.tensor([1.0, 2.0])
    >>> chainrule.addcmul(x, x, x, value=10)
    tensor([11., 42.])
    """
    product = mul(tensor1, tensor2)
    if isinstance(value, float) and _is_whole(product):
        refuse(
            "addcmul",
            f"value is {value}, a float, and the factors hold integers",
            cure="pass an int, or convert them to floats",
            error=OpError,
        )
    return add(input, product if value == 1 else product * value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """`input + value * tensor1 / tensor2`, broadcast.

    >>> import chainrule
    >>> x = chainrule.tensor([1.0, 2.0])
    >>> chainrule.addcdiv(x, x, x + 1, value=2)
    tensor([2.0000, 3.3333])
    """
    quotient = div(tensor1, tensor2)
    return add(input, quotient if value == 1 else quotient * value)


class Copysign(Binary):
    r"""y = |a| with the sign of b.    dy/da = 1 where the signs agree, -1 where not, 0 at 0"""

    samples = binary_samples(low=-3, high=3, avoid=(0,))

    def reference(self, a: Array, b: Array) -> Array:
        """`np.copysign`."""
        return np.copysign(a, b)

    def partial_a(self, y: Tensor, a: Tensor) -> Tensor:
        """sign(a) sign(y)."""
        return a.sign() * y.sign()

    def partial_b(self) -> int:
        """0."""
        return 0


def copysign(input: Tensor, other: Tensor | float) -> Tensor:
    """The magnitude of `input` with the sign of `other`, which -0.0 has too.

    >>> import chainrule
    >>> chainrule.copysign(chainrule.tensor([1, -2]), -0.0)
    tensor([-1., -2.])
    """
    a, b = pair(input, other)
    return bind(Copysign(), floating(a), floating(b))


class Logaddexp(Binary):
    r"""y = ln(e^a + e^b).    dy/da = σ(a - b),  dy/db = σ(b - a)"""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a: Array, b: Array) -> Array:
        """`np.logaddexp`, which does not overflow."""
        return np.logaddexp(a, b)

    def partial_a(self, a: Tensor, b: Tensor) -> Tensor:
        """1 / (1 + e^(b - a))."""
        return (a - b).sigmoid()

    def partial_b(self, a: Tensor, b: Tensor) -> Tensor:
        """1 / (1 + e^(a - b))."""
        return (b - a).sigmoid()


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """ln(e^input + e^other), without overflow: how probabilities given as logarithms add up.

    >>> import chainrule
    >>> x = chainrule.tensor([1000.0, -1000.0])
    >>> chainrule.logaddexp(x, x)  # x + ln 2
    tensor([1000.6932, -999.3068])
    """
    a, b = pair(input, other)
    return bind(Logaddexp(), floating(a), floating(b))


def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log₂(2^input + 2^other), without overflow.

    >>> import chainrule
    >>> chainrule.logaddexp2(chainrule.tensor([3.0, 1000.0]), chainrule.tensor([3.0, 1000.0]))
    tensor([   4., 1001.])
    """
    a, b = pair(input, other)
    ln2 = float(np.log(2.0))
    return logaddexp(floating(a) * ln2, floating(b) * ln2) / ln2
