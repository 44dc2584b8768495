"""x modulo π/2 for floats of any size, in integers: after Payne and Hanek (1983).

A large x is m · 2^s with a whole m of 53 bits. Of the bits of 2/π, those so high that their product
with x is a multiple of 4 do not matter, and the lowest do not either: 192 bits in between, times m
and modulo 2^192, are the quadrant (two bits) and the place in it (190 bits, of which at most 62 are
zeros at the front for a float64, so that more than enough are left).
"""

from __future__ import annotations

from chainrule.compile.llvm_text import literal
from chainrule.compile.vector_math.value import Value, convert
from chainrule.core.dtypes import DType, float64, int64

__all__ = ["LARGE_ANGLE", "quarter_turns"]

_PI_DIGITS = (
    "31415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253"
    "42117067982148086513282306647093844609550582231725359408128481117450284102701938521105559644"
    "62294895493038196442881097566593344612847564823378678316527120190914564856692346034861045432"
    "66482133936072602491412737245870066063155881748815209209628292540917153643678925903600113305"
    "30548820466521384146951941511609433057270365759591953092186117381932611793105118548074462379"
    "96274956735188575272"
)
_WORDS = 20  # of 64 bits: 64 zeros, then 2/π


def _two_over_pi() -> list[int]:
    """The words, as LLVM writes integers (with a sign)."""
    pi = int(_PI_DIGITS)
    bits = 64 * (_WORDS - 1)
    whole = (2 << bits) * 10 ** (len(_PI_DIGITS) - 1) // pi
    words = [(whole >> 64 * k) & (2**64 - 1) for k in reversed(range(_WORDS))]
    return [word - 2**64 if word >> 63 else word for word in words]


_TEXT = """\
@chainrule_two_over_pi = internal constant [{words} x i64] [{table}]
define internal {{ double, double, i64 }} @chainrule_large_angle(double %x) noinline cold {{
  %bits = bitcast double %x to i64
  %shifted = lshr i64 %bits, 52
  %exponent = and i64 %shifted, 2047
  %fraction = and i64 %bits, 4503599627370495
  %m = or i64 %fraction, 4503599627370496
  %start = sub i64 %exponent, 1013  ; s - 2, s being exponent - 1075, after the 64 zeros
  %word = lshr i64 %start, 6
  %skip = and i64 %start, 63
  %place = getelementptr i64, ptr @chainrule_two_over_pi, i64 %word
{loads}
  %skip256 = zext i64 %skip to i256
  %aligned = shl i256 %all3, %skip256
  %top = lshr i256 %aligned, 64
  %window = trunc i256 %top to i192
  %m192 = zext i64 %m to i192
  %product = mul i192 %m192, %window
  %half = shl i192 1, 189
  %nearest = add i192 %product, %half
  %quadrant = lshr i192 %nearest, 190
  %q = trunc i192 %quadrant to i64
  %rest = shl i192 %product, 2  ; in quarter turns, times 2^192, with a sign
  %below = icmp slt i192 %rest, 0
  %minus = sub i192 0, %rest
  %size = select i1 %below, i192 %minus, i192 %rest
  %zeros = call i192 @llvm.ctlz.i192(i192 %size, i1 false)
  %full = shl i192 %size, %zeros
  %high192 = lshr i192 %full, 139
  %high = trunc i192 %high192 to i64  ; 53 bits, and the next 53: exact as doubles
  %low192 = lshr i192 %full, 86
  %low64 = trunc i192 %low192 to i64
  %low = and i64 %low64, 9007199254740991
  %zeros64 = trunc i192 %zeros to i64
  %power = sub i64 970, %zeros64  ; 2^-53 and the zeros
  %scale_bits = shl i64 %power, 52
  %scale = bitcast i64 %scale_bits to double
  %a_whole = uitofp i64 %high to double
  %a = fmul double %a_whole, %scale
  %b_whole = uitofp i64 %low to double
  %b_scaled = fmul double %b_whole, %scale
  %b = fmul double %b_scaled, {two_to_minus_53}
  %p = fmul double %a, {half_pi}
  %p_minus = fneg double %p
  %p_low = call double @llvm.fma.f64(double %a, double {half_pi}, double %p_minus)
  %p_low2 = call double @llvm.fma.f64(double %a, double {half_pi_low}, double %p_low)
  %p_low3 = call double @llvm.fma.f64(double %b, double {half_pi}, double %p_low2)
  %r = fadd double %p, %p_low3
  %lost = fsub double %p, %r
  %r_low = fadd double %lost, %p_low3
  %negative = icmp slt i64 %bits, 0
  %flip = xor i1 %negative, %below
  %r_minus = fneg double %r
  %r_low_minus = fneg double %r_low
  %q_minus = sub i64 0, %q
  %r_signed = select i1 %flip, double %r_minus, double %r
  %r_low_signed = select i1 %flip, double %r_low_minus, double %r_low
  %q_signed = select i1 %negative, i64 %q_minus, i64 %q
  %one = insertvalue {{ double, double, i64 }} poison, double %r_signed, 0
  %two = insertvalue {{ double, double, i64 }} %one, double %r_low_signed, 1
  %three = insertvalue {{ double, double, i64 }} %two, i64 %q_signed, 2
  ret {{ double, double, i64 }} %three
}}"""


