"""The backward pass: what it computes, where it puts it, and what it refuses."""

import math
import re
import sys
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule.autograd import grad
from chainrule.errors import AutogradError, DTypeError, ShapeError


def leaf(values, dtype=None):
    return cr.tensor(values, dtype=dtype or cr.float64, requires_grad=True)


def here():
    """file:line of the caller, as errors name it."""
    frame = sys._getframe(1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# ---- the chain rule --------------------------------------------------------------------------


def test_the_articles_example():
    x, y, z = leaf(-2.0), leaf(5.0), leaf(-4.0)
    f = (x + y) * z
    f.backward()
    assert f.item() == -12
    assert (x.grad.item(), y.grad.item(), z.grad.item()) == (-4, -4, 3)


def test_the_articles_example_with_a_loss():
    x, y, z = leaf(-2.0), leaf(5.0), leaf(-4.0)
    loss = ((x + y) * z - 1) ** 2
    loss.backward()
    assert loss.item() == 169
    assert (x.grad.item(), y.grad.item(), z.grad.item()) == (104, 104, -78)


def test_paths_that_meet_add_up():
    x = leaf(3.0)
    a = x * 2
    b = a + x
    (a * b + a).backward()  # 2x·3x + 2x
    assert x.grad.item() == 12 * 3 + 2


def test_a_diamond_of_many_levels_visits_each_node_once():
    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2**60 paths
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_the_same_tensor_as_both_operands():
    x = leaf([1.0, 2.0, 3.0])
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4, 6])


def test_a_matrix_times_its_own_transpose():
    a = leaf(np.arange(6.0).reshape(2, 3))
    (a @ a.T).sum().backward()
    expected = 2 * np.ones((2, 2)) @ a.detach().numpy()
    np.testing.assert_allclose(a.grad.numpy(), expected)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 1, 3)])
def test_a_broadcast_operands_gradient_has_its_own_shape(shape):
    x = cr.ones(*shape, dtype=cr.float64, requires_grad=True)
    big = cr.full((4, 2, 3), 2.0, dtype=cr.float64)
    (x * big).sum().backward()
    assert x.grad.shape == shape
    np.testing.assert_array_equal(x.grad.numpy(), np.full(shape, 48 / max(1, math.prod(shape))))


def test_a_leaf_used_in_two_graphs_gathers_both_gradients():
    x = leaf(2.0)
    first, second = x * x, x * 5
    first.backward()
    second.backward()
    assert x.grad.item() == 4 + 5


def test_several_roots_and_their_cotangents():
    x = leaf([1.0, 2.0])
    y, z = x * 3, (x * x).sum()
    cr.autograd.backward([y, z], [cr.tensor([1.0, 10.0], dtype=cr.float64), None])
    np.testing.assert_array_equal(x.grad.numpy(), [3 + 2, 30 + 4])


def test_a_root_that_another_root_depends_on():
    x = leaf(2.0)
    y = x * x
    z = y * 3
    cr.autograd.backward([z, y])
    assert x.grad.item() == 4 * 3 + 4


def test_backward_of_a_leaf_is_its_cotangent():
    x = leaf(2.0)
    x.backward()
    assert x.grad.item() == 1


def test_integer_results_carry_no_gradient():
    x = leaf([1.5, 2.5])
    y = x.to(cr.int64)
    assert not y.requires_grad
    assert not (x > 2).requires_grad


def test_gradients_come_back_in_the_dtype_of_the_leaf():
    x = leaf([1.0, 2.0], cr.float32)
    y = x.to(cr.float64) * cr.tensor([3.0, 4.0], dtype=cr.float64)
    y.sum().backward()
    assert x.grad.dtype is cr.float32


def test_a_cotangent_of_another_float_dtype_is_converted():
    x = leaf([1.0, 2.0], cr.float32)
    (x * x).backward(cr.ones(2, dtype=cr.float64))
    assert x.grad.dtype is cr.float32


# ---- .grad -----------------------------------------------------------------------------------


def test_gradients_of_two_leaves_never_share_memory():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x + y).sum().backward()
    x.grad.mul_(100)
    np.testing.assert_array_equal(y.grad.numpy(), [1, 1])


def test_a_gradient_does_not_share_memory_with_the_given_cotangent():
    x = leaf([1.0, 2.0])
    cotangent = cr.tensor([1.0, 2.0], dtype=cr.float64)
    x.backward(cotangent)
    x.grad.mul_(100)
    np.testing.assert_array_equal(cotangent.numpy(), [1, 2])


def test_a_gradient_does_not_share_memory_through_a_view():
    x, y = leaf([[1.0, 2.0]]), leaf([1.0, 2.0])
    (x.reshape(2) + y).backward(cr.ones(2, dtype=cr.float64))
    x.grad.mul_(100)
    np.testing.assert_array_equal(y.grad.numpy(), [1, 1])


