"""What the normalisations promise: moments, invariances, running statistics, refusals."""

import numpy as np
import pytest

import chainrule
from chainrule.autograd import gradgradcheck
from chainrule.core.op import registry
from chainrule.errors import ConfigError, DTypeError, ShapeError
from chainrule.nn import functional as F


def leaf(array):
    return chainrule.from_numpy(np.array(array, np.float64)).requires_grad_()


NORMS = [
    pytest.param(lambda x, **k: F.layer_norm(x, (3, 4), **k), (2, 3), id="layer_norm"),
    pytest.param(lambda x, **k: F.group_norm(x, 1, **k), (1, 2, 3), id="group_norm of one group"),
    pytest.param(lambda x, **k: F.instance_norm(x, **k), (2, 3), id="instance_norm"),
    pytest.param(
        lambda x, **k: F.batch_norm(x, None, None, training=True, **k), (0, 2, 3), id="batch_norm"
    ),
]


@pytest.mark.parametrize(("norm", "axes"), NORMS)
def test_mean_0_and_variance_1(rng, norm, axes):
    y = norm(leaf(5 + 3 * rng.standard_normal((6, 2, 3, 4))), eps=0).detach().numpy()
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-12)


@pytest.mark.parametrize(("norm", "axes"), NORMS)
def test_shift_and_stretch_change_nothing_so_the_gradient_is_orthogonal_to_them(rng, norm, axes):
    x = leaf(rng.standard_normal((6, 2, 3, 4)))
    y = norm(x, eps=0)
    y.backward(chainrule.from_numpy(rng.standard_normal(y.shape)))
    np.testing.assert_allclose(x.grad.numpy().sum(axes), 0, atol=1e-12)
    np.testing.assert_allclose((x.grad.numpy() * y.detach().numpy()).sum(axes), 0, atol=1e-12)
    np.testing.assert_allclose(norm(x * 7 + 5, eps=0).detach().numpy(), y.detach().numpy())


@pytest.mark.parametrize(("norm", "axes"), NORMS)
def test_a_constant_input_gives_zeros_and_a_finite_gradient(norm, axes):
    x = leaf(np.full((6, 2, 3, 4), 2.5))
    y = norm(x)
    assert (y == 0).all()
    y.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_layer_norm_on_paper():
    x = leaf([1, 3, 8])
    y = F.layer_norm(x, (3,), eps=0)
    np.testing.assert_allclose(y.tolist(), [-1.019, -0.340, 1.359], atol=5e-4)
    y[0].backward()
    np.testing.assert_allclose(x.grad.tolist(), [0.1089, -0.1524, 0.0435], atol=5e-5)


def test_rms_norm_on_paper():
    x = leaf([3, 4])
    y = F.rms_norm(x, (2,), eps=0)
    np.testing.assert_allclose(y.tolist(), [0.8485, 1.1314], atol=5e-5)
    y[0].backward()
    np.testing.assert_allclose(x.grad.tolist(), [0.1810, -0.1358], atol=5e-5)


def test_second_derivatives(rng):
    x, w, b = (leaf(rng.standard_normal(shape)) for shape in ((3, 4, 2), (4,), (4,)))
    v, u = leaf(rng.standard_normal(2)), leaf(rng.standard_normal(2))
    assert gradgradcheck(lambda x, w, b: F.layer_norm(x, (2,), w, b), (x, v, u))
    assert gradgradcheck(lambda x, w: F.rms_norm(x, (2,), w), (x, v))
    assert gradgradcheck(lambda *a: F.group_norm(a[0], 2, *a[1:]), (x, w, b))
    assert gradgradcheck(lambda *a: F.batch_norm(a[0], None, None, *a[1:], True), (x, w, b))


def test_running_statistics_follow_the_batches(rng):
    mean, var = chainrule.zeros(3), chainrule.ones(3)
    x = (4 + 2 * rng.standard_normal((64, 3))).astype(np.float32)
    for _ in range(100):
        F.batch_norm(chainrule.from_numpy(x), mean, var, training=True)
    np.testing.assert_allclose(mean.numpy(), x.mean(0), rtol=1e-3)
    np.testing.assert_allclose(var.numpy(), x.var(0, ddof=1), rtol=1e-3)
    before = mean.numpy().copy()
    y = F.batch_norm(chainrule.from_numpy(x), mean, var)
    np.testing.assert_array_equal(mean.numpy(), before)
    np.testing.assert_allclose(y.numpy().mean(0), 0, atol=1e-2)


