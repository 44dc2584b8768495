"""What losses promise: closed forms, reductions, extreme logits, targets that are refused."""

import math

import numpy as np
import pytest

import chainrule
from chainrule.errors import ConfigError, DimensionError, DTypeError, OpError, ShapeError
from chainrule.nn import functional as F

ALL_PAIRS = [
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    F.huber_loss,
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.kl_div,
]


@pytest.mark.parametrize("loss", ALL_PAIRS)
def test_reductions_are_the_sum_and_the_mean_of_the_losses(rng, loss):
    x, t = (chainrule.tensor(rng.random((3, 4))) for _ in range(2))
    each = loss(x, t, reduction="none").numpy()
    assert each.shape == (3, 4)
    assert loss(x, t, reduction="sum").item() == pytest.approx(each.sum())
    assert loss(x, t).item() == pytest.approx(each.mean())


@pytest.mark.parametrize("loss", [*ALL_PAIRS, F.cross_entropy, F.nll_loss])
def test_an_unknown_reduction_is_refused_and_the_known_ones_named(loss):
    with pytest.raises(ConfigError, match="'average'") as raised:
        loss(chainrule.ones(2, 3), chainrule.ones(2, 3), reduction="average")
    assert "'none', 'mean', 'sum'" in raised.value.cure


@pytest.mark.parametrize("loss", ALL_PAIRS)
def test_shapes_that_only_broadcast_are_refused(loss):
    with pytest.raises(ShapeError, match="squeeze") as raised:
        loss(chainrule.ones(4, 1) * 0.5, chainrule.ones(4))
    assert "f32[4,1]" in str(raised.value)


@pytest.mark.parametrize("loss", ALL_PAIRS)
def test_an_empty_batch_has_no_mean_and_no_sum(loss):
    x = chainrule.zeros(0, 3, requires_grad=True)
    assert math.isnan(loss(x, chainrule.zeros(0, 3)).item())
    total = loss(x, chainrule.zeros(0, 3), reduction="sum")
    assert total.item() == 0
    total.backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("loss", [F.mse_loss, F.cross_entropy, F.binary_cross_entropy_with_logits])
def test_float16_losses_are_computed_in_float32(loss):
    x = chainrule.full((300, 300), 2.0, dtype=chainrule.float16)
    y = loss(x, x * 0.25)
    assert y.dtype is chainrule.float16
    assert y.item() == pytest.approx(loss(x.float(), x.float() * 0.25).item(), rel=1e-3)
    assert math.isfinite(y.item())


def test_closed_forms():
    x, t = chainrule.tensor([1.0, -2.0, 5.0]), chainrule.tensor([0.0, 0.0, 5.0])
    assert F.mse_loss(x, t, reduction="none").tolist() == [1, 4, 0]
    assert F.l1_loss(x, t, reduction="none").tolist() == [1, 2, 0]
    assert F.smooth_l1_loss(x, t, reduction="none", beta=2.0).tolist() == [0.25, 1, 0]
    assert F.huber_loss(x, t, reduction="none", delta=0.5).tolist() == [0.375, 0.875, 0]


def test_kl_divergence_of_a_distribution_from_itself_is_zero(rng):
    p = F.softmax(chainrule.tensor(rng.standard_normal((5, 7))), 1)
    assert F.kl_div(p.log(), p, reduction="batchmean").item() == pytest.approx(0, abs=1e-15)
    other = F.softmax(chainrule.tensor(rng.standard_normal((5, 7))), 1)
    assert F.kl_div(p.log(), other, reduction="batchmean").item() > 0
    assert F.kl_div(p.log(), chainrule.zeros(5, 7), reduction="sum").item() == 0


# ---- cross-entropy ---------------------------------------------------------------------------


def test_equal_logits_cost_the_logarithm_of_the_number_of_classes():
    loss = F.cross_entropy(chainrule.zeros(4, 10), chainrule.tensor([0, 3, 9, 5]))
    assert loss.item() == pytest.approx(math.log(10))


