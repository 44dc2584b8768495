"""Losses against PyTorch: values and gradients, every option, in float32 and float64."""

import warnings

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise

import chainrule
from chainrule.errors import ShapeError
from chainrule.nn import functional as F

torch = pytest.importorskip("torch")

REDUCTIONS = ("none", "mean", "sum")
reductions = pytest.mark.parametrize("reduction", REDUCTIONS)
PAIRS = [
    ("mse_loss", {}),
    ("l1_loss", {}),
    ("smooth_l1_loss", {}),
    ("smooth_l1_loss", {"beta": 0.3}),
    ("smooth_l1_loss", {"beta": 0.0}),
    ("huber_loss", {}),
    ("huber_loss", {"delta": 0.3}),
]
COUNTS = [
    ("soft_margin_loss", {}, [-1, 1]),
    ("poisson_nll_loss", {}, [0, 5]),
    ("poisson_nll_loss", {"full": True}, [0, 5]),
    ("poisson_nll_loss", {"log_input": False}, [0, 5]),
]


@reductions
@pytest.mark.parametrize(("name", "options"), PAIRS)
@pytest.mark.parametrize("shape", [(4,), (3, 5), (), (0, 3)])
def test_losses_of_pairs(rng, name, options, shape, reduction):
    x, t = rng.standard_normal(shape), rng.standard_normal(shape)
    assert_agrees(f"nn.functional.{name}", x, t, kwargs={**options, "reduction": reduction})


@reductions
@pytest.mark.parametrize(("name", "options", "targets"), COUNTS)
def test_losses_of_numbers_against_counts(rng, name, options, targets, reduction):
    x, t = rng.random((3, 4)), rng.choice(targets, (3, 4))
    assert_agrees(f"nn.functional.{name}", x, t, kwargs={**options, "reduction": reduction})


@reductions
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weighted_losses_of_pairs(rng, name, reduction):
    """PyTorch's weighted mean divides by the weights for mse_loss; see the docstring of ours."""
    x, t, w = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.random((3, 4))

    def theirs(x, t, w):
        loss = getattr(torch.nn.functional, name)(x, t, reduction="none") * w
        return loss if reduction == "none" else getattr(loss, reduction)()

    def ours(x, t, w):
        return getattr(F, name)(x, t, weight=w, reduction=reduction)

    assert_agrees((ours, theirs), x, t, w)


def test_mixed_dtypes_are_promoted(rng):
    x, t = rng.standard_normal(4).astype(np.float32), rng.integers(0, 3, 4)
    assert_agrees("nn.functional.mse_loss", x, t)
    assert_agrees("nn.functional.l1_loss", x, t.astype(np.float64), dtypes=("float64",))


def test_shapes_that_differ_raise_where_pytorch_only_warns(rng):
    x, t = rng.standard_normal(4), rng.standard_normal((4, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.nn.functional.mse_loss(torch.tensor(x), torch.tensor(t)).ndim == 0
    with pytest.raises(ShapeError, match="squeeze"):
        F.mse_loss(chainrule.tensor(x), chainrule.tensor(t))


@reductions
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy(rng, reduction, weighted):
    x, t, weight = rng.random((4, 3)), rng.random((4, 3)), rng.random(3)

    def call(module, library):
        def function(x, t):
            w = library.from_numpy(weight).to(x.dtype) if weighted else None
            return module.binary_cross_entropy(x, t, w, reduction=reduction)

        return function

    assert_agrees((call(F, chainrule), call(torch.nn.functional, torch)), x, t, rtol=2e-4)


@reductions
def test_binary_cross_entropy_of_certainty(rng, reduction):
    """The gradient is that of a divisor of 1e-12, as in PyTorch."""
    x, t = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0, 1, 0, 1])

    def ours(x, t):
        return F.binary_cross_entropy(x, t.to(x.dtype), reduction=reduction)

    def theirs(x, t):
        return torch.nn.functional.binary_cross_entropy(x, t.to(x.dtype), reduction=reduction)

    assert_agrees((ours, theirs), x, t, rtol=1e-6)  # PyTorch's 1e-12 is a float32 in float64 too


def test_what_is_no_probability_is_refused():
    error = assert_both_raise(
        "nn.functional.binary_cross_entropy", np.array([0.5, 1.5]), np.array([0.0, 1.0])
    )
    assert "element [1] is 1.5" in str(error)


