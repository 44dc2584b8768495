"""Reductions, scans, sorting and counting: values, indices and gradients as PyTorch's."""

import numpy as np
import pytest
from tests.parity.agreement import Dtype, assert_agrees, assert_both_raise, torch

import chainrule

RNG = np.random.default_rng(3)
X = RNG.uniform(-3, 3, (3, 4, 2))
FLAT = RNG.uniform(-3, 3, 7)
POSITIVE = RNG.uniform(0.2, 3, (3, 4))
TIES = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, -1.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
HOLES = np.where(RNG.random((3, 4)) < 0.3, np.nan, POSITIVE)
WHOLE = np.array([[3, 1, 2, 2], [0, 5, 5, 1]])
BOOLS = WHOLE > 1

DIMS = [None, 0, 1, -1, (0, 2), (-1, 0), (0, 1, 2)]


def test_float_reductions_over_everything():
    for name in ("sum", "mean", "nansum", "nanmean", "prod", "amax", "amin", "max", "min"):
        assert_agrees(name, X)
        assert_agrees(name, np.array(2.0))
        assert_agrees(name, FLAT.astype(np.float16), rtol=1e-2)
    for name in ("var", "std", "var_mean", "std_mean", "norm", "count_nonzero", "all", "any"):
        assert_agrees(name, X)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS[1:])
@pytest.mark.parametrize(
    "name", ["sum", "mean", "nansum", "nanmean", "amax", "amin", "logsumexp", "all", "any"]
)
def test_reductions_over_dimensions(name, dim, keepdim):
    assert_agrees(name, X, dim, keepdim)
    assert_agrees(name, X, kwargs={"dim": dim, "keepdim": keepdim}, dtypes=["float64"])


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_variance(name, dim):
    for correction in (0, 1, 0.5):
        kwargs = {"dim": dim, "correction": correction}
        assert_agrees(name, X, kwargs=kwargs)
        assert_agrees(name, X + 1000, kwargs={**kwargs, "keepdim": True}, dtypes=["float64"])
    assert_agrees(name, X, False)
    if dim is not None:
        assert_agrees(name, X, dim, False, True)


def test_variance_of_too_few():
    one = np.ones((1, 3))
    for name in ("var", "std"):
        with pytest.warns(UserWarning, match="degrees of freedom"):  # PyTorch's
            assert_agrees(name, one, 0, grad=False)
    assert_agrees("std", np.ones((4, 2)), 0)  # all equal: a gradient of zero
    assert_both_raise("var", WHOLE)


def test_integers_and_bools():
    for name in ("sum", "prod", "nansum", "count_nonzero", "all", "any"):
        for array in (WHOLE, WHOLE.astype(np.uint8), BOOLS):
            assert_agrees(name, array)
            assert_agrees(name, array, 1)
    for name in ("amax", "amin", "max", "min", "argmax", "argmin"):
        assert_agrees(name, WHOLE.astype(np.int16))
    for name in ("cumsum", "cumprod"):
        assert_agrees(name, WHOLE.astype(np.int8), 1)
        assert_agrees(name, BOOLS, 0)
    assert_both_raise("mean", WHOLE)
    assert_agrees("mean", WHOLE, kwargs={"dtype": Dtype("float32")})
    assert_agrees("sum", WHOLE, kwargs={"dtype": Dtype("float64")})
    assert_agrees("sum", X, 1, kwargs={"dtype": Dtype("float64")})
    assert_agrees("logsumexp", WHOLE, 1)


def test_nothing():
    none = np.zeros((0, 3))
    for name in ("sum", "prod", "nansum", "mean", "all", "any", "count_nonzero"):
        assert_agrees(name, none)
        assert_agrees(name, none, 0)
    assert_agrees("logsumexp", none, 0)
    for name in ("amax", "amin"):
        assert_both_raise(name, none, 0)
        assert_agrees(name, none, 1)
    for name in ("max", "min", "argmax", "argmin", "median", "kthvalue"):
        assert_both_raise(name, none, *((1, 0) if name == "kthvalue" else (0,)))
    for name in ("cumsum", "cumprod", "sort"):
        assert_agrees(name, none, 0)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "amax", "max", "argmax", "cumsum", "sort"])
def test_dimensions_out_of_range(name):
    assert_both_raise(name, X, 3)
    assert_both_raise(name, X, -4)


def test_a_dimension_named_twice():
    assert_both_raise("sum", X, (0, 0))