def test_gradients_accumulate_until_they_are_set_to_none():
    x = leaf(3.0)
    for expected in (6, 12):
        (x * x).backward()
        assert x.grad.item() == expected
    x.grad = None
    (x * x).backward()
    assert x.grad.item() == 6


def test_a_gradient_is_not_tracked_unless_asked_for():
    x = leaf(3.0)
    (x * x).backward()
    assert not x.grad.requires_grad
    y = leaf(3.0)
    (y**3).backward(create_graph=True)
    assert y.grad.requires_grad


def test_backward_to_some_inputs_leaves_the_others_alone():
    x, y = leaf(2.0), leaf(3.0)
    hidden = x * y
    (hidden * y).backward(inputs=[x, hidden])
    assert x.grad.item() == 9
    assert hidden.grad.item() == 3
    assert y.grad is None


def test_the_gradient_of_a_view_goes_to_its_base():
    x = leaf([1.0, 2.0, 3.0])
    view = x.reshape(3, 1)
    (view * 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 2, 2])
    assert view.grad is None


# ---- grad() ----------------------------------------------------------------------------------


def test_grad_leaves_grad_alone():
    x = leaf(3.0)
    (g,) = grad(x * x, x)
    assert g.item() == 6
    assert x.grad is None


def test_grad_of_something_in_the_middle():
    x = leaf(3.0)
    y = x * x
    (g,) = grad(y * 5, y)
    assert g.item() == 5


def test_grad_by_a_leaf_and_by_what_it_became():
    x = leaf(3.0)
    y = x * x
    by_x, by_y = grad(y * y, [x, y])
    assert (by_x.item(), by_y.item()) == (4 * 27, 18)


def test_grad_by_the_output_itself_is_one():
    x = leaf(3.0)
    y = x * x
    assert grad(y, y)[0].item() == 1


def test_an_unused_input():
    x, unused = leaf(3.0), leaf([1.0, 2.0])
    with pytest.raises(AutogradError, match="do not depend on input 1"):
        grad(x * x, [x, unused])
    assert grad(x * x, [x, unused], allow_unused=True)[1] is None
    zeros = grad(x * x, [x, unused], materialize_grads=True)[1]
    np.testing.assert_array_equal(zeros.numpy(), [0, 0])


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_derivatives_of_any_order(depth):
    """Of exp(2x): 2^n exp(2x); of x^7; of tanh against its closed forms."""
    x = leaf(0.3)
    for function, expected in (
        (lambda x: (2 * x).exp(), 2**depth * math.exp(0.6)),
        (lambda x: x**7, math.perm(7, depth) * 0.3 ** (7 - depth)),
        (cr.tanh, tanh_derivative(0.3, depth)),
    ):
        y = function(x)
        for _ in range(depth):
            (y,) = grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected, rel=1e-12)


def tanh_derivative(x, order):
    """By the polynomial in t = tanh x: dP(t)/dx = P'(t) (1 - t²)."""
    p = np.polynomial.Polynomial([0, 1])
    for _ in range(order):
        p = p.deriv() * np.polynomial.Polynomial([1, 0, -1])
    return p(math.tanh(x))


def test_create_graph_works_under_no_grad():
    x = leaf(2.0)
    y = x**3
    with cr.no_grad():
        (g,) = grad(y, x, create_graph=True)
    assert grad(g, x)[0].item() == 12


def test_the_gradient_of_a_gradient_penalty():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (g,) = grad((x * x * w).sum(), x, create_graph=True)  # 2 x w
    (g * g).sum().backward()  # 4 x² w²
    np.testing.assert_allclose(w.grad.numpy(), 8 * np.array([1, 4]) * [3, 4])
    np.testing.assert_allclose(x.grad.numpy(), 8 * np.array([1, 2]) * [9, 16])


# ---- twice -----------------------------------------------------------------------------------


def test_retain_graph_allows_a_second_pass():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12


def test_a_second_pass_without_it_names_the_line_of_the_op():
    x = leaf(3.0)
    y, line = x * x, here()
    y.backward()
    with pytest.raises(AutogradError, match="freed") as caught:
        y.backward()
    assert caught.value.location.startswith(line)
    assert "retain_graph=True" in caught.value.cure


def test_what_saved_nothing_can_be_walked_again():
    x = leaf(3.0)
    y = x + x
    y.backward()
    y.backward()
    assert x.grad.item() == 4


def test_a_freed_part_is_an_error_for_what_was_built_on_it():
    x = leaf(3.0)
    shared = x * x
    first, second = shared * 2, shared * 3
    first.backward()
    with pytest.raises(AutogradError, match="freed"):
        second.backward()


# ---- refusals --------------------------------------------------------------------------------