def test_cross_entropy_is_softmax_and_nll(rng):
    x, t = chainrule.tensor(rng.standard_normal((6, 4))), chainrule.tensor([0, 1, 2, 3, 0, 1])
    separate = F.nll_loss(F.log_softmax(x, 1), t)
    assert F.cross_entropy(x, t).item() == pytest.approx(separate.item(), rel=1e-14)
    shifted = F.cross_entropy(x + 1e3, t)
    assert shifted.item() == pytest.approx(separate.item(), rel=1e-11)
    dense = F.cross_entropy(x, F.one_hot(t, 4).to(x.dtype))
    assert dense.item() == pytest.approx(separate.item(), rel=1e-14)


def test_its_gradient_is_probabilities_minus_targets(rng):
    x = chainrule.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    t = chainrule.tensor([2, 0, 1])
    F.cross_entropy(x, t).backward()
    expected = (F.softmax(x.detach(), 1) - F.one_hot(t, 4)) / 3
    np.testing.assert_allclose(x.grad.numpy(), expected.numpy(), rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(x.grad.sum(1).numpy(), 0, atol=1e-16)


def test_logits_of_ten_thousand_are_safe():
    x = chainrule.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
    loss = F.cross_entropy(x, chainrule.tensor([0, 1]), reduction="none")
    assert loss.tolist() == [0, 2e4]
    loss.sum().backward()
    assert x.grad.tolist() == [[0, 0], [1, -1]]
    y = F.binary_cross_entropy_with_logits(
        chainrule.tensor([1e4, -1e4, 1e4, -1e4]),
        chainrule.tensor([1.0, 0.0, 0.0, 1.0]),
        reduction="none",
    )
    assert y.tolist() == [0, 0, 1e4, 1e4]


def test_nan_logits_are_seen_in_the_loss():
    x = chainrule.tensor([[0.0, float("nan")], [0.0, 1.0]])
    loss = F.cross_entropy(x, chainrule.tensor([0, 1]), reduction="none")
    assert np.isnan(loss.numpy()).tolist() == [True, False]


def test_ignored_places_count_for_nothing(rng):
    x = chainrule.tensor(rng.standard_normal((4, 3)), requires_grad=True)
    for smoothing in (0.0, 0.3):
        some = F.cross_entropy(x, chainrule.tensor([1, -100, 2, -100]), label_smoothing=smoothing)
        kept = F.cross_entropy(x[::2], chainrule.tensor([1, 2]), label_smoothing=smoothing)
        assert some.item() == pytest.approx(kept.item(), rel=1e-14)
    (grad,) = chainrule.autograd.grad(some, x)
    assert (grad.numpy()[1::2] == 0).all()


def test_any_integer_dtype_names_classes(rng):
    x = chainrule.tensor(rng.standard_normal((2, 3)))
    expected = F.cross_entropy(x, chainrule.tensor([2, 0])).item()
    for dtype in (chainrule.uint8, chainrule.int8, chainrule.int32):
        assert F.cross_entropy(x, chainrule.tensor([2, 0], dtype=dtype)).item() == expected


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_the_first_target_that_is_no_class_is_named(loss):
    x = chainrule.zeros(4, 3)
    with pytest.raises(DimensionError, match=r"target at \[2\] is 7, and there are 3 classes"):
        loss(x, chainrule.tensor([0, -100, 7, 9]))
    with pytest.raises(DimensionError, match=r"target at \[0\] is -1"):
        loss(x, chainrule.tensor([-1, 0, 0, 0]))
    with pytest.raises(DimensionError, match=r"target at \[0, 1\] is 3"):
        loss(chainrule.zeros(1, 3, 2), chainrule.tensor([[0, 3]]))


@pytest.mark.parametrize(
    ("target", "error", "cure"),
    [
        (chainrule.zeros(3, 1, dtype=chainrule.int64), ShapeError, "squeeze"),
        (chainrule.zeros(3), DTypeError, "long"),
        (chainrule.zeros(3, dtype=chainrule.bool_), DTypeError, "long"),
        (chainrule.zeros(4, dtype=chainrule.int64), ShapeError, "one class index per sample"),
        (chainrule.zeros(3, 4), ShapeError, "class"),
    ],
)
def test_targets_that_do_not_fit_are_refused(target, error, cure):
    with pytest.raises(error) as raised:
        F.cross_entropy(chainrule.zeros(3, 5), target)
    assert cure in str(raised.value)


def test_a_sequence_with_classes_last_gets_the_right_cure():
    with pytest.raises(ShapeError, match="transpose"):
        F.cross_entropy(chainrule.zeros(2, 7, 5), chainrule.zeros(2, 7, dtype=chainrule.int64))


def test_options_out_of_range_are_refused():
    x, t = chainrule.zeros(2, 3), chainrule.tensor([0, 1])
    for call in (
        lambda: F.cross_entropy(x, t, label_smoothing=1.5),
        lambda: F.cross_entropy(x, x, ignore_index=0),
        lambda: F.huber_loss(x, x, delta=0),
        lambda: F.smooth_l1_loss(x, x, beta=-1),
    ):
        with pytest.raises(ConfigError):
            call()


def test_what_is_no_probability_is_named():
    with pytest.raises(OpError, match=r"element \[1\] is -0.5"):
        F.binary_cross_entropy(chainrule.tensor([0.5, -0.5]), chainrule.ones(2))
    nan = chainrule.tensor([float("nan")])
    assert math.isnan(F.binary_cross_entropy(nan, chainrule.ones(1)).item())


def test_weights_that_do_not_fit_the_classes_are_refused():
    x, target = chainrule.ones(2, 3), chainrule.tensor([0, 1])
    with pytest.raises(ShapeError, match=r"f32\[2\].*takes f32\[3\]") as raised:
        F.nll_loss(x, target, chainrule.ones(2))
    assert "one weight per class" in raised.value.cure
    with pytest.raises(ShapeError, match="has 3 classes") as raised:
        F.cross_entropy(x, chainrule.ones(2, 3) / 3, chainrule.ones(2))
    assert "one weight per class" in raised.value.cure
    with pytest.raises(ShapeError, match=r"pos_weight f32\[3\]") as raised:
        F.binary_cross_entropy_with_logits(
            chainrule.ones(3, 2), chainrule.ones(3, 2), pos_weight=chainrule.ones(3)
        )
    assert "one element per class" in raised.value.cure
    with pytest.raises(ShapeError, match="no dimension of classes"):
        F.nll_loss(chainrule.tensor(1.0), chainrule.tensor(0))


def test_integers_are_losses_of_floats():
    x, t = chainrule.tensor([1, 2]), chainrule.tensor([3, 4])
    assert F.huber_loss(x, t).item() == 1.5
    assert F.mse_loss(x, t, reduction="none").tolist() == [4, 4]


def test_weights_multiply_each_loss_before_the_reduction(rng):
    x, t, w = rng.random((3, 4, 5))
    tensors = [chainrule.tensor(each) for each in (x, t)]
    for loss, each in ((F.mse_loss, (x - t) ** 2), (F.l1_loss, np.abs(x - t))):
        y = loss(*tensors, weight=chainrule.tensor(w), reduction="none")
        np.testing.assert_allclose(y.numpy(), each * w, rtol=1e-12)
        y = loss(*tensors, weight=chainrule.tensor(w), reduction="sum")
        assert y.item() == pytest.approx((each * w).sum())


@pytest.mark.parametrize(
    "loss", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.mse_loss, F.kl_div]
)
def test_a_loss_computed_again_and_again_leaves_its_inputs_alone(rng, loss):
    p, t = rng.random((2, 4, 3))
    x, target = chainrule.tensor(p), chainrule.tensor(t)
    first = loss(x, target).item()
    for _ in range(4):
        assert loss(x, target).item() == first
    np.testing.assert_array_equal(x.numpy(), p)
    np.testing.assert_array_equal(target.numpy(), t)


def test_cross_entropy_computed_again_and_again_leaves_its_targets_alone(rng):
    x, target = chainrule.tensor(rng.standard_normal((2, 3))), chainrule.tensor([2, 0])
    first = [F.cross_entropy(x, target, ignore_index=ignored).item() for ignored in (-100, 0)]
    for _ in range(4):
        again = [F.cross_entropy(x, target, ignore_index=ignored).item() for ignored in (-100, 0)]
        assert again == first
    assert target.tolist() == [2, 0]
