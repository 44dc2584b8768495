"""What linear, embedding, dropout and attention promise: invariances, chance, refusals."""

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.errors import ConfigError, DimensionError, DTypeError, ShapeError
from chainrule.nn import functional as F

# ---- linear ----------------------------------------------------------------------------------


def test_linear_misfits_say_what_to_do():
    weight = chainrule.ones(3, 4)
    for x, words in (
        (chainrule.ones(5, 3), "transposed"),
        (chainrule.ones(5, 2, 2), "flatten"),
        (chainrule.ones(5, 7), "must be 4"),
        (chainrule.tensor(1.0), "scalar"),
    ):
        with pytest.raises(ShapeError, match=words):
            F.linear(x, weight)
    with pytest.raises(ShapeError, match=r"bias of shape \[3\]"):
        F.linear(chainrule.ones(5, 4), weight, chainrule.ones(4))
    with pytest.raises(DTypeError, match="convert"):
        F.linear(chainrule.ones(5, 4, dtype=chainrule.float64), weight)


def test_linear_keeps_only_what_its_derivative_needs():
    x, weight = chainrule.ones(5, 4), chainrule.ones(3, 4, requires_grad=True)
    y = F.linear(x, weight)
    saved = [isinstance(each, chainrule.Tensor) for each in y.grad_fn.saved]
    assert saved == [True, False]


def test_linear_in_float16_sums_in_float32():
    x = chainrule.full((1, 4000), 0.1, dtype=chainrule.float16)
    y = F.linear(x, chainrule.ones(1, 4000, dtype=chainrule.float16))
    assert y.dtype is chainrule.float16
    assert y.item() == pytest.approx(float(np.float16(0.1)) * 4000, rel=1e-3)


def test_a_weight_of_one_dimension_gives_one_number_for_each_sample(rng):
    x, w = rng.standard_normal((5, 4)), rng.standard_normal(4)
    y = F.linear(chainrule.tensor(x), chainrule.tensor(w), chainrule.tensor(2.0).double())
    np.testing.assert_allclose(y.numpy(), x @ w + 2, rtol=1e-12)
    with pytest.raises(ShapeError, match=r"f32\[2,2,2\] is not a matrix") as raised:
        F.linear(chainrule.ones(5, 2), chainrule.ones(2, 2, 2))
    assert "[out_features, in_features]" in raised.value.cure


@pytest.mark.parametrize("leading", [(), (5,), (2, 5)])
def test_bilinear_is_its_quadratic_form(rng, leading):
    x, y = (rng.standard_normal((*leading, size)) for size in (3, 4))
    layer = nn.Bilinear(3, 4, 2, dtype=chainrule.float64)
    weight, bias = (each.detach().numpy() for each in (layer.weight, layer.bias))
    expected = np.einsum("...i,kij,...j->...k", x, weight, y)
    mine = layer(chainrule.tensor(x), chainrule.tensor(y)).detach().numpy()
    np.testing.assert_allclose(mine, expected + bias, rtol=1e-10)
    plain = F.bilinear(chainrule.tensor(x), chainrule.tensor(y), layer.weight).detach().numpy()
    np.testing.assert_allclose(plain, expected, rtol=1e-10, atol=1e-12)


def test_a_bilinear_layer_is_drawn_within_one_over_the_root_of_its_first_input():
    layer = nn.Bilinear(16, 9, 20)
    for each in layer.parameters():
        assert 0.2 < each.detach().abs().max().item() <= 0.25
    assert nn.Bilinear(2, 2, 2, bias=False).bias is None


def test_bilinear_misfits_are_refused():
    with pytest.raises(ShapeError, match="bilinear"):
        F.bilinear(chainrule.ones(5, 3), chainrule.ones(5, 4), chainrule.ones(2, 4, 3))


# ---- embedding -------------------------------------------------------------------------------