def _definition() -> str:
    loads = ["  %all = zext i64 0 to i256"]
    for k in range(4):
        loads += [
            f"  %place{k} = getelementptr i64, ptr %place, i64 {k}",
            f"  %word{k} = load i64, ptr %place{k}",
            f"  %wide{k} = zext i64 %word{k} to i256",
            f"  %up{k} = shl i256 {'%all' if k == 0 else f'%all{k - 1}'}, 64",
            f"  %all{k} = or i256 %up{k}, %wide{k}",
        ]
    return _TEXT.format(
        words=_WORDS,
        table=", ".join(f"i64 {word}" for word in _two_over_pi()),
        loads="\n".join(loads),
        two_to_minus_53=literal(2.0**-53, float64),
        half_pi=literal(1.5707963267948966, float64),
        half_pi_low=literal(6.123233995736766e-17, float64),
    )


LARGE_ANGLE = ("@chainrule_large_angle", _definition())
"""The function's name and definition: of a finite double of at least 2^16 (to be sure), r rounded,
what that left out, and the number of quarter turns modulo 4."""


def quarter_turns(x: Value) -> tuple[Value, Value, Value]:
    """r, its low part and the quarter turns of every lane, one after another; as float64, int64."""
    lines = x.lines
    lines.declare("@llvm.fma.f64", "declare double @llvm.fma.f64(double, double, double)")
    lines.declare("@llvm.ctlz.i192", "declare i192 @llvm.ctlz.i192(i192, i1)")
    wide = convert(x, float64)
    results = {dtype_part: _empty(wide, dtype) for dtype_part, dtype in enumerate(_PARTS)}
    for lane in range(x.lanes):
        argument = wide.name
        if x.lanes > 1:
            argument = lines.assign(f"extractelement {wide.type} {wide.name}, i64 {lane}")
        parts = lines.assign(f"call {_RESULT} @chainrule_large_angle(double {argument})")
        for number, result in results.items():
            scalar = lines.assign(f"extractvalue {_RESULT} {parts}, {number}")
            if x.lanes == 1:
                results[number] = Value(lines, scalar, result.dtype, 1)
                continue
            kind = "i64" if result.dtype is int64 else "double"
            inserted = f"insertelement {result.type} {result.name}, {kind} {scalar}, i64 {lane}"
            results[number] = result.new(inserted)
    return results[0], results[1], results[2]


_RESULT = "{ double, double, i64 }"
_PARTS = (float64, float64, int64)


def _empty(like: Value, dtype: DType) -> Value:
    return Value(like.lines, "poison", dtype, like.lanes)
