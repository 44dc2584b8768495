"""Running sums, products and extrema as machine code: NumPy's bits, on any number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tests.compile.native_oracle import Array, assert_native_is_reference, graph_of, hosted

import chainrule
from chainrule.autograd import grad
from chainrule.compile.native import build
from chainrule.compile.team import get_num_threads, set_num_threads
from chainrule.tensor import Tensor

DTYPES = [np.float32, np.float64]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, for one test."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


SCANS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "cumsum": lambda x, dim: x.cumsum(dim),
    "cumprod": lambda x, dim: x.cumprod(dim),
    "cummax": lambda x, dim: x.cummax(dim)[0],
    "cummin": lambda x, dim: x.cummin(dim)[0],
    "argcummax": lambda x, dim: x.cummax(dim)[1],
    "argcummin": lambda x, dim: x.cummin(dim)[1],
    "backwards": lambda x, dim: x.flip(dim).cumsum(dim).flip(dim),
}


@pytest.mark.parametrize("dtype", [*DTYPES, np.int64, np.int8, np.uint8])
@pytest.mark.parametrize("name", SCANS)
def test_scans_have_the_bits_of_numpy(
    name: str, dtype: Any, rng: np.random.Generator, threads: Callable[[int], None]
) -> None:
    scan = SCANS[name]
    if name == "backwards" and dtype not in DTYPES:
        return  # the same as without the flips
    x = (rng.standard_normal((4, 37, 5)) * 3).astype(dtype)
    flat = (rng.standard_normal(70) * 2).astype(dtype)
    expected = [scan(chainrule.tensor(each), dim).numpy() for each, dim in ((flat, 0),)]
    expected += [scan(chainrule.tensor(x), dim).numpy() for dim in range(3)]
    graph, _ = graph_of(lambda x, y: (scan(y, 0), *[scan(x, dim) for dim in range(3)]), x, flat)
    program = build(graph)
    assert not hosted(program)
    for count in (1, 2):
        threads(count)
        for found, wanted in zip(program.run([x, flat], []), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(300, 400), (3, 40_000), (40_000, 3)])
@pytest.mark.parametrize("dim", [0, 1])
def test_large_scans_are_shared_among_threads(
    shape: tuple[int, ...], dim: int, rng: np.random.Generator, threads: Callable[[int], None]
) -> None:
    x = rng.standard_normal(shape).astype(np.float32)
    graph, _ = graph_of(lambda x: (x.cumsum(dim), x.cummax(dim)[1]), x)
    program = build(graph)
    assert not hosted(program)
    expected = np.cumsum(x, dim, np.float32)
    for count in (1, 2, 3):
        threads(count)
        sums, places = program.run([x], [])
        np.testing.assert_array_equal(sums, expected)
        np.testing.assert_array_equal(
            np.take_along_axis(x, places, dim), np.maximum.accumulate(x, dim)
        )


SPECIAL = [-0.0, 0.0, 1.5, -np.inf, np.inf, np.nan, 2.0, -1.0, np.nan, 0.0]


@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_nan_and_negative_zero(name: str, dtype: Any) -> None:
    rows = np.array([np.roll(SPECIAL, k) for k in range(len(SPECIAL))], dtype)
    graph, _ = graph_of(lambda x: (SCANS[name](x, 1), SCANS[name](x, 0)), rows)
    program = build(graph)
    assert not hosted(program)
    for dim, found in zip((1, 0), program.run([rows], []), strict=True):
        with np.errstate(invalid="ignore"):
            wanted = SCANS[name](chainrule.tensor(rows), dim).numpy()
        np.testing.assert_array_equal(found, wanted)
        zeros = found == 0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(wanted[zeros]))


def gradients(x: Tensor) -> tuple[Tensor, ...]:
    """Of all scans with derivatives, along both dimensions."""
    x.requires_grad_()
    weights = chainrule.tensor(np.cos(np.arange(float(x.numel()))).reshape(x.shape))
    weights = weights.to(x.dtype)
    ys = [f(dim) for dim in (0, 1) for f in (x.cumsum, x.cumprod)]
    ys += [x.cummax(1)[0], x.cumsum(1).exp().cumsum(0)]
    found = [grad((y * weights).sum(), x)[0] for y in ys]
    return (*found, grad(x.prod(1).sum(), x)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients(dtype: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 9)).astype(dtype)
    x[2, 3] = x[2, 5] = x[4, 0] = 0
    graph, state = graph_of(gradients, x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


LAID_OUT: dict[str, Callable[[Tensor], Any]] = {
    "of a transposed": lambda x: x.T.cumsum(1),
    "of a reshaped": lambda x: x.reshape(3, 2, 10).permute(1, 2, 0).reshape(20, 3).cumsum(0),
    "of every other": lambda x: x[::2, 1::3].cumsum(1),
    "of one row": lambda x: x[:1].cumsum(0),
    "of a row expanded": lambda x: x[:1].expand(4, 10).cumsum(0),
    "of a number": lambda x: chainrule.ones(7).cumsum(0) + x.sum(),
    "of a sum": lambda x: x.sum(0).cumsum(0),
    "of a function": lambda x: x.exp().cumsum(1),
    "of a scan": lambda x: x.cumsum(0).cumsum(1),
    "of comparisons": lambda x: (x > 0).cumsum(1),
    "of windows": lambda x: x.unfold(1, 3, 2).cumsum(1),
    "summed": lambda x: x.cumsum(0).sum(1) * x.cumprod(1)[:, -1],
    "of a scalar": lambda x: x[0, 0].cumsum(0),
    "areas": lambda x: chainrule.cumulative_trapezoid(x),
}


@pytest.mark.parametrize("name", LAID_OUT)
def test_what_is_scanned_may_be_any_value(name: str, rng: np.random.Generator) -> None:
    x: Array = rng.standard_normal((6, 10)).astype(np.float32)
    graph, state = graph_of(LAID_OUT[name], x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


def test_a_state_is_scanned_before_it_is_written() -> None:
    held = chainrule.tensor(np.arange(12.0).reshape(3, 4))

    def step() -> Tensor:
        held.copy_(held.cumsum(1) + held.cumsum(0).flip(0))
        return held.sum()

    graph, state = graph_of(step)
    assert not hosted(assert_native_is_reference(graph, [], state))


def test_nothing_is_scanned_on_the_host() -> None:
    x = np.zeros((3, 0), np.float32)
    graph, _ = graph_of(lambda x: (x.cumsum(1), x.cumprod(0), x.cumsum(0).sum()), x)
    program = assert_native_is_reference(graph, [x], [])
    assert set(hosted(program).values()) == {"there are no elements"}