def test_backward_of_what_requires_no_gradient():
    with pytest.raises(AutogradError, match="does not require gradients") as caught:
        (cr.ones(1) * 2).backward()
    assert "test_reverse.py" in caught.value.location


def test_backward_of_what_is_no_scalar():
    x = leaf([1.0, 2.0])
    with pytest.raises(AutogradError, match=re.escape("f64[2]")):
        (x * x).backward()


def test_a_scalar_may_have_dimensions():
    x = leaf([[2.0]])
    (x * x).backward()
    assert x.grad.shape == (1, 1)


def test_a_cotangent_of_another_shape():
    x = leaf([1.0, 2.0])
    with pytest.raises(ShapeError, match="cotangent"):
        (x * x).backward(cr.ones(3, dtype=cr.float64))


def test_as_many_cotangents_as_outputs():
    x = leaf(1.0)
    with pytest.raises(AutogradError, match="2 outputs and 1 cotangents"):
        cr.autograd.backward([x * 2, x * 3], [None])


def test_grad_by_what_requires_no_gradient():
    x = leaf(1.0)
    with pytest.raises(AutogradError, match="input 1"):
        grad(x * 2, [x, cr.ones(2)])


def test_grad_by_nothing():
    x = leaf(1.0)
    with pytest.raises(AutogradError, match="no inputs"):
        grad(x * 2, [])


def test_a_saved_value_changed_in_place_names_both_lines():
    x = leaf([1.0, 2.0])
    y = x * 2
    z, used = y * y, here()
    y.add_(1)
    changed = used.rsplit(":", 1)[0] + ":" + str(int(used.rsplit(":", 1)[1]) + 1)
    with pytest.raises(AutogradError, match="add_") as caught:
        z.sum().backward()
    assert caught.value.location.startswith(used)
    assert caught.value.facts["changed_at"].startswith(changed)


def test_only_float_tensors_require_gradients():
    with pytest.raises(DTypeError, match="float"):
        cr.tensor([1, 2], requires_grad=True)


# ---- requires_grad ---------------------------------------------------------------------------


def test_requires_grad_can_be_turned_on_and_off_for_leaves():
    x = cr.ones(2)
    assert not (x * 2).requires_grad
    x.requires_grad_()
    assert (x * 2).requires_grad
    x.requires_grad = False
    assert not (x * 2).requires_grad


def test_what_was_recorded_stays_recorded_when_the_leaf_is_turned_off():
    x = leaf(3.0)
    y = x * x
    x.requires_grad_(False)
    y.backward()
    assert x.grad.item() == 6


def test_requires_grad_of_a_result_can_not_be_turned_off():
    y = leaf(3.0) * 2
    with pytest.raises(AutogradError, match="leaves"):
        y.requires_grad_(False)


def test_detach_cuts_and_shares_memory():
    x = leaf([1.0, 2.0])
    y = (x * 2).detach()
    assert not y.requires_grad
    assert y.is_leaf
    z = x.detach()
    assert np.shares_memory(z.numpy(), x.detach().numpy())
    (x * z).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 2])


# ---- threads ---------------------------------------------------------------------------------


def test_independent_graphs_in_threads():
    """Each thread walks graphs of its own; none disturbs another."""
    shared = np.arange(1.0, 101.0)
    found, errors = {}, []

    def work(k):
        try:
            for _ in range(20):
                x = cr.from_numpy(shared * k).requires_grad_()
                y = x
                for _ in range(30):
                    y = y * 1.01 + x
                y.sum().backward()
            found[k] = x.grad.numpy()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    expected = sum(1.01**k for k in range(31))
    for gradient in found.values():
        np.testing.assert_allclose(gradient, np.full(100, expected))


def test_a_walk_keeps_away_from_what_does_not_lead_to_the_inputs():
    """grad() by x must not free, nor walk, the part that belongs to w alone."""
    x, w = leaf(2.0), leaf(3.0)
    other = w * w
    y = x * x * other
    grad(y, x)
    other.backward()
    assert w.grad.item() == 6


def test_the_graph_can_be_walked_by_hand():
    x, constant = cr.ones(2, requires_grad=True), cr.ones(2)
    node = (x * constant).grad_fn
    assert repr(node) == "<MulBackward0>"
    assert node.next_functions[1] == (None, 0)
    total = (x * constant).sum().grad_fn
    (inner, index), *_ = total.next_functions
    assert repr(inner) == "<MulBackward0>"
    assert index == 0


def test_gradients_of_gradients_add_up_in_grad():
    x = cr.tensor(2.0, requires_grad=True)
    for _ in range(2):
        (x**3).backward(create_graph=True)
    assert x.grad.item() == 24
    (second,) = cr.autograd.grad(x.grad, x)
    assert second.item() == 24
