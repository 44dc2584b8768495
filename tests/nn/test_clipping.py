"""Clipping gradients by their norm and by value."""

import pytest

import chainrule
from chainrule import nn
from chainrule.errors import ConfigError, NumericalError


def with_gradient(*values: float) -> chainrule.Tensor:
    x = chainrule.zeros(len(values), requires_grad=True)
    x.grad = chainrule.tensor(values)
    return x


def grads(*parameters: chainrule.Tensor) -> list[float]:
    return [value for each in parameters if each.grad is not None for value in each.grad.tolist()]


def test_scales_all_gradients_by_one_factor() -> None:
    x, y, without = with_gradient(3.0), with_gradient(0.0, 4.0), chainrule.zeros(1)
    assert nn.clip_grad_norm_([x, without, y], 2.5).item() == 5.0
    assert grads(x, y) == pytest.approx([1.5, 0.0, 2.0], rel=1e-5)


def test_leaves_small_gradients_alone() -> None:
    x = with_gradient(3.0, 4.0)
    nn.clip_grad_norm_(x, 10.0)
    assert grads(x) == [3.0, 4.0]


@pytest.mark.parametrize(("p", "norm"), [(1, 7.0), (2, 5.0), (float("inf"), 4.0), ("inf", 4.0)])
def test_total_norms(p: float, norm: float) -> None:
    total = nn.get_total_norm([chainrule.tensor([3.0]), chainrule.tensor([[-4.0]])], p)
    assert total.item() == pytest.approx(norm)


def test_no_gradients_have_no_norm() -> None:
    assert nn.clip_grad_norm_([chainrule.zeros(2, requires_grad=True)], 1.0).item() == 0.0


def test_clamps_values() -> None:
    x = with_gradient(-3.0, 0.5, 2.0)
    nn.clip_grad_value_([x], 1.0)
    assert grads(x) == [-1.0, 0.5, 1.0]


def test_refuses_a_norm_that_is_not_finite_and_changes_nothing() -> None:
    x = with_gradient(float("inf"), 1.0)
    with pytest.raises(NumericalError, match="inf"):
        nn.clip_grad_norm_(x, 1.0, error_if_nonfinite=True)
    assert grads(x) == [float("inf"), 1.0]


def test_refuses_bounds_that_are_none() -> None:
    x = with_gradient(1.0)
    for bad in (-1.0, float("nan"), "big"):
        with pytest.raises(ConfigError):
            nn.clip_grad_norm_(x, bad)  # type: ignore[arg-type]
        with pytest.raises(ConfigError):
            nn.clip_grad_value_(x, bad)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="big"):
        nn.clip_grad_norm_(x, 1.0, norm_type="big")
    with pytest.raises(ConfigError, match="norm_type=0"):
        nn.clip_grad_norm_(x, 1.0, norm_type=0)