@reductions
@pytest.mark.parametrize("pos_weight", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy_with_logits(rng, reduction, pos_weight, weighted):
    x, t = rng.standard_normal((4, 3)) * 5, rng.random((4, 3))
    x[0], t[0] = [1e4, -1e4, 0], [0, 1, 1]
    weights = {"pos_weight": rng.random(3) + 0.5} if pos_weight else {}
    if weighted:
        weights["weight"] = rng.random((4, 1))

    def call(module, library):
        def function(x, t):
            given = {name: library.from_numpy(each).to(x.dtype) for name, each in weights.items()}
            return module.binary_cross_entropy_with_logits(x, t, reduction=reduction, **given)

        return function

    assert_agrees((call(F, chainrule), call(torch.nn.functional, torch)), x, t)


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
def test_kl_div(rng, reduction, log_target):
    x, t = np.log(rng.random((4, 3))), rng.random((4, 3))
    t = np.log(t) if log_target else t
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's advice on "mean"
        assert_agrees(
            "nn.functional.kl_div", x, t, kwargs={"reduction": reduction, "log_target": log_target}
        )


TARGETS = [
    ((6, 4), (6,)),
    ((4,), ()),
    ((3, 4, 5), (3, 5)),
    ((2, 4, 3, 2), (2, 3, 2)),
    ((0, 4), (0,)),
]


@reductions
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "places"), TARGETS)
def test_class_targets(rng, name, reduction, weighted, shape, places):
    x, t = rng.standard_normal(shape) * 3, rng.integers(0, 4, places)
    named = {"reduction": reduction}
    weight = rng.random(4) + 0.1

    def call(module, library):
        def function(x, t):
            w = library.from_numpy(weight).to(x.dtype) if weighted else None
            return getattr(module, name)(x, t, w, **named)

        return function

    pair = (call(F, chainrule), call(torch.nn.functional, torch))
    assert_agrees(pair, x, np.asarray(t))
    if t.size and t.shape:
        t.reshape(-1)[0] = -100
        assert_agrees(pair, x, t)
        named["ignore_index"] = 2
        t.reshape(-1)[0] = 2
        assert_agrees(pair, x, t)


@reductions
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "places"), TARGETS[:4])
def test_label_smoothing(rng, reduction, weighted, shape, places):
    x, t = rng.standard_normal(shape) * 3, np.asarray(rng.integers(0, 4, places))
    if places:
        t.reshape(-1)[-1] = -100
    weight = rng.random(4) + 0.1

    def call(module, library):
        def function(x, t):
            w = library.from_numpy(weight).to(x.dtype) if weighted else None
            return module.cross_entropy(x, t, w, reduction=reduction, label_smoothing=0.3)

        return function

    assert_agrees((call(F, chainrule), call(torch.nn.functional, torch)), x, t)


@reductions
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(6, 4), (4,), (3, 4, 5)])
def test_targets_that_are_probabilities(rng, reduction, weighted, smoothing, shape):
    x, t = rng.standard_normal(shape) * 3, rng.random(shape)
    weight = rng.random(4) + 0.1

    def call(module, library):
        def function(x, t):
            w = library.from_numpy(weight).to(x.dtype) if weighted else None
            return module.cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing)

        return function

    assert_agrees((call(F, chainrule), call(torch.nn.functional, torch)), x, t)


def test_everything_ignored_is_nan_in_the_mean_and_zero_in_the_sum(rng):
    x, t = rng.standard_normal((2, 3)), np.array([-100, -100])
    assert_agrees("nn.functional.cross_entropy", x, t, kwargs={"reduction": "sum"})
    assert_agrees("nn.functional.cross_entropy", x, t, grad=False)


def test_logits_of_minus_infinity_rule_a_class_out(rng):
    x = rng.standard_normal((3, 4))
    x[:, 1] = -np.inf
    assert_agrees("nn.functional.cross_entropy", x, np.array([0, 2, 3]))


@pytest.mark.parametrize("target", [[0, 7, 1], [0, -1, 1]])
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_a_target_that_is_no_class(rng, name, target):
    error = assert_both_raise(
        f"nn.functional.{name}", rng.standard_normal((3, 4)), np.array(target)
    )
    assert "[1]" in str(error)
    assert "4 classes" in str(error)


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
@pytest.mark.parametrize(
    "target", [np.zeros((3, 1), np.int64), np.zeros(4, np.int64), np.zeros(3, np.float32)]
)
def test_targets_of_the_wrong_shape_or_dtype(rng, name, target):
    assert_both_raise(f"nn.functional.{name}", rng.standard_normal((3, 4)), target)


@reductions
def test_margin_losses(rng, reduction):
    a, b, c = (rng.standard_normal((5, 3)) for _ in range(3))
    sign = np.array([1, -1, 1, -1, -1])
    named = {"reduction": reduction}
    assert_agrees("nn.functional.hinge_embedding_loss", a[:, 0], sign, kwargs=named)
    assert_agrees("nn.functional.margin_ranking_loss", a[:, 0], b[:, 0], sign, 0.2, kwargs=named)
    assert_agrees("nn.functional.cosine_embedding_loss", a, b, sign, 0.1, kwargs=named)
    for options in ({}, {"swap": True}, {"p": 1.0}, {"margin": 0.2}):
        assert_agrees(
            "nn.functional.triplet_margin_loss", a, b, c, kwargs={**options, **named}, rtol=1e-4
        )


@reductions
def test_losses_of_many_classes(rng, reduction):
    x, named = rng.standard_normal((5, 4)), {"reduction": reduction}
    many = rng.integers(0, 2, (5, 4))
    assert_agrees("nn.functional.multilabel_soft_margin_loss", x, many, kwargs=named)
    for p, margin in ((1, 1.0), (2, 0.4)):
        options = {"p": p, "margin": margin, **named}
        assert_agrees("nn.functional.multi_margin_loss", x, rng.integers(0, 4, 5), kwargs=options)


@reductions
@pytest.mark.parametrize("full", [False, True])
def test_gaussian_nll_loss(rng, reduction, full):
    x, t = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    for var in (rng.random((4, 3)) + 0.1, rng.random((4, 1)) + 0.1):
        named = {"reduction": reduction, "full": full}
        assert_agrees("nn.functional.gaussian_nll_loss", x, t, var, kwargs=named, rtol=1e-4)
