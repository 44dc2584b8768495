"""A nest that makes no sense is refused, with a word why."""

import pytest

from chainrule.core.dtypes import bool_, float16, float32, int64
from chainrule.errors import ChainruleError
from chainrule.ir.nest import Affine, Axis, Call, Iota, Literal, Load, Nest, Reduce, Store
from chainrule.ir.nest_text import parse_nest
from chainrule.ir.verify_nest import verify_nest

SIZES = {"x": 12, "i": 4, "y": 4}

GOOD = """\
nest good(n: 4 | k: 3):
  reads %i i64, %x f32
  %y[n] = add(max[k](%x[3 n + k]), %x[0; 3 %i[n]])"""


def test_a_good_nest_passes():
    verify_nest(parse_nest(GOOD))
    verify_nest(parse_nest(GOOD), SIZES)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%y[n] = %x[3 n + k]", "depends on k, outside a reduction"),
        ("%y[n] = sum[k](%x[3 n + m])", "no axis m"),
        ("%y[n] = sum[n](%x[n])", "no reduction axis"),
        ("%y[n] = sum[m](%x[n])", "no reduction axis"),
        ("%y[n] = average[k](%x[3 n + k])", "no reduction 'average'"),
        ("%y[n] = any[k](%x[3 n + k])", "any of float32"),
        ("%y[n] = sum[k](eq(%x[n], %x[n]))", "sum of bool"),
        ("%y[n + k] = %x[n]", "written at k"),
        ("%y[0] = %x[n]", "written for every n"),
        ("%y[n] = %x[4 n]", "from 0 to 12, and there are 12"),
        ("%y[n] = %x[-1 n + 2]", "from -1 to 2"),
        ("%y[n + 1] = %x[n]", "from 1 to 4"),
        ("%z[n] = %x[n]", "no buffer %z"),
        ("%x[n] = cast:i64(%x[n])", "%x holds float32, and int64"),
        ("%y[n] = add:f64(cast:f64(%x[n]), %x[n]:f64)", "%x holds float32, and float64"),
        ("%y[n] = %x[0; 3 %x[n]]", "indexed by float32"),
        ("%y[n] = %x[n + n]", "an axis twice"),
        ("%y[n] = wobble:f32(%x[n])", "no primitive 'wobble'"),
        ("%y[n] = add(%x[n])", "takes 2 arguments"),
        ("%y[n] = add(%x[n], %i[n])", "such arguments"),
        ("%y[n] = add:i64(%x[n], %x[n])", "the result is float32"),
        ("%y[n] = lt:f32(%x[n], %x[n])", "the result is bool"),
        ("%y[n] = exp(%i[n])", "such arguments"),
        ("%y[n] = and(%x[n], %x[n])", "such arguments"),
        ("%y[n] = select(%x[n], %x[n], %x[n])", "condition is no bool"),
        ("%y[n] = select(true, %x[n], %i[n])", "such arguments"),
        ("%y[n] = bitcast:f64(%x[n])", "sizes differ"),
        ("%y[n] = bool[n]", "no bool"),
        ("%y[n] = f16(1.0)", "float16"),
    ],
)
def test_a_bad_nest_is_refused(line, message):
    text = f"nest bad(n: 4 | k: 3):\n  reads %i i64, %x f32\n  {line}"
    with pytest.raises(ChainruleError, match="nest bad: ") as caught:
        verify_nest(parse_nest(text), SIZES)
    assert message in str(caught.value)


def test_axes_are_distinct_and_have_sizes():
    for header in ("n: 3, n: 4", "n: 3 | n: 4", "n: -1"):
        with pytest.raises(ChainruleError, match=r"two axes|has size"):
            verify_nest(parse_nest(f"nest a({header}):"))


def test_what_no_text_can_say_is_refused_too():
    n, one = Iota("n", int64), Literal(1, float32)
    for expr, message in (
        (Literal(2, bool_), "is no bool"),
        (Reduce("sum", one, ()), "over nothing"),
        (Load("x", Affine(0, (("n", 0),)), float32), "a stride of 0"),
        (Load("x", Affine(0, ()), float16), "float16"),
        (Call("cast", (n, n), float32), "takes 1 argument"),
    ):
        nest = Nest("a", (Axis("n", 4),), (), (Store("y", Affine(0, (("n", 1),)), expr),))
        with pytest.raises(ChainruleError, match=message):
            verify_nest(nest)


def test_over_an_axis_of_size_zero_nothing_is_read():
    verify_nest(parse_nest("nest none(n: 0):\n  reads %x f32\n  %y[n] = %x[n]"), {"x": 0, "y": 0})
