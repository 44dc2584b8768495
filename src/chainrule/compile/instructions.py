"""Each primitive of a scalar expression, as LLVM text for any number of lanes.

`emit` writes one of `ir/primitives.py`'s. What a machine has an instruction for is written here,
lane for lane as NumPy means it: integers wrap around, nothing traps, nothing is undefined, and
comparisons with NaN are as IEEE says. Functions that have to be approximated are in
`compile/vector_math`. No fast-math flags, anywhere: the same bits always.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.compile import vector_math
from chainrule.compile.llvm_text import Lines, register_type, splat
from chainrule.core.dtypes import BOOL, FLOAT, INTEGER, DType, int32

__all__ = ["emit"]


@dataclass(frozen=True, slots=True)
class _Site:
    """Where one instruction is written: the operands, what they are, and how many lanes."""

    lines: Lines
    args: tuple[str, ...]
    dtype: DType
    lanes: int

    @property
    def type(self) -> str:
        """The operands' LLVM type."""
        return register_type(self.dtype, self.lanes)

    def binary(self, operation: str, *operands: str) -> str:
        """`operation type a, b`."""
        return self.lines.assign(f"{operation} {self.type} {', '.join(operands)}")

    def constant(self, value: float | int | bool) -> str:
        """A number in every lane."""
        return splat(value, self.dtype, self.lanes)

    def select(self, condition: str, then: str, otherwise: str) -> str:
        """Lane by lane, one or the other."""
        bits = _bool_type(self.lanes)
        return self.lines.assign(
            f"select {bits} {condition}, {self.type} {then}, {self.type} {otherwise}"
        )

    def intrinsic(self, name: str, *operands: str, flag: str = "") -> str:
        """One of LLVM's own functions, all of whose operands have the operands' type."""
        return _intrinsic(self.lines, name, self.type, operands, flag)


def _bool_type(lanes: int) -> str:
    """`i1`, or a vector of them."""
    return "i1" if lanes == 1 else f"<{lanes} x i1>"


def _suffix(type_: str) -> str:
    """How LLVM writes a type in an intrinsic's name: `<8 x float>` is `v8f32`."""
    scalar = type_.strip("<>").rpartition(" ")[2]
    scalar = {"float": "f32", "double": "f64"}.get(scalar, scalar)
    return f"v{type_[1:].partition(' ')[0]}{scalar}" if type_[0] == "<" else scalar


def _intrinsic(lines: Lines, name: str, type_: str, operands: Sequence[str], flag: str) -> str:
    function = f"@llvm.{name}.{_suffix(type_)}"
    types = [type_] * len(operands) + (["i1"] if flag else [])
    lines.declare(function, f"declare {type_} {function}({', '.join(types)})")
    values = [f"{type_} {operand}" for operand in operands] + ([f"i1 {flag}"] if flag else [])
    return lines.assign(f"call {type_} {function}({', '.join(values)})")


# ---- arithmetic ------------------------------------------------------------------------------


def _by_category(for_bool: str, for_integer: str, for_float: str) -> Callable[[_Site], str]:
    """One LLVM instruction for each category of dtypes."""
    operations = (for_bool, for_integer, for_float)

    def write(site: _Site) -> str:
        return site.binary(operations[site.dtype.category], *site.args)

    return write


def _negative(site: _Site) -> str:
    if site.dtype.category == FLOAT:
        return site.lines.assign(f"fneg {site.type} {site.args[0]}")
    return site.binary("sub", site.constant(0), site.args[0])


def _absolute(site: _Site) -> str:
    if site.dtype.category == FLOAT:
        return site.intrinsic("fabs", *site.args)
    if not site.dtype.is_signed:
        return site.args[0]
    return site.intrinsic("abs", *site.args, flag="false")  # the least integer stays itself


def _division(remainder: bool) -> Callable[[_Site], str]:
    """Integer division towards zero, or its remainder; 0 where the divisor is 0.

    The divisors 0 and -1 never reach the machine's instruction: the first has no quotient, and the
    second makes the least integer overflow. x / -1 is -x, which wraps around; its remainder is 0.
    """

    def write(site: _Site) -> str:
        a, b = site.args
        zero, one = site.constant(0), site.constant(1)
        unsafe = is_zero = site.binary("icmp eq", b, zero)
        is_negative_one = ""
        if site.dtype.is_signed:
            is_negative_one = site.binary("icmp eq", b, site.constant(-1))
            bits = _bool_type(site.lanes)
            unsafe = site.lines.assign(f"or {bits} {is_zero}, {is_negative_one}")
        divisor = site.select(unsafe, one, b)
        operation = ("srem" if remainder else "sdiv") if site.dtype.is_signed else "urem"
        if not site.dtype.is_signed and not remainder:
            operation = "udiv"
        result = site.binary(operation, a, divisor)
        if is_negative_one and not remainder:
            result = site.select(is_negative_one, site.binary("sub", zero, a), result)
        return site.select(is_zero, zero, result)

    return write


