"""Views and in-place changes against PyTorch: named cases, and random programs of both."""

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise, torch

import chainrule


def array(*shape, seed=0):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def both(program):
    return (lambda *xs: program(chainrule, *xs), lambda *xs: program(torch, *xs))


def change_a_slice(lib, x, w):
    y = x * 1
    y[0] += w[0]
    return y * w


def change_through_a_chain_of_views(lib, x, w):
    y = x.clone()
    y[1:].transpose(0, 1)[0].mul_(3)
    return y.sin() * w


def other_views_follow(lib, x, w):
    y = x * 2
    row, column, flat = y[0], y[:, 1], y.view(-1)
    y.mul_(w)
    row.add_(5)
    return row * 2, column.exp(), flat * flat, y


def a_view_used_before_and_after(lib, x, w):
    y = x * 2
    row = y[0]
    before = row.sum()
    row *= w[1]
    return before + (row * w[0]).sum() + y.sum()


def copy_into_a_view(lib, x, w):
    y = x * 2
    y[:, 0].copy_(w[:, 1])
    return y * x


def copy_all(lib, x, w):
    y = x * 2
    y.copy_(w)
    return y * 3


def copy_broadcast(lib, x, w):
    y = x * 2
    y.copy_(w[0])
    return y * x


def constant_into_part_and_all(lib, x, w):
    y, z = x * 2, w * 2
    y[0] = 0
    z.copy_(lib.ones(*z.shape, dtype=z.dtype))
    return y * w, z * x


def a_tracked_row_in_untracked_memory(lib, x, w):
    y = lib.zeros(*x.shape, dtype=x.dtype)
    view = y[1]
    y[1] = x[0]
    y[0] = w[0] * x[1]
    return y * y, view * 3


def overlapping_self_assignment(lib, x, w):
    y = x[0] * 2
    y[1:] = y[:-1].clone()
    return y * w[0]


def masks_and_indices(lib, x, w):
    y = x * 2
    y[y > 0] = w[0, 0]
    y[:, [0, 2]] += w[:, :2]
    y[[1, 0], [1, 1]] = w[0, :2]
    return y * x


def fan_out_before(lib, x, w):
    y = x * 2
    z = y + w
    y.add_(w)
    return z * y


def detached_and_back(lib, x, w):
    y = x.clone()
    y.detach()[0] = 7
    return y * w


def diagonals_and_windows(lib, x, w):
    y = x * 1
    y.diagonal().mul_(2)
    y.unfold(1, 1, 2)[0].add_(w[0, 0])
    return y * w


def squeezed(lib, x, w):
    y = x * 1
    y.unsqueeze(0).squeeze(0)[0].mul_(w[1])
    y.flatten()[2:5] = w.reshape(-1)[:3]
    return y * w


def in_place_chain(lib, x, w):
    y = x * 1
    y.add_(1).mul_(w).sub_(x)
    y.exp_()
    return y * w


def under_no_grad(lib, x, w):
    y = x * 2
    with lib.no_grad():
        y[0] = 3
        y.add_(1)
    return y + w


def float64_written_into_float32(lib, x, w):
    y = (x * 2).to(lib.float32)
    y.mul_(w.to(lib.float64).sum().to(lib.float64))
    y[0] = w[0].to(lib.float64)
    return y * 2


PROGRAMS = [
    change_a_slice,
    change_through_a_chain_of_views,
    other_views_follow,
    a_view_used_before_and_after,
    copy_into_a_view,
    copy_all,
    copy_broadcast,
    constant_into_part_and_all,
    a_tracked_row_in_untracked_memory,
    overlapping_self_assignment,
    masks_and_indices,
    fan_out_before,
    detached_and_back,
    diagonals_and_windows,
    squeezed,
    in_place_chain,
    under_no_grad,
    float64_written_into_float32,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: each.__name__)
def test_it_agrees(program):
    assert_agrees(both(program), array(2, 3), array(2, 3, seed=1))


def square_then_change(lib, x, w):
    y = x * 2
    z = y * y
    y[0] = 1
    z.sum().backward()


def change_a_leaf(lib, x, w):
    x.requires_grad_()
    x[0] = 1