def test_embedding_is_a_linear_layer_of_one_hot_rows(rng):
    table = chainrule.tensor(rng.standard_normal((5, 3)), requires_grad=True)
    index = chainrule.tensor([[0, 4], [4, 2]])
    y = F.embedding(index, table)
    dense = F.one_hot(index, 5).to(table.dtype) @ table
    np.testing.assert_array_equal(y.detach().numpy(), dense.detach().numpy())
    weights = chainrule.tensor(rng.standard_normal((2, 2, 3)))
    (mine,) = chainrule.autograd.grad((y * weights).sum(), table)
    (true,) = chainrule.autograd.grad((dense * weights).sum(), table)
    np.testing.assert_allclose(mine.numpy(), true.numpy(), rtol=1e-14)


def test_the_padding_row_gets_no_gradient():
    table = chainrule.ones(4, 2, requires_grad=True)
    F.embedding(chainrule.tensor([0, 1, 1, 3]), table, padding_idx=1).sum().backward()
    assert table.grad[:, 0].tolist() == [1, 0, 0, 1]
    table.grad = None
    F.embedding(chainrule.tensor([0, 1, 1, 3]), table, padding_idx=-1).sum().backward()
    assert table.grad[:, 0].tolist() == [1, 2, 0, 0]


def test_embedding_refusals():
    table = chainrule.ones(4, 2)
    with pytest.raises(DimensionError, match="index 4 is out of range"):
        F.embedding(chainrule.tensor([0, 4]), table)
    with pytest.raises(DTypeError, match="long"):
        F.embedding(chainrule.tensor([0.5]), table)
    with pytest.raises(ConfigError, match="max_norm"):
        F.embedding(chainrule.tensor([0]), table, max_norm=1.0)
    with pytest.raises(ConfigError, match="padding_idx"):
        F.embedding(chainrule.tensor([0]), table, padding_idx=4)
    with pytest.raises(ShapeError, match="matrix"):
        F.embedding(chainrule.tensor([0]), chainrule.ones(4))


def test_one_hot_refusals():
    with pytest.raises(DimensionError, match="3 classes"):
        F.one_hot(chainrule.tensor([0, 3]), 3)
    with pytest.raises(DTypeError, match="integers"):
        F.one_hot(chainrule.ones(2))
    assert F.one_hot(chainrule.tensor([0, 2])).shape == (2, 3)


# ---- dropout ---------------------------------------------------------------------------------


def test_the_same_seed_drops_the_same_elements():
    x = chainrule.ones(1000)
    chainrule.manual_seed(3)
    first, second = F.dropout(x), F.dropout(x)
    chainrule.manual_seed(3)
    assert F.dropout(x).tolist() == first.tolist()
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_expectation(p):
    y = F.dropout(chainrule.ones(20_000, dtype=chainrule.float64), p).numpy()
    kept = np.mean(y != 0)
    deviation = np.sqrt(p * (1 - p) / 20_000)
    assert abs(kept - (1 - p)) < 5 * deviation
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p))


def test_its_gradient_passes_where_the_value_did():
    x = chainrule.ones(50, requires_grad=True)
    y = F.dropout(x, 0.4)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.detach().numpy())


def test_dropout_of_nothing_and_of_everything():
    x = chainrule.ones(4, requires_grad=True)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert y.tolist() == x.grad.tolist() == [0, 0, 0, 0]
    assert F.dropout(chainrule.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (F.dropout1d, (8, 16, 5)),
        (F.dropout1d, (16, 5)),
        (F.dropout2d, (8, 16, 3, 2)),
        (F.dropout2d, (16, 3, 2)),
        (F.dropout3d, (8, 16, 2, 2, 2)),
    ],
)
def test_whole_channels_are_dropped(function, shape):
    y = function(chainrule.ones(shape)).numpy()
    axes = {F.dropout1d: 1, F.dropout2d: 2, F.dropout3d: 3}[function]
    channels = y.reshape(-1, int(np.prod(shape[-axes:])))
    assert (channels == channels[:, :1]).all()
    assert 0 < np.mean(channels[:, 0] == 0) < 1


