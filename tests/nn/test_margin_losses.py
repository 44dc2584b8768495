"""Losses with a margin or a likelihood, as functions and as layers, against their formulas."""

import math
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.autograd import gradcheck
from chainrule.errors import ConfigError, DimensionError
from chainrule.nn import functional as F

SIGNS = np.array([1.0, -1.0, 1.0, -1.0])


def drawn(rng: np.random.Generator, *shape: int) -> tuple[Any, Any]:
    """An array, and the same as a tensor."""
    array = rng.standard_normal(shape)
    return array, chainrule.tensor(array)


def check(layer: nn.Module, arguments: tuple[Any, ...], each: Any) -> None:
    """The layer gives the losses by the formula, and reduces them as all losses are reduced."""
    for reduction, expected in (("none", each), ("sum", each.sum()), ("mean", each.mean())):
        layer.reduction = reduction
        y = layer(*arguments).numpy()
        np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-13)


def test_soft_margin(rng) -> None:
    a, x = drawn(rng, 4)
    check(nn.SoftMarginLoss(), (x, chainrule.tensor(SIGNS)), np.log1p(np.exp(-SIGNS * a)))


def test_hinge_embedding_wants_distances_below_zero_or_beyond_the_margin(rng) -> None:
    a, x = drawn(rng, 4)
    expected = np.where(SIGNS == 1, a, np.maximum(0, 0.7 - a))
    check(nn.HingeEmbeddingLoss(0.7), (x, chainrule.tensor(SIGNS)), expected)


def test_margin_ranking_costs_nothing_where_the_order_is_right_by_the_margin(rng) -> None:
    (a, x), (b, y) = drawn(rng, 4), drawn(rng, 4)
    expected = np.maximum(0, -SIGNS * (a - b) + 0.3)
    check(nn.MarginRankingLoss(0.3), (x, y, chainrule.tensor(SIGNS)), expected)
    right = F.margin_ranking_loss(*map(chainrule.tensor, ([2.0], [1.0], [1.0])), margin=0.5)
    assert right.item() == 0


def cosines(a: Any, b: Any) -> Any:
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def test_cosine_embedding(rng) -> None:
    (a, x), (b, y) = drawn(rng, 4, 3), drawn(rng, 4, 3)
    cosine = cosines(a, b)
    expected = np.where(SIGNS == 1, 1 - cosine, np.maximum(0, cosine - 0.2))
    check(nn.CosineEmbeddingLoss(0.2), (x, y, chainrule.tensor(SIGNS)), expected)


def test_cosine_similarity_along_the_dimension_it_was_told(rng) -> None:
    (a, x), (b, y) = drawn(rng, 4, 3), drawn(rng, 4, 3)
    np.testing.assert_allclose(nn.CosineSimilarity()(x, y).numpy(), cosines(a, b), rtol=1e-12)
    along_rows = nn.CosineSimilarity(dim=0)(x, y).numpy()
    np.testing.assert_allclose(along_rows, cosines(a.T, b.T), rtol=1e-12)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_pairwise_distance_is_the_p_norm_of_the_difference(rng, p: float) -> None:
    (a, x), (b, y) = drawn(rng, 4, 3), drawn(rng, 4, 3)
    expected = np.linalg.norm(a - b + 1e-6, ord=p, axis=-1)
    np.testing.assert_allclose(nn.PairwiseDistance(p)(x, y).numpy(), expected, rtol=1e-12)
    assert nn.PairwiseDistance(p, keepdim=True)(x, y).shape == (4, 1)


@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("swap", [False, True])
def test_triplets_want_the_negative_farther_than_the_positive(rng, p: float, swap: bool) -> None:
    (a, anchor), (b, positive), (c, negative) = (drawn(rng, 6, 3) for _ in range(3))

    def distance(one: Any, other: Any) -> Any:
        return np.linalg.norm(one - other + 1e-6, ord=p, axis=-1)

    far = distance(a, c)
    if swap:
        far = np.minimum(far, distance(b, c))
    expected = np.maximum(0, distance(a, b) - far + 0.5)
    layer = nn.TripletMarginLoss(margin=0.5, p=p, swap=swap)
    check(layer, (anchor, positive, negative), expected)