def change_a_leaf_whole(lib, x, w):
    x.requires_grad_()
    x.mul_(2)


def change_an_expanded_one(lib, x, w):
    x[0].expand(4, 3).add_(1)


def float_into_integers(lib, x, w):
    y = lib.arange(3)
    y += 1.5


def too_large(lib, x, w):
    x[0].add_(w)


def change_the_output_that_was_saved(lib, x, w):
    x.requires_grad_()
    y = (x * 1).exp()
    y.add_(1)
    y.sum().backward()


@pytest.mark.parametrize(
    "program",
    [
        square_then_change,
        change_a_leaf,
        change_a_leaf_whole,
        change_an_expanded_one,
        float_into_integers,
        too_large,
        change_the_output_that_was_saved,
    ],
    ids=lambda each: each.__name__,
)
def test_both_refuse(program):
    def with_gradients(lib, x, w):
        if program is square_then_change:
            x.requires_grad_()
        program(lib, x, w)

    assert_both_raise(both(with_gradients), array(2, 3), array(2, 3, seed=1))


# ---- random programs -------------------------------------------------------------------------

VIEWS = [
    lambda t, k: t[k % t.shape[0]] if t.ndim and t.shape[0] else t,
    lambda t, k: t[..., k % 2 :] if t.ndim else t,
    lambda t, k: t[:: k % 2 + 1] if t.ndim else t,
    lambda t, k: t.transpose(0, -1) if t.ndim else t,
    lambda t, k: t.unsqueeze(k % (t.ndim + 1)),
    lambda t, k: t.view(-1) if t.is_contiguous() else t,
    lambda t, k: t.diagonal(k % 2) if t.ndim == 2 else t,
    lambda t, k: t.squeeze(),
    lambda t, k: t.unfold(0, 2, 2) if t.ndim and t.shape[0] > 1 else t,
    lambda t, k: t.narrow(0, 0, t.shape[0] - k % 2) if t.ndim and t.shape[0] else t,
    lambda t, k: t.detach() if k % 7 == 0 else t,
]
CHANGES = [
    lambda t, o, k: t.mul_(0.5 + k % 3),
    lambda t, o, k: t.add_(o.sum()),
    lambda t, o, k: t.mul_(o.mean().detach() + 2),
    lambda t, o, k: t.copy_(o.sum() * 0.5),
    lambda t, o, k: t.copy_(t * 2) if k % 2 else t.sub_(1.5),
    lambda t, o, k: t.__setitem__(..., k % 4),
    lambda t, o, k: t.__setitem__(0, o.sum()) if t.ndim and t.shape[0] else None,
    lambda t, o, k: t.__setitem__(t > 0.5, 0.25),
    lambda t, o, k: t.__setitem__(slice(1, None), t[:-1].clone()) if t.ndim else None,
    lambda t, o, k: t.neg_(),
]


def random_program(lib, x, w, seed):
    rng = np.random.default_rng(seed)
    known = [x * 1, w * 1, lib.zeros(4, 4, dtype=x.dtype)]
    kept = []
    for _ in range(int(rng.integers(4, 14))):
        kind, k = rng.integers(0, 3), int(rng.integers(0, 100))
        t, other = (known[int(rng.integers(0, len(known)))] for _ in range(2))
        if kind == 0:
            known.append(VIEWS[int(rng.integers(0, len(VIEWS)))](t, k))
        elif kind == 1:
            CHANGES[int(rng.integers(0, len(CHANGES)))](t, other, k)
        else:
            kept.append(t.sum() + (other + 1).sum())  # linear: saves nothing that can be changed
    return [*kept, *[each * 1 for each in known]]


@pytest.mark.parametrize("start", range(0, 400, 50))
def test_random_programs_of_views_and_changes_agree(start):
    for seed in range(start, start + 50):
        assert_agrees(
            (
                lambda x, w, seed=seed: random_program(chainrule, x, w, seed),
                lambda x, w, seed=seed: random_program(torch, x, w, seed),
            ),
            array(4, 4, seed=seed),
            array(4, 4, seed=seed + 1000),
            dtypes=["float64"],
            rtol=1e-9,
            atol=1e-9,
        )
