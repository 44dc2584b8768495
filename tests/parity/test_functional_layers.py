"""Linear, embedding, attention and distances against PyTorch: values and gradients."""

import numpy as np
import pytest
from tests.parity.agreement import assert_agrees, assert_both_raise

import chainrule
from chainrule.nn import functional as F

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("leading", [(), (5,), (2, 3), (2, 1, 3), (0,)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(rng, leading, bias):
    x, w, b = (
        rng.standard_normal((*leading, 4)),
        rng.standard_normal((3, 4)),
        rng.standard_normal(3),
    )
    assert_agrees("nn.functional.linear", x, w, *([b] if bias else []), rtol=1e-4)


def test_linear_with_a_vector_for_a_weight(rng):
    x, w = rng.standard_normal((5, 4)), rng.standard_normal(4)
    assert_agrees("nn.functional.linear", x, w)


@pytest.mark.parametrize(
    ("x", "w", "b"),
    [((5, 4), (4, 3), None), ((5, 4), (3, 4), (4,)), ((), (3, 4), None), ((2, 2, 2), (3, 4), None)],
)
def test_a_linear_layer_that_does_not_fit_is_refused(x, w, b):
    assert_both_raise(
        "nn.functional.linear", *[np.ones(each) for each in (x, w, b) if each is not None]
    )


def test_bilinear(rng):
    x, y = rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 4))
    w, b = rng.standard_normal((6, 3, 4)), rng.standard_normal(6)
    assert_agrees("nn.functional.bilinear", x, y, w, b, rtol=1e-4)


@pytest.mark.parametrize("index", [[0, 2, 2], [[1, 3], [3, 3]], 2, np.zeros((0, 2), np.int64)])
@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_embedding(rng, index, padding_idx):
    def ours(index, table):
        return F.embedding(index, table, padding_idx)

    def theirs(index, table):
        return torch.nn.functional.embedding(index, table, padding_idx)

    assert_agrees((ours, theirs), np.asarray(index), rng.standard_normal((4, 3)))


@pytest.mark.parametrize("index", [[0, 4], [-1, 0]])
def test_an_index_outside_the_table_is_refused(index):
    assert_both_raise("nn.functional.embedding", np.array(index), np.ones((4, 3)))


def test_one_hot():
    assert_agrees("nn.functional.one_hot", np.array([[0, 2], [1, 1]]))
    assert_agrees("nn.functional.one_hot", np.array([0, 2]), 5)
    assert_both_raise("nn.functional.one_hot", np.array([0, 5]), 5)
    assert_both_raise("nn.functional.one_hot", np.array([0, -2]), 5)


SHAPES = [((3, 2), (4, 2), (4, 5)), ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}])
def test_attention(rng, shapes, options):
    q, k, v = (rng.standard_normal(shape) for shape in shapes)
    assert_agrees(
        "nn.functional.scaled_dot_product_attention", q, k, v, kwargs=options, rtol=2e-4, atol=2e-6
    )


@pytest.mark.parametrize("shapes", SHAPES)
def test_attention_with_masks(rng, shapes):
    q, k, v = (rng.standard_normal(shape) for shape in shapes)
    name = "nn.functional.scaled_dot_product_attention"
    size = (q.shape[-2], k.shape[-2])
    seen = rng.random(size) < 0.6
    seen[:, 0] = True
    assert_agrees(name, q, k, v, seen, rtol=2e-4, atol=2e-6)
    seen[1] = False  # a query that may see nothing
    assert_agrees(name, q, k, v, seen, rtol=2e-4, atol=2e-6)
    assert_agrees(name, q, k, v, rng.standard_normal(size), rtol=2e-4, atol=2e-6)


def test_attention_with_shared_heads(rng):
    q = rng.standard_normal((2, 6, 3, 4))
    k, v = rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((2, 2, 5, 4))
    assert_agrees(
        "nn.functional.scaled_dot_product_attention",
        q, k, v, kwargs={"enable_gqa": True}, rtol=2e-4, atol=2e-6,
    )  # fmt: skip


def test_attention_that_drops_everything_gives_zeros(rng):
    x = chainrule.tensor(rng.standard_normal((3, 2)))
    assert F.scaled_dot_product_attention(x, x, x, dropout_p=1.0).tolist() == [[0.0, 0.0]] * 3


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_normalize_and_pairwise_distance(rng, p):
    x, y = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    p = float(p)
    assert_agrees("nn.functional.normalize", x, p, 1, rtol=1e-4)
    assert_agrees("nn.functional.pairwise_distance", x, y, p, rtol=1e-4)


def test_normalize_of_zeros_has_a_finite_gradient():
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    assert_agrees("nn.functional.normalize", x)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cosine_similarity(rng, dim):
    x, y = rng.standard_normal((4, 3, 2)), rng.standard_normal((4, 3, 2))
    assert_agrees("nn.functional.cosine_similarity", x, y, dim, rtol=1e-4, atol=1e-6)
    assert_agrees("nn.functional.cosine_similarity", x[:, :1], y, dim, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (1, 2, 3, 4, 2)])
@pytest.mark.parametrize("scale", [2.0, 0.5, 1.7])
def test_interpolate(rng, shape, scale):
    x = rng.standard_normal(shape)
    assert_agrees("nn.functional.interpolate", x, kwargs={"scale_factor": scale})
    assert_agrees("nn.functional.interpolate", x, kwargs={"size": 7})


def test_pad(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    assert_agrees("nn.functional.pad", x, (1, 2, 0, 1), kwargs={"value": 3.0})
    assert_agrees("nn.functional.pad", x, (1, 2, 2, 1), kwargs={"mode": "reflect"})