# ---- likelihoods -----------------------------------------------------------------------------


def test_poisson_by_the_logarithm_of_the_rate_or_the_rate(rng) -> None:
    a, x = drawn(rng, 5)
    counts = np.array([0.0, 1.0, 2.0, 5.0, 40.0])
    target = chainrule.tensor(counts)
    check(nn.PoissonNLLLoss(), (x, target), np.exp(a) - counts * a)
    rate = np.exp(a)
    plain = nn.PoissonNLLLoss(log_input=False, eps=1e-12)
    check(plain, (chainrule.tensor(rate), target), rate - counts * np.log(rate))


def test_a_full_poisson_loss_is_the_negative_logarithm_of_the_probability() -> None:
    """Stirling's formula is within 1/(12 t) of ln t!; for 0 and 1, ln t! is 0."""
    counts = [0, 1, 2, 5, 40]
    full = nn.PoissonNLLLoss(full=True, reduction="none")
    losses = full(
        chainrule.full((5,), math.log(3.0), dtype=chainrule.float64),
        chainrule.tensor(counts, dtype=chainrule.float64),
    ).tolist()
    for t, loss in zip(counts, losses):
        exact = 3 - t * math.log(3) + math.lgamma(t + 1)
        assert 0 <= exact - loss + 1e-12 <= 1 / (12 * max(t, 1)) + 1e-12


def test_gaussian_is_the_negative_logarithm_of_the_density(rng) -> None:
    (a, x), (b, y) = drawn(rng, 4, 3), drawn(rng, 4, 3)
    each = rng.random((4, 3)) + 0.5
    for var in (each, each[:, :1], each[:, 0], np.asarray(0.8)):
        v = var[:, None] if var.ndim == 1 else var
        expected = 0.5 * (np.log(v) + (a - b) ** 2 / v)
        check(nn.GaussianNLLLoss(), (x, y, chainrule.tensor(var)), expected)
        whole = -np.log(np.exp(-((a - b) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v))
        check(nn.GaussianNLLLoss(full=True), (x, y, chainrule.tensor(var)), whole)
    number = F.gaussian_nll_loss(x, y, 0.8).item()
    assert number == pytest.approx(0.5 * (np.log(0.8) + (a - b) ** 2 / 0.8).mean(), rel=1e-12)


def test_a_variance_below_the_floor_is_the_floor_with_a_gradient_all_the_same() -> None:
    x = chainrule.tensor([1.0], dtype=chainrule.float64)
    var = chainrule.tensor([0.0], dtype=chainrule.float64, requires_grad=True)
    loss = F.gaussian_nll_loss(x, x * 0, var, eps=0.25)
    assert loss.item() == pytest.approx(0.5 * (math.log(0.25) + 4))
    loss.backward()
    assert var.grad.item() == pytest.approx(0.5 * (1 / 0.25 - 1 / 0.25**2))


def test_a_negative_variance_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"var is -0\.5") as raised:
        F.gaussian_nll_loss(chainrule.ones(2), chainrule.ones(2), -0.5)
    assert "not negative" in raised.value.cure


# ---- several classes -------------------------------------------------------------------------


def test_multilabel_soft_margin_is_the_mean_binary_cross_entropy_of_the_classes(rng) -> None:
    a, x = drawn(rng, 4, 3)
    t = (rng.random((4, 3)) > 0.5).astype(float)
    w = np.array([0.5, 2.0, 1.0])
    p = 1 / (1 + np.exp(-a))
    each = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    target, weight = chainrule.tensor(t), chainrule.tensor(w)
    for reduction, finish in (("none", np.asarray), ("mean", np.mean), ("sum", np.sum)):
        y = F.multilabel_soft_margin_loss(x, target, reduction=reduction)
        np.testing.assert_allclose(y.numpy(), finish(each.mean(1)), rtol=1e-10)
        y = F.multilabel_soft_margin_loss(x, target, weight, reduction=reduction)
        np.testing.assert_allclose(y.numpy(), finish((each * w).mean(1)), rtol=1e-10)


