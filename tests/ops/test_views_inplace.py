"""In-place changes: what views see, what gradients become, and what is refused; in closed form."""

import numpy as np
import pytest

import chainrule
from chainrule.autograd import forward
from chainrule.errors import AutogradError, DTypeError, OpError, ShapeError


def leaf(*numbers):
    return chainrule.tensor(list(numbers), dtype=chainrule.float64, requires_grad=True)


def test_a_changed_part_of_a_base_has_the_gradient_of_what_was_written():
    x = leaf(1, 2, 3)
    y = x * 2
    y[0] *= 10
    y[1] = 7
    (y * y).sum().backward()  # y = (20 x0, 7, 2 x2)
    assert x.grad.tolist() == [2 * 20 * 20 * 1, 0, 2 * 4 * 3]


def test_a_view_taken_before_follows_its_base():
    x = leaf(1, 2, 3)
    y = x * 1
    first, rest = y[0], y[1:]
    y.mul_(5)
    first.add_(1)
    assert first.requires_grad
    assert first.grad_fn is not None
    (first * first + (rest * rest).sum()).backward()  # first = 5 x0 + 1, rest = 5 x
    assert x.grad.tolist() == [2 * 6 * 5, 2 * 25 * 2, 2 * 25 * 3]


def test_writing_through_a_chain_of_views_reaches_the_base():
    x = leaf(*range(6))
    y = (x * 1).view(2, 3)
    y.T[1:].reshape(-1)  # a copy: no view of y
    y.T[1][0] = 100
    assert y.tolist() == [[0, 100, 2], [3, 4, 5]]
    y.sum().backward()
    assert x.grad.tolist() == [1, 0, 1, 1, 1, 1]


def test_plain_memory_takes_up_history_with_what_is_written_into_it():
    x = leaf(3, 4)
    y = chainrule.zeros(2, 2, dtype=chainrule.float64)
    row = y[1]
    assert not row.requires_grad
    y[1] = x * x
    assert row.requires_grad
    row.sum().backward()
    assert x.grad.tolist() == [6, 8]


def test_overwriting_everything_leaves_a_gradient_of_zero():
    x = leaf(1, 2)
    y = x * 3
    y.zero_()
    assert y.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [0, 0]


def test_a_copy_of_a_leaf_passes_the_gradient_on_to_it():
    x, w = leaf(1, 2), leaf(5, 6)
    y = x * 3
    y.copy_(w)
    assert y.grad_fn is not w.grad_fn
    (y * y).sum().backward()
    assert (x.grad.tolist(), w.grad.tolist()) == ([0, 0], [10, 12])


def test_hooks_on_a_copy_do_not_see_the_original():
    x = leaf(1, 2)
    source = x * 3
    y = chainrule.zeros(2, dtype=chainrule.float64)
    y.copy_(source)
    seen = []
    y.register_hook(lambda bar: seen.append(bar.tolist()))
    (y * 2 + source).sum().backward()
    assert seen == [[2, 2]]
    assert x.grad.tolist() == [9, 9]


def test_a_retained_gradient_is_that_of_the_new_value():
    x = leaf(1, 2)
    y = x * 3
    y.retain_grad()
    y.mul_(10)
    (y * 2).sum().backward()
    assert y.grad.tolist() == [2, 2]


def test_self_assignment_that_overlaps_copies_first():
    x = leaf(1, 2, 3)
    y = x * 1
    y[1:] = y[:-1]
    assert y.tolist() == [1, 1, 2]
    (y * chainrule.tensor([1.0, 10.0, 100.0], dtype=chainrule.float64)).sum().backward()
    assert x.grad.tolist() == [11, 100, 0]


def test_gradients_of_gradients_go_through_what_was_written():
    x = leaf(2, 3)
    y = x * 1
    y[0] = x[1] ** 3
    (g,) = chainrule.autograd.grad((y * y).sum(), x, create_graph=True)
    assert g.tolist() == [0, 6 * 3**5 + 2 * 3]
    g.sum().backward()
    assert x.grad.tolist() == [0, 30 * 3**4 + 2]