class TestProd:
    @pytest.mark.parametrize("dim", [0, 1, -1])
    def test_along_a_dimension(self, dim):
        assert_agrees("prod", X, dim)
        assert_agrees("prod", X, dim, True)
        assert_agrees("cumprod", X, dim)

    @pytest.mark.parametrize("zeros", [0, 1, 2])
    def test_with_zeros(self, zeros):
        x = FLAT.copy()
        x[1 : 1 + zeros] = 0
        assert_agrees("prod", x)
        assert_agrees("prod", x, 0)
        assert_agrees("cumprod", x, 0)


class TestExtrema:
    @pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "cummax", "cummin"])
    def test_along_a_dimension(self, name):
        for dim in (0, 1, -1):
            assert_agrees(name, X, dim)
            if not name.startswith("cum"):
                assert_agrees(name, X, dim, True)
                assert_agrees(name, X, kwargs={"dim": dim, "keepdim": True})
        assert_agrees(name, np.array(2.0), 0)

    @pytest.mark.parametrize("name", ["amax", "amin", "max", "min"])
    def test_ties(self, name):
        assert_agrees(name, TIES)
        assert_agrees(name, TIES, 1)

    @pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "argmax", "argmin"])
    def test_nan(self, name):
        assert_agrees(name, HOLES, grad=False)
        assert_agrees(name, HOLES, 1, grad=False)

    @pytest.mark.parametrize("name", ["cummax", "cummin"])
    def test_running(self, name):
        assert_agrees(name, TIES, 1)
        assert_agrees(name, HOLES, 1)

    def test_two_tensors(self):
        assert_agrees("max", X, X[::-1])
        assert_agrees("min", X, X[::-1])

    def test_aminmax(self):
        assert_agrees("aminmax", X)
        assert_agrees("aminmax", X, kwargs={"dim": 1, "keepdim": True})

    def test_arg_of_everything(self):
        assert_agrees("argmax", X)
        assert_agrees("argmin", X, kwargs={"keepdim": True})


class TestNorms:
    @pytest.mark.parametrize("p", [2, 1, 0, 3, 1.5, 0.5, float("inf"), float("-inf")])
    @pytest.mark.parametrize("dim", [None, 0, (0, 2)])
    def test_orders(self, p, dim):
        norms = (chainrule.vector_norm, torch.linalg.vector_norm)
        assert_agrees(norms, X, p, dim)
        assert_agrees(norms, X, p, dim, True, dtypes=["float64"])

    @pytest.mark.parametrize("p", ["fro", 1, 2, 3.0, float("inf")])
    def test_older_names(self, p):
        assert_agrees("norm", X, p)
        assert_agrees("norm", X, p, 1)
        assert_agrees("Tensor.norm", X, p, kwargs={"dim": 1, "keepdim": True})

    @pytest.mark.parametrize("p", [2, 1, 3, 1.5, float("inf")])
    def test_gradients_at_zero(self, p):
        norms = (chainrule.vector_norm, torch.linalg.vector_norm)
        assert_agrees(norms, np.zeros(3), p)
        assert_agrees(norms, np.array([0.0, 1.0, -2.0]), p)

    def test_logsumexp_of_extremes(self):
        x = np.array([[1000.0, 1000.0], [-1000.0, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]])
        assert_agrees("logsumexp", x[:2], 1)
        assert_agrees("logsumexp", x, 1, grad=False)


class TestScans:
    def test_cumsum(self):
        for dim in (0, 1, -1):
            assert_agrees("cumsum", X, dim)
        assert_agrees("cumsum", np.array(3.0), 0)
        assert_agrees("cumsum", X, 0, kwargs={"dtype": Dtype("float64")})

    def test_diff(self):
        assert_agrees("diff", X)
        assert_agrees("diff", X, 2, 1)
        assert_agrees("diff", FLAT, 9)
        assert_agrees("diff", FLAT, kwargs={"prepend": np.zeros(1), "append": np.ones(2)})
        assert_agrees("diff", BOOLS)

    def test_trapezoid(self):
        for name in ("trapezoid", "cumulative_trapezoid"):
            assert_agrees(name, X)
            assert_agrees(name, X, kwargs={"dx": 0.5, "dim": 0})
            assert_agrees(name, X, np.array([0.0, 1.0, 3.0, 4.0]), kwargs={"dim": 1})
            assert_agrees(name, X, np.cumsum(np.abs(X), axis=1), kwargs={"dim": 1})
            assert_agrees(name, np.zeros(0), grad=False)
            for wrong in (1, 2, 5):
                assert_both_raise(name, np.ones(3), np.zeros(wrong))
            assert_both_raise(name, np.array(1.0))
        assert_both_raise("diff", FLAT, -1)