@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin_compares_each_class_with_the_right_one(rng, p: int) -> None:
    a, x = drawn(rng, 4, 3)
    classes = [2, 0, 1, 2]
    expected = np.zeros(4)
    for n, own in enumerate(classes):
        for c in range(3):
            if c != own:
                expected[n] += max(0.0, 0.4 - a[n, own] + a[n, c]) ** p / 3
    y = F.multi_margin_loss(x, chainrule.tensor(classes), p, 0.4, reduction="none")
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
    one = F.multi_margin_loss(x[1], chainrule.tensor(0), p, 0.4)
    assert one.item() == pytest.approx(expected[1])


def test_multi_margin_refusals() -> None:
    x = chainrule.ones(2, 3)
    with pytest.raises(ConfigError, match="p is 3") as raised:
        F.multi_margin_loss(x, chainrule.tensor([0, 1]), p=3)
    assert "1 or 2" in raised.value.cure
    with pytest.raises(DimensionError, match="3"):
        F.multi_margin_loss(x, chainrule.tensor([0, 3]))


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y: F.soft_margin_loss((x + y)[:, 0], chainrule.tensor(SIGNS)),
        lambda x, y: F.hinge_embedding_loss((x + y)[:, 0], chainrule.tensor(SIGNS)),
        lambda x, y: F.margin_ranking_loss(x[:, 0], y[:, 0], chainrule.tensor(SIGNS), 0.5),
        lambda x, y: F.cosine_embedding_loss(x, y, chainrule.tensor(SIGNS)),
        lambda x, y: F.triplet_margin_loss(x, y, x * y),
        lambda x, y: F.poisson_nll_loss(x, y.exp(), full=True),
        lambda x, y: F.gaussian_nll_loss(x, y, (x * x).sum(1) + 1),
        lambda x, y: F.multilabel_soft_margin_loss(x, y.sigmoid()),
        lambda x, y: F.multi_margin_loss(x * y, chainrule.tensor([0, 1, 2, 0]), 2),
    ],
)
def test_the_gradient_is_the_slope(rng, loss: Any) -> None:
    x, y = (chainrule.tensor(rng.standard_normal((4, 3)), requires_grad=True) for _ in range(2))
    assert gradcheck(loss, (x, y))


# ---- the layers of the other losses ----------------------------------------------------------


def test_layers_of_losses_are_their_formulas(rng) -> None:
    (a, x), (b, y) = drawn(rng, 4, 3), drawn(rng, 4, 3)
    d = np.abs(a - b)
    check(nn.L1Loss(), (x, y), d)
    check(nn.MSELoss(), (x, y), d * d)
    huber = np.where(d < 0.7, d * d / 2, 0.7 * (d - 0.35))
    check(nn.HuberLoss(delta=0.7), (x, y), huber)
    check(nn.SmoothL1Loss(beta=0.7), (x, y), huber / 0.7)
    check(nn.SmoothL1Loss(beta=0.0), (x, y), d)


def test_binary_cross_entropy_with_weights_for_elements(rng) -> None:
    a, x = drawn(rng, 4, 3)
    t, w = rng.random((4, 3)), rng.random(3) + 0.5
    target, weight, p = chainrule.tensor(t), chainrule.tensor(w), 1 / (1 + np.exp(-a))
    each = -w * (t * np.log(p) + (1 - t) * np.log(1 - p))
    check(nn.BCELoss(weight), (chainrule.tensor(p), target), each)
    check(nn.BCEWithLogitsLoss(weight), (x, target), each)


def test_nll_takes_weighted_means_and_leaves_ignored_targets_out(rng) -> None:
    a, x = drawn(rng, 4, 3)
    w = np.array([1.0, 2.0, 4.0])
    classes = np.array([0, 2, 7, 1])
    layer = nn.NLLLoss(chainrule.tensor(w), ignore_index=7)
    kept, of = [0, 1, 3], classes[[0, 1, 3]]
    expected = -(w[of] * a[kept, of]).sum() / w[of].sum()
    assert layer(x, chainrule.tensor(classes)).item() == pytest.approx(expected)
