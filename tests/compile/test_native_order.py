"""Sorting few elements as machine code: the same places as NumPy's stable sort, NaN last."""

from __future__ import annotations

from collections.abc import Callable
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

SORTS: dict[str, Callable[[Tensor, int], Any]] = {
    "sort": lambda x, dim: x.sort(dim),
    "downwards": lambda x, dim: x.sort(dim, descending=True),
    "argsort": lambda x, dim: x.argsort(dim),
    "topk": lambda x, dim: x.topk(3, dim),
    "the least": lambda x, dim: x.topk(2, dim, largest=False),
    "all of them": lambda x, dim: x.topk(x.shape[dim], dim),
    "kth": lambda x, dim: x.kthvalue(2, dim),
    "kth, kept": lambda x, dim: x.kthvalue(3, dim, True),
    "median": lambda x, dim: x.median(dim),
    "median, kept": lambda x, dim: x.median(dim, True),
    "mode": lambda x, dim: x.mode(dim),
    "mode, kept": lambda x, dim: x.mode(dim, True),
}
OF_FLOATS: dict[str, Callable[[Tensor, int], Any]] = {
    "nanmedian": lambda x, dim: x.nanmedian(dim),
    "quantile": lambda x, dim: x.quantile(0.3, dim),
}


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_places_are_those_of_a_stable_sort(dtype: Any, rng: np.random.Generator) -> None:
    with np.errstate(invalid="ignore"):  # few different numbers: many are equal
        x = (rng.integers(-4, 5, (19, 4, 11)) * 1.0).astype(dtype)
    sorts = {**SORTS, **(OF_FLOATS if np.dtype(dtype).kind == "f" else {})}

    def all_of_them(x: Tensor) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for dim in (0, 2):
            for each in sorts.values():
                y = each(x, dim)
                found += [*y] if isinstance(y, tuple) else [y]
        return tuple(found)

    graph, state = graph_of(all_of_them, x)
    program = build(graph)
    assert not hosted(program)
    expected = [each.numpy() for each in all_of_them(chainrule.tensor(x))]
    before = get_num_threads()
    try:
        for count in (1, 2):
            set_num_threads(count)
            for found, wanted in zip(program.run([x], state), expected, strict=True):
                if found.dtype.kind == "f":
                    np.testing.assert_allclose(found, wanted, 1e-6)  # a quantile is a mean
                else:
                    np.testing.assert_array_equal(found, wanted)
    finally:
        set_num_threads(before)


@pytest.mark.parametrize("name", [*SORTS, *OF_FLOATS])
def test_nan_infinities_and_zeros(name: str) -> None:
    some = [np.nan, 0.0, -0.0, np.inf, 1.0, -np.inf, np.nan, 1.0, 0.0]
    x = np.array([np.roll(some, k) for k in range(9)] + [[np.nan] * 9, [2.0] * 9])
    sort = {**SORTS, **OF_FLOATS}[name]
    graph, state = graph_of(lambda x: sort(x, 1), x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


def test_any_value_and_its_gradient(rng: np.random.Generator) -> None:
    def f(x: Tensor) -> tuple[Tensor, ...]:
        x.requires_grad_()
        values, places = (x * 2).exp().T.topk(2, 0)
        middle = x.reshape(4, 15).median() + x.flip(1).median(0)[0].sum()
        bars = grad((values * values).sum() + middle, x)
        return values.detach(), places, middle.detach(), *bars, x[:, :1].argsort(1)

    x = rng.standard_normal((6, 10)).astype(np.float32)
    graph, state = graph_of(f, x)
    assert not hosted(assert_native_is_reference(graph, [x], state))


@pytest.mark.parametrize("size", [1, 2, 127, 128, 129])
def test_many_elements_are_sorted_on_the_host(size: int, rng: np.random.Generator) -> None:
    x = rng.permutation(size).astype(np.float32)[None].repeat(3, 0)
    graph, state = graph_of(lambda x: x.sort(1), x)
    program = assert_native_is_reference(graph, [x], state)
    assert bool(hosted(program)) == (size > 128)
    assert size <= 128 or "more than 128" in hosted(program)["argsort"]


def test_nothing_is_sorted_on_the_host() -> None:
    x = np.zeros((0, 3), np.float32)
    graph, _ = graph_of(lambda x: (x.argsort(1), x.sort(0)[0]), x)
    program = assert_native_is_reference(graph, [x], [])
    assert set(hosted(program).values()) == {"there are no elements"}