def _extreme(smaller: bool, ignore_nan: bool) -> Callable[[_Site], str]:
    """The smaller or the greater; NaN if either is, or (`ignore_nan`) only if both are.

    `select(a < b, a, b)` is one x86 instruction, and is b where either is NaN. So one blend is left
    to do, for a NaN in a; or none, where an operand is a number known here: it goes first. (Of
    +0 and -0 the second is taken, as NumPy does; a known zero is first, whichever it was.)
    """

    def write(site: _Site) -> str:
        a, b = site.args
        if site.dtype.category == BOOL:
            return site.binary("and" if smaller else "or", a, b)
        if site.dtype.category == INTEGER:
            sign = "s" if site.dtype.is_signed else "u"
            return site.intrinsic(f"{sign}{'min' if smaller else 'max'}", a, b)
        comparison = "fcmp olt" if smaller else "fcmp ogt"
        if not ignore_nan and _is_number(b):
            a, b = b, a
        picked = site.select(site.binary(comparison, a, b), a, b)
        if not ignore_nan and _is_number(a):
            return picked
        if ignore_nan:
            return site.select(site.binary("fcmp uno", b, b), a, picked)
        return site.select(site.binary("fcmp uno", a, a), a, picked)

    return write


def _is_number(operand: str) -> bool:
    """Whether this is a literal that is not NaN (of a float dtype)."""
    text = operand.rpartition(" ")[2].rstrip(")")
    if not text.startswith("0x"):
        return False
    return int(text, 16) & 0x7FFF_FFFF_FFFF_FFFF <= 0x7FF0_0000_0000_0000


def _of_llvm(name: str) -> Callable[[_Site], str]:
    """One of LLVM's intrinsics."""
    return lambda site: site.intrinsic(name, *site.args)


# ---- comparisons and bits --------------------------------------------------------------------


def _comparison(name: str) -> Callable[[_Site], str]:
    """a < b and the like: false if either is NaN, but `ne` is true."""
    for_float = "une" if name == "ne" else "o" + name

    def write(site: _Site) -> str:
        if site.dtype.category == FLOAT:
            return site.binary(f"fcmp {for_float}", *site.args)
        sign = "" if name in ("eq", "ne") else "s" if site.dtype.is_signed else "u"
        return site.binary(f"icmp {sign}{name}", *site.args)

    return write


def _not(site: _Site) -> str:
    everything = site.constant(True if site.dtype.category == BOOL else -1)
    if not site.dtype.is_signed and site.dtype.category == INTEGER:
        everything = site.constant(255)
    return site.binary("xor", site.args[0], everything)


def _shift(left: bool) -> Callable[[_Site], str]:
    """a << b or a >> b; where b is negative or not less than the width, all bits are shifted out.

    What is left then is 0, or -1 for `>>` of a negative number: LLVM calls that result poison.
    """

    def write(site: _Site) -> str:
        a, b = site.args
        width = 8 * site.dtype.itemsize
        inside = site.binary("icmp ult", b, site.constant(width))
        if left or not site.dtype.is_signed:
            amount = site.select(inside, b, site.constant(0))
            shifted = site.binary("shl" if left else "lshr", a, amount)
            return site.select(inside, shifted, site.constant(0))
        return site.binary("ashr", a, site.select(inside, b, site.constant(width - 1)))

    return write


# ---- casts -----------------------------------------------------------------------------------


def _cast(lines: Lines, value: str, source: DType, target: DType, lanes: int) -> str:
    """One dtype as another, as NumPy's `astype`.

    A float becomes an integer by dropping the fraction; one beyond int32 or int64 becomes the
    nearest of these, NaN becomes 0. Narrower integers keep the low bits of the int32.
    """
    if source is target:
        return value
    from_type, to_type = register_type(source, lanes), register_type(target, lanes)
    if target.category == BOOL:
        comparison = "fcmp une" if source.category == FLOAT else "icmp ne"
        zero = splat(0, source, lanes)
        return lines.assign(f"{comparison} {from_type} {value}, {zero}")
    if source.category == FLOAT and target.category == INTEGER:
        return _float_to_integer(lines, value, source, target, lanes)
    return lines.assign(f"{_conversion(source, target)} {from_type} {value} to {to_type}")