def test_in_place_dropout_writes_into_the_input():
    x = chainrule.ones(100)
    assert F.dropout(x, inplace=True) is x
    assert set(x.tolist()) == {0.0, 2.0}


def test_alpha_dropout_keeps_mean_and_variance(rng):
    x = F.selu(chainrule.tensor(rng.standard_normal(100_000)))
    y = F.alpha_dropout(x, 0.3, training=True).numpy()
    assert abs(y.mean() - x.numpy().mean()) < 0.03
    assert abs(y.var() - x.numpy().var()) < 0.05
    assert F.alpha_dropout(x, 0.3) is x


def test_dropout_refusals():
    with pytest.raises(ConfigError, match="probability"):
        F.dropout(chainrule.ones(2), 1.5)
    with pytest.raises(ShapeError, match="dimensions"):
        F.dropout2d(chainrule.ones(2, 3))


# ---- attention -------------------------------------------------------------------------------


def test_equal_keys_give_the_mean_of_the_values(rng):
    q, v = (chainrule.tensor(rng.standard_normal((3, 4))) for _ in range(2))
    y = F.scaled_dot_product_attention(q, chainrule.ones(3, 4, dtype=q.dtype), v)
    np.testing.assert_allclose(y.numpy(), np.broadcast_to(v.numpy().mean(0), (3, 4)), rtol=1e-13)


def test_a_causal_query_does_not_see_what_comes(rng):
    q, k, v = (chainrule.tensor(rng.standard_normal((5, 4))) for _ in range(3))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    np.testing.assert_allclose(y[0].numpy(), v[0].numpy(), rtol=1e-14)
    start = F.scaled_dot_product_attention(q[:3], k[:3], v[:3], is_causal=True)
    np.testing.assert_allclose(y[:3].numpy(), start.numpy(), rtol=1e-13)


def test_attention_dropout_is_the_same_for_the_same_seed(rng):
    q = chainrule.tensor(rng.standard_normal((2, 5, 4)), requires_grad=True)
    chainrule.manual_seed(1)
    first = F.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
    chainrule.manual_seed(1)
    again = F.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
    assert first.tolist() == again.tolist()


def test_attention_refusals():
    q, k = chainrule.ones(3, 4), chainrule.ones(5, 4)
    attend = F.scaled_dot_product_attention
    with pytest.raises(ShapeError, match="last size"):
        attend(q, chainrule.ones(5, 2), k)
    with pytest.raises(ShapeError, match="lengths"):
        attend(q, k, q)
    with pytest.raises(ShapeError, match="mask"):
        attend(q, k, k, chainrule.ones(5, 3) > 0)
    with pytest.raises(DTypeError, match="mask"):
        attend(q, k, k, chainrule.ones(3, 5, dtype=chainrule.int64))
    with pytest.raises(DTypeError, match=r"f32\[3,4\], f64\[5,4\]") as raised:
        attend(q, k.double(), k)
    assert ".to(dtype)" in raised.value.cure
    with pytest.raises(ShapeError, match="batch dimensions do not broadcast") as raised:
        attend(*[chainrule.ones(batch, 3, 4) for batch in (2, 3, 3)])
    assert "enable_gqa" in raised.value.cure
    with pytest.raises(ConfigError, match="both"):
        attend(q, k, k, chainrule.ones(3, 5) > 0, is_causal=True)
    with pytest.raises(ConfigError, match="heads"):
        attend(chainrule.ones(3, 2, 4), chainrule.ones(2, 5, 4), k, enable_gqa=True)


def test_float16_attention_is_computed_in_float32(rng):
    x = chainrule.tensor(rng.standard_normal((64, 64)).astype(np.float32))
    y = F.scaled_dot_product_attention(x.half(), x.half(), x.half())
    assert y.dtype is chainrule.float16
    wide = F.scaled_dot_product_attention(x, x, x)
    np.testing.assert_allclose(y.float().numpy(), wide.numpy(), atol=5e-3)


