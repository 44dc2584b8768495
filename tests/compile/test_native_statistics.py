"""Variance, norms, the logarithm of summed exponentials, products: as machine code what they are
in eager NumPy, to the last digits, where numbers are large, infinite or missing, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.compile.native_oracle import assert_native_is_reference, graph_of, hosted

import chainrule
from chainrule.autograd import grad
from chainrule.compile.native import build
from chainrule.compile.team import get_num_threads, set_num_threads
from chainrule.tensor import Tensor

DTYPES = [np.float32, np.float64]
PER_ELEMENT = {np.float32: 1.5e-6, np.float64: 4e-15}


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, for one test."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


STATISTICS: dict[str, Callable[..., Tensor]] = {
    "var": lambda x, *over: x.var(*over),
    "var of all there is": lambda x, *over: chainrule.var(x, over[0], correction=0, keepdim=True),
    "std": lambda x, *over: x.std(*over),
    "std with half a correction": lambda x, *over: chainrule.std(x, over[0], correction=0.5),
    "logsumexp": lambda x, *over: x.logsumexp(*over),
    "length": lambda x, *over: chainrule.vector_norm(x, 2, *over),
    "magnitudes": lambda x, *over: chainrule.vector_norm(x, 1, *over),
    "greatest": lambda x, *over: chainrule.vector_norm(x, math.inf, *over),
    "least": lambda x, *over: chainrule.vector_norm(x, -math.inf, *over),
    "how many": lambda x, *over: chainrule.vector_norm(x, 0, *over),
    "cubic": lambda x, *over: chainrule.vector_norm(x, 3, *over),
    "root": lambda x, *over: chainrule.vector_norm(x, 0.5, *over),
    "inverse": lambda x, *over: chainrule.vector_norm(x, -1.5, *over),
}
OVER: list[tuple[Any, ...]] = [(0,), (1,), (2,), ((0, 2),), ((1, 2),), ((0, 1, 2),)]


def eager(function: Callable[..., Any], *arrays: Any) -> list[np.ndarray[Any, Any]]:
    """What a function gives without being compiled."""
    with np.errstate(all="ignore"):
        ys = function(*map(chainrule.tensor, arrays))
    return [y.detach().numpy() for y in (ys if isinstance(ys, tuple) else (ys,))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STATISTICS)
def test_over_any_dimensions_kept_or_not(
    name: str, dtype: Any, rng: np.random.Generator, threads: Callable[[int], None]
) -> None:
    x = (rng.standard_normal((7, 33, 5)) * 2 + 3).astype(dtype)

    def all_of_them(x: Tensor) -> tuple[Tensor, ...]:
        kept = [] if "correction" in name or "all" in name else [(dims[0], True) for dims in OVER]
        args = [(dims[0], False) for dims in OVER] if kept else OVER
        if name in ("var", "std"):
            function = getattr(chainrule, name)
            ys = [function(x, dims, keepdim=keep) for dims, keep in (*args, *kept)]
        else:
            ys = [STATISTICS[name](x, *some) for some in (*args, *kept)]
        return (*ys, STATISTICS[name](x.exp()[:, :, 0].T, 1))

    graph, _ = graph_of(all_of_them, x)
    program = build(graph)
    assert not hosted(program)
    expected, results = eager(all_of_them, x), list[Any]()
    for count in (1, 2):
        threads(count)
        results.append(program.run([x], []))
    for found, again, wanted in zip(*results, expected, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, PER_ELEMENT[dtype])
        np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_mean_costs_no_digits(dtype: Any, rng: np.random.Generator) -> None:
    small = rng.integers(-8, 8, (40, 64)).astype(dtype)
    large = small + dtype(2**18)  # what is taken off again without rounding
    graph, _ = graph_of(lambda x: (x.var(1), x.std(0), x.var()), large)
    found = build(graph).run([large], [])
    wide = small.astype(np.float64)
    expected = wide.var(1, ddof=1), wide.std(0, ddof=1), wide.var(ddof=1)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, 1e-4)  # the mean itself is rounded
    assert np.square(large).mean(dtype=dtype) > 1e4 * small.var()  # one pass would be wrong


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_overflows_in_logsumexp(dtype: Any) -> None:
    x = np.array([[1e4, 1e4, -1e30], [-1e4, -1e4, -1e4], [80, 710, 0]], dtype)
    graph, _ = graph_of(lambda x: x.logsumexp(1), x)
    (found,) = build(graph).run([x], [])
    expected = [1e4 + math.log(2), -1e4 + math.log(3), 710]
    np.testing.assert_allclose(found, np.array(expected, dtype), 2e-7 if dtype == np.float32 else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STATISTICS)
def test_infinities_and_nan(name: str, dtype: Any) -> None:
    some = [0.0, -0.0, 1.5, np.inf, -np.inf, np.nan, -2.0, 1e30]
    x = np.array([[a, b, c] for a in some for b in some for c in some], dtype)
    graph, _ = graph_of(lambda x: STATISTICS[name](x, 1), x)
    program = build(graph)
    assert not hosted(program)
    (found,), (expected,) = program.run([x], []), eager(lambda x: STATISTICS[name](x, 1), x)
    np.testing.assert_allclose(found, expected, PER_ELEMENT[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_degrees_of_freedom(dtype: Any) -> None:
    x = np.array([[1, 5], [2, 2]], dtype)

    def spreads(x: Tensor) -> tuple[Tensor, ...]:
        one = x[:, :1].var(1), x[:, :1].std(1), x[0, 0].var(), x.var(0, correction=2)
        return (*one, x.std(1, correction=5))

    graph, _ = graph_of(spreads, x)
    program = build(graph)
    assert not hosted(program)
    for found, wanted in zip(program.run([x], []), eager(spreads, x), strict=True):
        np.testing.assert_array_equal(found, wanted)


def gradients(x: Tensor) -> tuple[Tensor, ...]:
    """Of everything here."""
    x.requires_grad_()
    ys = [x.var(1), x.std(0), x.logsumexp(1), x.norm(), x.norm(1, 1), x.norm(3, 0), x.prod(1)]
    ys += [x.norm(math.inf, 1), chainrule.std_mean(x)[0], x.logsumexp((0, 1)), x.norm(0.5, 0)]
    return tuple([grad((y * y).sum(), x)[0] for y in ys])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients(dtype: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 9)).astype(dtype)
    x[2, 3] = 0
    graph, state = graph_of(gradients, x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


AMONG_OTHERS: dict[str, Callable[[Tensor], Any]] = {
    "normalized": lambda x: (x - x.mean(1, True)) / x.std(1, keepdim=True),
    "of a sum": lambda x: (x.sum(0) * 2).std(),
    "of a product": lambda x: (x @ x.T).logsumexp(1),
    "of a statistic": lambda x: x.var(0).norm(),
    "of a transposed": lambda x: x.T.std(1),
    "of windows": lambda x: x.unfold(1, 3, 2).var(2),
    "of a constant": lambda x: chainrule.full((4, 5), 3.5).var(1) + x.sum(),
    "added": lambda x: x.var(1) + x.logsumexp(1) * x.norm(dim=1),
    "of two": lambda x: x.var(0).sum() + x.std(1).sum(),
    "integers": lambda x: x.to(chainrule.int64).prod(1),
    "products": lambda x: (x.prod(0, True), x.prod(), x.abs().prod(1)),
}


@pytest.mark.parametrize("name", AMONG_OTHERS)
def test_among_other_ops(name: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 10)).astype(np.float32) * 2
    graph, state = graph_of(AMONG_OTHERS[name], x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


def test_nothing_is_reduced_on_the_host() -> None:
    x = np.zeros((3, 0), np.float32)
    graph, _ = graph_of(lambda x: (x.var(0), x.logsumexp(1), x.norm(dim=1), x.prod(1)), x)
    program = build(graph)
    assert set(hosted(program).values()) == {"there are no elements"}
    with np.errstate(all="ignore"):
        empty, least, length, product = program.run([x], [])
    assert empty.shape == (0,)
    assert least.tolist() == [-math.inf] * 3
    assert length.tolist() == [0] * 3
    assert product.tolist() == [1] * 3
