"""Values of vector code that is being written: Python's operators write LLVM's instructions.

So that a polynomial reads as one. A `Value` is the name of a register in a function whose text is
being put together; `a * b + c` writes a product and a sum (two roundings), `fma(a, b, c)` one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.compile.llvm_text import Lines, register_type, splat
from chainrule.core.dtypes import FLOAT, DType, bool_, float32, float64, int32, int64

__all__ = [
    "Value",
    "absolute",
    "at_least",
    "at_most",
    "convert",
    "copysign",
    "fma",
    "intrinsic",
    "is_nan",
    "polynomial",
    "round_even",
    "select",
    "sqrt",
]


@dataclass(frozen=True, slots=True)
class Value:
    """A number in every lane.

    Attributes:
        lines: the function it is in.
        name: the register's name, or a literal.
        dtype: what it is.
        lanes: how many.
    """

    lines: Lines
    name: str
    dtype: DType
    lanes: int

    @property
    def type(self) -> str:
        """Its LLVM type."""
        return register_type(self.dtype, self.lanes)

    @property
    def integer(self) -> DType:
        """The integers that are as wide."""
        return int32 if self.dtype.itemsize == 4 else int64

    def constant(self, value: float | int, dtype: DType | None = None) -> Value:
        """A number beside this one."""
        dtype = dtype or self.dtype
        return Value(self.lines, splat(value, dtype, self.lanes), dtype, self.lanes)

    def like(self, value: Value | float | int) -> Value:
        """A value as it is, a number as a constant."""
        return value if isinstance(value, Value) else self.constant(value)

    def new(self, right: str, dtype: DType | None = None) -> Value:
        """What an instruction gives."""
        return Value(self.lines, self.lines.assign(right), dtype or self.dtype, self.lanes)

    def _binary(self, for_float: str, for_integer: str, other: Value | float | int) -> Value:
        operation = for_float if self.dtype.category == FLOAT else for_integer
        return self.new(f"{operation} {self.type} {self.name}, {self.like(other).name}")

    def __add__(self, other: Value | float | int) -> Value:
        return self._binary("fadd", "add", other)

    def __radd__(self, other: float | int) -> Value:
        return self.like(other) + self

    def __sub__(self, other: Value | float | int) -> Value:
        return self._binary("fsub", "sub", other)

    def __rsub__(self, other: float | int) -> Value:
        return self.like(other) - self

    def __mul__(self, other: Value | float | int) -> Value:
        return self._binary("fmul", "mul", other)

    def __rmul__(self, other: float | int) -> Value:
        return self * other

    def __truediv__(self, other: Value | float) -> Value:
        return self._binary("fdiv", "", other)

    def __rtruediv__(self, other: float) -> Value:
        return self.like(other) / self

    def __neg__(self) -> Value:
        if self.dtype.category != FLOAT:
            return 0 - self
        return self.new(f"fneg {self.type} {self.name}")

    def __and__(self, other: Value | int) -> Value:
        return self._binary("", "and", other)

    def __or__(self, other: Value | int) -> Value:
        return self._binary("", "or", other)

    def __xor__(self, other: Value | int) -> Value:
        return self._binary("", "xor", other)

    def __invert__(self) -> Value:
        return self ^ (1 if self.dtype is bool_ else -1)

    def __lshift__(self, bits: int) -> Value:
        return self._binary("", "shl", bits)

    def __rshift__(self, bits: int) -> Value:
        """Zeros come in, whatever the sign was."""
        return self._binary("", "lshr", bits)

    def shifted_keeping_sign(self, bits: int) -> Value:
        """As `>>`, but the sign bit comes in."""
        return self._binary("", "ashr", bits)

    def _compare(self, for_float: str, for_integer: str, other: Value | float | int) -> Value:
        operation = f"fcmp {for_float}" if self.dtype.category == FLOAT else f"icmp {for_integer}"
        return self.new(f"{operation} {self.type} {self.name}, {self.like(other).name}", bool_)

    def __lt__(self, other: Value | float | int) -> Value:
        return self._compare("olt", "slt", other)

    def __le__(self, other: Value | float | int) -> Value:
        return self._compare("ole", "sle", other)

    def __gt__(self, other: Value | float | int) -> Value:
        return self._compare("ogt", "sgt", other)

    def __ge__(self, other: Value | float | int) -> Value:
        return self._compare("oge", "sge", other)

    def equals(self, other: Value | float | int) -> Value:
        """Lane by lane; NaN equals nothing."""
        return self._compare("oeq", "eq", other)

    def bits(self) -> Value:
        """A float's bits as an integer as wide."""
        return self.new(
            f"bitcast {self.type} {self.name} to {register_type(self.integer, self.lanes)}",
            self.integer,
        )

    def as_float(self) -> Value:
        """The float that has these bits."""
        dtype = float32 if self.dtype is int32 else float64
        return self.new(
            f"bitcast {self.type} {self.name} to {register_type(dtype, self.lanes)}", dtype
        )