def test_tangents_go_through_what_was_written():
    with forward.dual_level():
        x = chainrule.tensor([2.0, 3.0])
        dual = forward.make_dual(x, chainrule.tensor([1.0, 10.0]))
        y = dual * 1
        y[0] = dual[1] * 2
        y.mul_(3)
        primal, tangent = forward.unpack_dual(y)
    assert primal.tolist() == [18, 9]
    assert tangent.tolist() == [60, 30]


def test_memory_laid_out_unlike_the_base_takes_writes_too():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    x = chainrule.from_numpy(array).requires_grad_()
    y = x * 1  # keeps the layout
    y.T.reshape(-1)[1:3] = 0
    y.reshape(-1)[0] = 5  # of this layout a copy, so y stays
    (y * y).sum().backward()
    expected = 2 * array.copy()
    expected[1, 0] = expected[0, 1] = 0
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_numpy_memory_stays_shared():
    array = np.zeros(3, np.float32)
    x = chainrule.from_numpy(array)
    x[0] = 1
    array[1] = 2
    x[1:].add_(1)
    assert array.tolist() == x.tolist() == [1, 3, 1]
    foreign = chainrule.from_numpy(np.frombuffer(bytearray(8), np.float32))
    part = foreign[1:]
    foreign.add_(leaf(1.0).sum())
    assert part.requires_grad


def test_a_saved_value_that_was_changed_is_named_with_both_lines():
    x = leaf(1, 2)
    y = x * 1
    z = y * y
    y[0] = 5
    with pytest.raises(AutogradError, match="mul") as raised:
        z.sum().backward()
    assert "__setitem__" in str(raised.value)
    assert "y[0] = 5" in str(raised.value)
    assert "z = y * y" in str(raised.value)


@pytest.mark.parametrize("change", [lambda y: y[0].add_(1), lambda y: y.detach().add_(1)])
def test_a_change_through_a_view_or_a_detached_twin_is_noticed(change):
    x = leaf(1, 2)
    y = x * 1
    z = y.exp() * y
    change(y)
    with pytest.raises(AutogradError, match="changed in place"):
        z.sum().backward()


def test_leaves_change_under_no_grad_only():
    x = leaf(1, 2)
    for change in (lambda: x.add_(1), lambda: x[0].add_(1), lambda: x.__setitem__(0, 3)):
        with pytest.raises(AutogradError, match="no_grad"):
            change()
    view = x[0]
    with chainrule.no_grad():
        x[0] = 10
        x.mul_(2)
    assert x.tolist() == [20, 4]
    assert x.is_leaf
    (view * x[1]).backward()
    assert x.grad.tolist() == [4, 20]


def test_a_view_that_is_a_leaf_stays_one():
    flat = chainrule.zeros(4)
    weight = flat[:2].requires_grad_()
    with pytest.raises(AutogradError, match="leaf"):
        weight.add_(1)
    with chainrule.no_grad():
        flat.add_(1)
    (weight * 3).sum().backward()
    assert weight.is_leaf
    assert weight.grad.tolist() == [3, 3]


def test_what_does_not_fit_is_refused_and_nothing_changed():
    x = chainrule.zeros(3)
    with pytest.raises(ShapeError):
        x.add_(chainrule.ones(2, 3))
    with pytest.raises(ShapeError):
        x.copy_(chainrule.ones(4))
    number = chainrule.tensor([1, 2])
    with pytest.raises(DTypeError):
        number += 1.5
    with pytest.raises(DTypeError):
        number.mul_(chainrule.ones(2))
    frozen = np.zeros(2)
    frozen.flags.writeable = False
    with pytest.raises(OpError, match="read-only"):
        chainrule.from_numpy(frozen).add_(1)
    assert x.tolist() == [0, 0, 0]
    assert number.tolist() == [1, 2]


def test_a_wider_result_is_written_in_the_targets_dtype_with_its_gradient():
    x = chainrule.ones(2, requires_grad=True)
    y = x * 1
    y.mul_(chainrule.tensor([2.0, 3.0], dtype=chainrule.float64))
    assert y.dtype is chainrule.float32
    y.sum().backward()
    assert x.grad.dtype is chainrule.float32
    assert x.grad.tolist() == [2, 3]


def test_augmented_assignment_through_brackets_counts_as_one_change():
    x = chainrule.zeros(3)
    x[0] += 1
    x[1:] *= 2
    assert x.version == 2
    assert x.tolist() == [1, 0, 0]