class TestOrder:
    @pytest.mark.parametrize("descending", [False, True])
    def test_sort(self, descending):
        for dim in (0, 1, -1):
            assert_agrees("sort", X, dim, descending)
            assert_agrees("argsort", X, dim, descending)
        assert_agrees("sort", TIES, kwargs={"stable": True, "descending": descending})
        assert_agrees("sort", HOLES, kwargs={"stable": True, "descending": descending})
        assert_agrees("sort", np.array(1.0))
        assert_agrees("sort", WHOLE.astype(np.uint8), kwargs={"stable": True})
        assert_agrees("msort", X)

    def test_topk(self):
        for k in (0, 1, 3):
            assert_agrees("topk", X, k, 1)
            assert_agrees("topk", X, k, kwargs={"dim": 1, "largest": False})
        assert_agrees("topk", np.array(3.0), 1)
        assert_both_raise("topk", X, 9)

    def test_kthvalue_and_median(self):
        for k in (1, 3):
            assert_agrees("kthvalue", X, k, 1)
            assert_agrees("kthvalue", X, k, 0, True)
        for name in ("median", "nanmedian"):
            assert_agrees(name, X)
            assert_agrees(name, X, 1)
            assert_agrees(name, X, 0, True)
            assert_agrees(name, HOLES, 1)
            assert_agrees(name, HOLES, grad=False)
        assert_both_raise("kthvalue", X, 9, 0)
        assert_both_raise("kthvalue", X, 0, 0)

    def test_mode(self):
        x = np.array([[2, 1, 2, 3, 3], [4, 4, 4, 1, 1], [1, 2, 3, 4, 5]])
        values = (lambda x: chainrule.mode(x).values, lambda x: torch.mode(x).values)
        assert_agrees(values, x)
        assert_agrees(values, x * 1.0)

    @pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "nearest", "midpoint"])
    def test_quantile(self, interpolation):
        kwargs = {"interpolation": interpolation}
        for q in (0.0, 0.3, 0.5, 1.0):
            assert_agrees("quantile", X, q, kwargs=kwargs)
            assert_agrees("quantile", X, q, 1, True, kwargs=kwargs)
        assert_agrees("quantile", X, 0.4, 0, kwargs=kwargs)
        assert_agrees("nanquantile", HOLES, 0.4, 1, kwargs=kwargs)
        assert_agrees("quantile", HOLES, 0.4, 1, kwargs=kwargs, grad=False)

    def test_several_quantiles(self):
        def of(library):
            def quantiles(x, dim=None, keepdim=False):
                q = library.tensor([0.1, 0.5, 0.9], dtype=x.dtype)
                return library.quantile(x, q, dim, keepdim)

            return quantiles

        assert_agrees((of(chainrule), of(torch)), X)
        assert_agrees((of(chainrule), of(torch)), X, 1)
        assert_agrees((of(chainrule), of(torch)), X, 0, True)
        assert_both_raise("quantile", WHOLE, 0.5)
        for name in ("quantile", "nanquantile"):
            for q in (1.5, -0.1, np.nan, np.array([0.5, 1.5]), np.array([np.nan])):
                assert_both_raise(name, FLAT, q, match="0, 1")
            assert_both_raise(name, np.zeros(0), 0.5)


class TestCounting:
    def test_unique(self):
        for kwargs in (
            {},
            {"return_inverse": True},
            {"return_counts": True},
            {"return_inverse": True, "return_counts": True},
            {"dim": 0, "return_inverse": True},
        ):
            assert_agrees("unique", WHOLE, kwargs=kwargs)
            assert_agrees("unique_consecutive", WHOLE, kwargs=kwargs)
        assert_agrees("unique", TIES, grad=False)

    def test_bincount(self):
        assert_agrees("bincount", np.array([0, 2, 2, 5]))
        assert_agrees("bincount", np.array([0, 2, 2]), kwargs={"minlength": 5})
        assert_agrees("bincount", np.array([0, 2, 2]), np.array([0.5, 1.0, 2.0]), grad=False)
        assert_agrees("bincount", np.zeros(0, np.int64), kwargs={"minlength": 2})
        assert_both_raise("bincount", np.array([-1]))
        assert_both_raise("bincount", np.array([[1]]))

    def test_histc(self):
        assert_agrees("histc", FLAT, 5, grad=False)
        assert_agrees("histc", FLAT, kwargs={"bins": 4, "min": -1, "max": 2}, grad=False)
        assert_both_raise("histc", FLAT, 0)

    def test_count_nonzero(self):
        assert_agrees("count_nonzero", TIES, 1)
        assert_agrees("count_nonzero", TIES, (0, 1))
        assert_agrees("sum", TIES > 0, 0)


def test_named_results_have_names():
    y = chainrule.tensor([1.0, 3.0]).max(0)
    assert (y.values.item(), y.indices.item()) == (3.0, 1)
    assert chainrule.tensor([1.0, 3.0]).aminmax().max.item() == 3.0