def intrinsic(name: str, *operands: Value) -> Value:
    """One of LLVM's own functions, of operands of one type."""
    first = operands[0]
    scalar = f"{'f' if first.dtype.category == FLOAT else 'i'}{8 * first.dtype.itemsize}"
    suffix = scalar if first.lanes == 1 else f"v{first.lanes}{scalar}"
    function = f"@llvm.{name}.{suffix}"
    types = ", ".join([first.type] * len(operands))
    first.lines.declare(function, f"declare {first.type} {function}({types})")
    values = ", ".join(f"{first.type} {operand.name}" for operand in operands)
    return first.new(f"call {first.type} {function}({values})")


def fma(a: Value, b: Value | float, c: Value | float) -> Value:
    """a · b + c, rounded once."""
    return intrinsic("fma", a, a.like(b), a.like(c))


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """c[0] + c[1] x + c[2] x² + ...

    Short ones by Horner's rule, the fewest operations; longer ones as two such chains in x², for
    the even and the odd powers: one product more, and half the way from x to the result. A loop
    over vectors is bound by that way too, for a core looks only a few iterations ahead.
    """
    if len(coefficients) <= 6:
        return _horner(x, coefficients)
    square = x * x
    return fma(_horner(square, coefficients[1::2]), x, _horner(square, coefficients[::2]))


def _horner(x: Value, coefficients: Sequence[float]) -> Value:
    total = x.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = fma(total, x, coefficient)
    return total


def absolute(x: Value) -> Value:
    """|x|."""
    return intrinsic("fabs", x)


def sqrt(x: Value) -> Value:
    """√x, correctly rounded."""
    return intrinsic("sqrt", x)


def round_even(x: Value) -> Value:
    """The nearest whole number; a half goes to the even one."""
    return intrinsic("roundeven", x)


def copysign(x: Value, sign: Value) -> Value:
    """|x| with the sign of another."""
    return intrinsic("copysign", x, sign)


def select(condition: Value, then: Value, otherwise: Value | float | int) -> Value:
    """Lane by lane, one or the other."""
    other = then.like(otherwise)
    return then.new(
        f"select {condition.type} {condition.name}, {then.type} {then.name}, "
        f"{other.type} {other.name}"
    )


def at_most(x: Value, bound: float) -> Value:
    """min(x, bound); NaN stays NaN. One instruction on x86, in this order."""
    limit = x.constant(bound)
    return select(limit < x, limit, x)


def at_least(x: Value, bound: float) -> Value:
    """max(x, bound); NaN stays NaN."""
    limit = x.constant(bound)
    return select(limit > x, limit, x)


def is_nan(x: Value) -> Value:
    """Whether it is none."""
    return x.new(f"fcmp uno {x.type} {x.name}, {x.name}", bool_)


def convert(x: Value, dtype: DType) -> Value:
    """A float as another float, or a small whole number as an integer and back."""
    if x.dtype is dtype:
        return x
    if x.dtype.category == FLOAT:
        wider = "fpext" if dtype.itemsize > x.dtype.itemsize else "fptrunc"
        operation = wider if dtype.category == FLOAT else "fptosi"
    elif dtype.category == FLOAT:
        operation = "sitofp"
    else:
        operation = "sext" if dtype.itemsize > x.dtype.itemsize else "trunc"
    return x.new(f"{operation} {x.type} {x.name} to {register_type(dtype, x.lanes)}", dtype)