def _conversion(source: DType, target: DType) -> str:
    """LLVM's instruction for a cast that is one."""
    signed = source.is_signed and source.category != BOOL
    if target.category == FLOAT:
        if source.category == FLOAT:
            return "fpext" if target.itemsize > source.itemsize else "fptrunc"
        return "sitofp" if signed else "uitofp"
    if source.category == BOOL or target.itemsize > source.itemsize:
        return "sext" if signed else "zext"
    return "trunc" if target.itemsize < source.itemsize else "bitcast"


def _float_to_integer(lines: Lines, value: str, source: DType, target: DType, lanes: int) -> str:
    whole = int32 if target.itemsize < 4 else target
    from_type, to_type = register_type(source, lanes), register_type(whole, lanes)
    function = f"@llvm.fptosi.sat.{_suffix(to_type)}.{_suffix(from_type)}"
    lines.declare(function, f"declare {to_type} {function}({from_type})")
    result = lines.assign(f"call {to_type} {function}({from_type} {value})")
    if whole is target:
        return result
    return lines.assign(f"trunc {to_type} {result} to {register_type(target, lanes)}")


# ---- the table -------------------------------------------------------------------------------

_SAME: dict[str, Callable[[_Site], str]] = {
    "add": _by_category("or", "add", "fadd"),
    "sub": _by_category("", "sub", "fsub"),
    "mul": _by_category("and", "mul", "fmul"),
    "div": _by_category("", "", "fdiv"),
    "idiv": _division(remainder=False),
    "irem": _division(remainder=True),
    "neg": _negative,
    "abs": _absolute,
    "min": _extreme(smaller=True, ignore_nan=False),
    "max": _extreme(smaller=False, ignore_nan=False),
    "fmin": _extreme(smaller=True, ignore_nan=True),
    "fmax": _extreme(smaller=False, ignore_nan=True),
    "fma": _of_llvm("fma"),
    "sqrt": _of_llvm("sqrt"),
    "floor": _of_llvm("floor"),
    "ceil": _of_llvm("ceil"),
    "trunc": _of_llvm("trunc"),
    "rint": _of_llvm("roundeven"),  # halves to even, whatever the processor's mode is
    "copysign": _of_llvm("copysign"),
    "and": _by_category("and", "and", ""),
    "or": _by_category("or", "or", ""),
    "xor": _by_category("xor", "xor", ""),
    "not": _not,
    "shl": _shift(left=True),
    "shr": _shift(left=False),
    **{name: _comparison(name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
}
"""Those whose arguments have one dtype, but for the functions of `compile/vector_math`."""


def emit(
    lines: Lines,
    name: str,
    dtype: DType,
    args: Sequence[str],
    arg_dtypes: Sequence[DType],
    lanes: int,
) -> str:
    """Write one primitive; gives the name of its result.

    Args:
        lines: the function being written.
        name: one of `ir/primitives.py`'s.
        dtype: the result's.
        args: names of values, or literals, without their types.
        arg_dtypes: theirs.
        lanes: how many numbers a value holds; 1 for scalars.

    >>> from chainrule.core.dtypes import float32
    >>> lines = Lines()
    >>> emit(lines, "add", float32, ["%a", "%b"], [float32, float32], lanes=8)
    '%t1'
    >>> lines.text
    ['  %t1 = fadd <8 x float> %a, %b']
    """
    if name == "cast":
        return _cast(lines, args[0], arg_dtypes[0], dtype, lanes)
    if name == "select":
        return _Site(lines, tuple(args), dtype, lanes).select(args[0], args[1], args[2])
    if name == "bitcast":
        types = [register_type(each, lanes) for each in (arg_dtypes[0], dtype)]
        return lines.assign(f"bitcast {types[0]} {args[0]} to {types[1]}")
    site = _Site(lines, tuple(args), arg_dtypes[0], lanes)
    if name in _SAME:
        return _SAME[name](site)
    return vector_math.call(lines, name, dtype, args, lanes)
