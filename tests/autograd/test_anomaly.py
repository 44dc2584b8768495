"""detect_anomaly names the op whose derivative made the NaN, and the user's line."""

import pytest

import chainrule as cr
from chainrule.autograd import detect_anomaly
from chainrule.errors import NumericalError


def test_the_op_and_the_line_are_named():
    x = cr.tensor([0.0, 1.0], requires_grad=True)
    with detect_anomaly():
        y = x.sqrt()
        loss = (y * cr.tensor([0.0, 1.0])).sum()
        with pytest.raises(NumericalError, match=r"sqrt: its derivative gave NaN") as caught:
            loss.backward()
    assert caught.value.location.endswith("y = x.sqrt()")


def test_outside_nothing_is_checked():
    x = cr.tensor([0.0, 1.0], requires_grad=True)
    with detect_anomaly():
        pass
    (x.sqrt() * cr.tensor([0.0, 1.0])).sum().backward()
    assert x.grad[0].item() != x.grad[0].item()


def test_check_nan_can_be_left_out():
    x = cr.tensor(0.0, requires_grad=True)
    with detect_anomaly(check_nan=False):
        y = (x + 1) - 1
        assert y.grad_fn.location is not None
        (x.sqrt() * 0).backward()


def test_finite_gradients_pass():
    x = cr.tensor(2.0, requires_grad=True)
    with detect_anomaly():
        (x * x).backward()
    assert x.grad.item() == 4
