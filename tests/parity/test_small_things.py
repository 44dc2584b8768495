"""What the other files of this folder leave out, and that they leave out nothing else."""

import re
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim

torch = pytest.importorskip("torch")

F, TF = nn.functional, torch.nn.functional

# Public names with no counterpart in PyTorch, or that hold no numbers to compare.
OURS = {
    "nn": {"Buffer", "Layer", "LayerEngine", "Parameter", "ParameterDict", "ParameterList"},
    "functional": {"alpha_dropout", "dropout1d", "dropout2d", "dropout3d", "gumbel_softmax"},
    "optim": {"Lion", "Optimizer"},
    "lr_scheduler": {"LRScheduler"},
}


def same(mine, theirs) -> None:
    np.testing.assert_array_equal(mine.detach().numpy(), theirs.detach().numpy())


@pytest.mark.parametrize("room", [nn, F, optim, optim.lr_scheduler])
def test_everything_public_is_compared_somewhere(room) -> None:
    """By name: that a comparison is a good one is for its readers."""
    texts = (each.read_text(encoding="utf-8") for each in Path(__file__).parent.glob("*.py"))
    named = set(re.findall(r"\w+", "\n".join(texts)))
    public = {
        name
        for name in (getattr(room, "__all__", None) or dir(room))
        if not name.startswith("_")
        and callable(getattr(room, name))
        and getattr(room, name).__module__.startswith("chainrule")
    }
    assert public - named - OURS[room.__name__.rpartition(".")[2]] == set()


def test_bits() -> None:
    values, shifts = np.array([0, 1, -7, 100, -128], np.int8), np.array([0, 1, 2, 3, 7], np.int8)
    mine, theirs = cr.from_numpy(values), torch.from_numpy(values)
    same(cr.bitwise_not(mine), torch.bitwise_not(theirs))
    same(
        cr.bitwise_right_shift(mine, cr.from_numpy(shifts)),
        torch.bitwise_right_shift(theirs, torch.from_numpy(shifts)),
    )


def test_sum_to_size() -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    for size in [(3, 4), (2, 1, 4), (1,), (2, 3, 4)]:
        same(cr.from_numpy(values).sum_to_size(*size), torch.from_numpy(values).sum_to_size(*size))


@pytest.mark.parametrize("name", ["relu_", "elu_", "leaky_relu_", "hardtanh_", "threshold_"])
def test_activations_in_place(name: str, rng: np.random.Generator) -> None:
    values = rng.normal(size=(4, 5))
    more = (0.1, 20.0) if name == "threshold_" else ()
    mine, theirs = cr.from_numpy(values.copy()), torch.from_numpy(values.copy())
    assert getattr(F, name)(mine, *more) is mine
    getattr(TF, name)(theirs, *more)
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-14)


def test_swish_is_silu(rng: np.random.Generator) -> None:
    values = rng.normal(size=(4, 5))
    theirs = TF.silu(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(F.swish(cr.from_numpy(values)).numpy(), theirs, rtol=1e-14)


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (1.0, True), (0.5, False)])
def test_dropout_where_chance_has_no_say(p: float, training: bool) -> None:
    values = np.arange(12.0).reshape(3, 4)
    same(
        F.dropout(cr.from_numpy(values), p, training),
        TF.dropout(torch.from_numpy(values), p, training),
    )


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_the_norm_of_all_gradients(norm_type: float, rng: np.random.Generator) -> None:
    arrays = [rng.normal(size=(3, 4)), rng.normal(size=(5,))]
    mine = [cr.from_numpy(each.copy()) for each in arrays]
    theirs = [torch.from_numpy(each.copy()) for each in arrays]
    total = nn.get_total_norm(mine, norm_type)
    expected = torch.nn.utils.get_total_norm(theirs, norm_type)
    np.testing.assert_allclose(total.numpy(), expected.numpy(), rtol=1e-14)

    held = [cr.zeros(*each.shape, dtype=cr.float64, requires_grad=True) for each in arrays]
    theirs_held = [torch.zeros(each.shape, dtype=torch.float64) for each in arrays]
    for parameter, other, grad, their_grad in zip(held, theirs_held, mine, theirs):
        parameter.grad, other.grad = grad, their_grad
    nn.clip_grads_with_norm_(held, 0.5, total)
    torch.nn.utils.clip_grads_with_norm_(theirs_held, 0.5, expected)
    for parameter, other in zip(held, theirs_held):
        np.testing.assert_allclose(parameter.grad.numpy(), other.grad.numpy(), rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "shape", "more"),
    [
        ("zeros_", (3, 4), ()),
        ("ones_", (3, 4), ()),
        ("constant_", (3, 4), (0.3,)),
        ("eye_", (3, 5), ()),
        ("dirac_", (4, 2, 3, 3), ()),
        ("dirac_", (4, 2, 3), (2,)),
    ],
)
def test_initialisations_without_chance(name: str, shape: tuple[int, ...], more) -> None:
    mine = getattr(nn.init, name)(cr.empty(*shape), *more)
    same(mine, getattr(torch.nn.init, name)(torch.empty(*shape), *more))


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.5}),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("trunc_normal_", {"std": 0.5, "a": -0.5, "b": 1.0}),
        ("orthogonal_", {"gain": 1.5}),
    ],
)
def test_initialisations_by_chance_spread_as_widely(name: str, more) -> None:
    mine = getattr(nn.init, name)(cr.empty(120, 300), **more).numpy()
    theirs = getattr(torch.nn.init, name)(torch.empty(120, 300), **more).numpy()
    assert mine.std() == pytest.approx(theirs.std(), rel=0.03)
    assert np.abs(mine).max() == pytest.approx(np.abs(theirs).max(), rel=0.3)


def test_zeros_of_a_sparse_initialisation() -> None:
    mine = nn.init.sparse_(cr.empty(50, 20), 0.3).numpy()
    theirs = torch.nn.init.sparse_(torch.empty(50, 20), 0.3).numpy()
    np.testing.assert_array_equal((mine == 0).sum(0), (theirs == 0).sum(0))


@pytest.mark.parametrize("kind", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu"])
def test_gains(kind: str) -> None:
    assert nn.init.calculate_gain(kind) == torch.nn.init.calculate_gain(kind)


def test_the_gain_of_a_leaky_relu_follows_its_slope() -> None:
    expected = torch.nn.init.calculate_gain("leaky_relu", 0.2)
    assert nn.init.calculate_gain("leaky_relu", 0.2) == pytest.approx(expected, rel=1e-15)