# ---- distances -------------------------------------------------------------------------------


def test_lengths_and_angles(rng):
    x = chainrule.tensor(rng.standard_normal((4, 3)))
    np.testing.assert_allclose((F.normalize(x) ** 2).sum(1).numpy(), 1, rtol=1e-13)
    np.testing.assert_allclose(F.cosine_similarity(x, 5 * x).numpy(), 1, rtol=1e-13)
    np.testing.assert_allclose(F.cosine_similarity(x, -x).numpy(), -1, rtol=1e-13)
    np.testing.assert_allclose(F.pairwise_distance(x, x, eps=0.0).numpy(), 0, atol=0)


def test_gradients_of_zero_vectors_are_finite():
    for call in (
        lambda x: F.normalize(x).sum(),
        lambda x: F.cosine_similarity(x, chainrule.ones(2, 3)).sum(),
        lambda x: F.pairwise_distance(x, chainrule.zeros(2, 3), eps=0.0).sum(),
    ):
        x = chainrule.zeros(2, 3, requires_grad=True)
        call(x).backward()
        assert np.isfinite(x.grad.numpy()).all()


# ---- others ----------------------------------------------------------------------------------


def test_gumbel_samples_follow_the_probabilities():
    p = chainrule.tensor([0.2, 0.5, 0.3])
    y = F.gumbel_softmax(p.log().expand(20_000, 3), hard=True).numpy()
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.round(y).mean(0), p.numpy(), atol=0.02)


def test_a_hard_gumbel_sample_has_the_soft_gradient():
    x = chainrule.tensor([[0.1, 0.5, -1.0]], requires_grad=True)
    weights = chainrule.tensor([1.0, 2.0, 3.0])
    grads = []
    for hard in (False, True):
        chainrule.manual_seed(0)
        (grad,) = chainrule.autograd.grad((F.gumbel_softmax(x, hard=hard) * weights).sum(), x)
        grads.append(grad.numpy())
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-6)


def test_interpolate_refusals():
    x = chainrule.ones(1, 1, 4)
    for options in ({}, {"size": 2, "scale_factor": 2}, {"size": 2, "mode": "bicubic"}):
        with pytest.raises(ConfigError):
            F.interpolate(x, **options)
    with pytest.raises(ShapeError):
        F.interpolate(chainrule.ones(4), size=2)


def test_the_public_list_is_sorted_and_complete():
    assert sorted(F.__all__) == F.__all__
    for name in F.__all__:
        assert getattr(F, name).__doc__


def test_interpolate_repeats_the_nearest_and_wants_a_size_for_each_dimension():
    x = chainrule.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert F.interpolate(x, size=(2, 4)).tolist() == [[[[1, 1, 2, 2], [3, 3, 4, 4]]]]
    assert F.interpolate(x, size=(1, 3)).tolist() == [[[[1, 1, 2]]]]
    for size in ((2, 2, 2), -1, (2, 0)):
        with pytest.raises(ConfigError, match="2 spatial dimensions") as raised:
            F.interpolate(x, size=size)
        assert str(size) in raised.value.problem
        assert "positive" in raised.value.cure


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ConfigError, match=r"tau is 0\.0") as raised:
        F.gumbel_softmax(chainrule.ones(2, 4), tau=0.0)
    assert "above 0" in raised.value.cure


def test_shared_heads_are_those_of_repeated_keys_and_values(rng):
    q, k, v = (chainrule.tensor(rng.standard_normal((h, 5, 4))) for h in (6, 2, 2))
    shared = F.scaled_dot_product_attention(q, k, v, enable_gqa=True).numpy()
    for head in range(6):
        alone = F.scaled_dot_product_attention(q[head], k[head // 3], v[head // 3]).numpy()
        np.testing.assert_allclose(shared[head], alone, rtol=1e-12)