def test_running_statistics_are_no_part_of_the_graph(rng):
    mean, var = chainrule.zeros(3), chainrule.ones(3)
    x = chainrule.from_numpy(rng.standard_normal((8, 3)).astype(np.float32)).requires_grad_()
    F.batch_norm(x, mean, var, training=True).sum().backward()
    assert not mean.requires_grad
    assert not var.requires_grad


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "batch_norm"])
def test_float16_survives_squares_beyond_its_range(name):
    x = chainrule.tensor([[1000.0, -1000.0], [500.0, -2000.0]]).to(chainrule.float16)
    extra = (None, None) if name == "batch_norm" else (2,)
    kwargs = {"training": True} if name == "batch_norm" else {}
    y = getattr(F, name)(x, *extra, **kwargs)
    assert y.dtype is chainrule.float16
    assert np.isfinite(y.numpy()).all()


def test_it_runs_without_a_tape(rng):
    x, w, b = (chainrule.from_numpy(rng.standard_normal(s)) for s in ((4, 5), (5,), (5,)))
    op = registry["layer_norm"]((5,))
    with chainrule.no_grad():
        y, residuals = op.forward(x, w, b)
        bars = op.backward(x, y, residuals, x, w, b, needs=(True, True, True))
    leaves = [leaf(each.numpy()) for each in (x, w, b)]
    F.layer_norm(leaves[0], 5, *leaves[1:]).backward(x)
    for bar, each in zip(bars, leaves):
        assert (bar == each.grad).all()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda x: F.layer_norm(x, (3,)), "last dimensions"),
        (lambda x: F.layer_norm(x, (4,), chainrule.ones(3)), "parameter"),
        (lambda x: F.rms_norm(x, (3,)), "last dimensions"),
        (lambda x: F.group_norm(x, 2), "groups"),
        (lambda x: F.batch_norm(x[:1, :, 0], None, None, training=True), "one number per channel"),
        (lambda x: F.batch_norm(x, None, None), "no running statistics"),
        (lambda x: F.batch_norm(x, chainrule.ones(4), chainrule.ones(4)), "3 channels"),
        (lambda x: F.batch_norm(x[:, 0, 0], None, None, training=True), r"f32\[2\]"),
        (lambda x: F.batch_norm(x, chainrule.ones(4), chainrule.ones(4)), "^batch_norm: "),
        (lambda x: F.instance_norm(x[:, :, 0]), r"^instance_norm: .*f32\[2,3\]"),
        (lambda x: F.instance_norm(x[:, :, :1]), r"^instance_norm: .*f32\[2,3,1\]"),
        (lambda x: F.instance_norm(x, weight=chainrule.ones(2)), "^instance_norm: .*3 channels"),
        (
            lambda x: F.instance_norm(
                x, chainrule.ones(2), chainrule.ones(2), use_input_stats=False
            ),
            "^instance_norm: .*3 channels",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(call, match):
    with pytest.raises(ShapeError, match=match) as raised:
        call(chainrule.ones(2, 3, 4))
    assert raised.value.cure


def test_mixed_dtypes_are_refused():
    with pytest.raises(DTypeError, match="dtypes differ"):
        F.layer_norm(chainrule.ones(2, 3), 3, chainrule.ones(3).to(chainrule.float64))
    with pytest.raises(DTypeError, match=r"f16\[2,3\].*f32\[3\]") as raised:
        F.layer_norm(chainrule.ones(2, 3).half(), 3, chainrule.ones(3))
    assert ".to(dtype)" in raised.value.cure
    statistics = chainrule.ones(3).double()
    with pytest.raises(DTypeError, match=r"f32\[2,3\].*f64\[3\]"):
        F.batch_norm(chainrule.ones(2, 3), statistics, statistics)
    with pytest.raises(DTypeError, match=r"^instance_norm: .*f32\[2,3,4\].*f64\[3\]"):
        F.instance_norm(chainrule.ones(2, 3, 4), weight=statistics)
    half = F.instance_norm(chainrule.ones(2, 3, 4).half(), weight=chainrule.ones(3))
    assert half.dtype is chainrule.float16


def test_no_groups_are_refused():
    with pytest.raises(ConfigError, match="num_groups is 0") as raised:
        F.group_norm(chainrule.ones(2, 4), 0)
    assert "positive" in raised.value.cure


def test_instance_norm_scales_channels_and_can_use_what_it_learned(rng):
    x = rng.standard_normal((2, 3, 5))
    scale, shift = rng.standard_normal((2, 3))
    mean, var = rng.standard_normal(3), rng.random(3) + 0.5
    given = [chainrule.tensor(each) for each in (mean, var, scale, shift)]

    def stretched(y):
        return y * scale[:, None] + shift[:, None]

    y = F.instance_norm(chainrule.tensor(x), None, None, *given[2:], eps=0.0).numpy()
    own = (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True)
    np.testing.assert_allclose(y, stretched(own), rtol=1e-10)
    y = F.instance_norm(chainrule.tensor(x), *given, use_input_stats=False, eps=0.0).numpy()
    fixed = (x - mean[:, None]) / np.sqrt(var)[:, None]
    np.testing.assert_allclose(y, stretched(fixed), rtol=1e-10)
