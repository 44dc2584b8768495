"""gradcheck finds what is wrong, says where, and lets what is right pass."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.autograd import Function, gradcheck, gradgradcheck
from chainrule.errors import DTypeError, GradcheckError


def leaf(*values, dtype=cr.float64):
    return cr.tensor(list(values), dtype=dtype, requires_grad=True)


def faulty(factor=1.0, second=1.0, shift=None):
    """x² with a derivative that is off."""

    class Faulty(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, bar):
            (x,) = ctx.saved_tensors
            slope = 2 * x * second + 2 * x.detach() * (1 - second)
            return bar * (slope * factor if shift is None else slope + shift)

        @staticmethod
        def jvp(ctx, x_dot):
            return x_dot * 2 * ctx.saved_tensors[0]

    return Faulty.apply


@pytest.mark.parametrize("fast_mode", [False, True])
def test_what_is_right_passes(fast_mode):
    x, w = leaf(0.3, -0.2, 0.7), leaf(1.0, 2.0, 3.0)
    f = lambda x, w: ((x * w).tanh(), (x.exp() @ w))  # noqa: E731
    assert gradcheck(f, (x, w), check_forward_ad=True, fast_mode=fast_mode)
    assert gradgradcheck(f, (x, w), check_fwd_over_rev=True, fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("factor", [-1, 0.5, 0, 1.01, float("nan")])
def test_a_wrong_factor_is_found(factor, fast_mode):
    assert not gradcheck(faulty(factor), leaf(1.0, 2.0), raise_exception=False, fast_mode=fast_mode)
    with pytest.raises(GradcheckError):
        gradcheck(faulty(factor), leaf(1.0, 2.0), fast_mode=fast_mode)


def test_the_worst_entry_is_named_with_both_numbers():
    shift = cr.tensor([0.0, 5.0, 0.0], dtype=cr.float64)
    f = faulty(shift=shift)
    unused, x = leaf(1.0), leaf(1.0, 2.0, 3.0)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda a, x: (a * 2, f(x)), (unused, x))
    assert "output 1, element 1, by input 1 (f64[3]), element 1" in str(caught.value)
    assert caught.value.facts["analytical"] == pytest.approx(9)
    assert caught.value.facts["numerical"] == pytest.approx(4)
    assert "test_gradcheck.py" in caught.value.location


def test_a_wrong_second_derivative_is_found_by_gradgradcheck_only():
    f = faulty(second=0.0)
    assert gradcheck(f, leaf(1.0, 2.0))
    with pytest.raises(GradcheckError):
        gradgradcheck(f, leaf(1.0, 2.0))


def test_a_wrong_jvp_is_found():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, bar):
            return bar * 2

        @staticmethod
        def jvp(ctx, x_dot):
            return x_dot * 3

    assert gradcheck(Wrong.apply, leaf(1.0))
    with pytest.raises(GradcheckError, match="forward mode"):
        gradcheck(Wrong.apply, leaf(1.0), check_forward_ad=True)


def test_a_backward_that_is_not_deterministic():
    draws = np.random.default_rng(0)

    class Shaky(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, bar):
            return bar * (2 + 1e-9 * draws.standard_normal())

    with pytest.raises(GradcheckError, match="nondet_tol"):
        gradcheck(Shaky.apply, leaf(1.0))
    assert gradcheck(Shaky.apply, leaf(1.0), nondet_tol=1e-6)


def test_float32_is_suspected():
    x = leaf(1.0, 2.0, dtype=cr.float32)
    with pytest.warns(UserWarning, match="input 0 is float32"), pytest.raises(GradcheckError) as e:
        gradcheck(cr.exp, x)
    assert "float64" in e.value.cure


def test_the_inputs_are_left_alone():
    x = leaf(1.0, 2.0)
    gradcheck(cr.exp, x)
    assert x.grad is None
    assert x.tolist() == [1, 2]


def test_an_output_that_does_not_depend_on_the_input():
    x = leaf(1.0)
    assert gradcheck(lambda x: (x * 2, cr.ones(2, dtype=cr.float64)), x)


def test_empty_inputs_and_outputs():
    assert gradcheck(cr.exp, cr.ones(0, 3, dtype=cr.float64, requires_grad=True))


def test_refusals():
    with pytest.raises(GradcheckError, match="nothing to check"):
        gradcheck(cr.exp, cr.ones(2))
    with pytest.raises(DTypeError, match="tensors"):
        gradcheck(lambda x, n: x * n, (leaf(1.0), 2))
