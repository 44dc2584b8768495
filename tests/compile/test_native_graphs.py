"""Random functions as machine code: the results, and the memory written to, are the reference's.

Each example is a few functions in one program, for a call of LLVM's costs more than they do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compile.native_oracle import Array, assert_native_is_reference, graph_of

import chainrule
from chainrule.autograd import grad
from chainrule.tensor import Tensor

SIZES = st.sampled_from([1, 2, 3, 3, 4, 5, 9])
SHAPES = st.lists(SIZES, max_size=4).map(tuple)
LARGEST = 400
NUMBERS = np.array([0.0, -0.0, 1.0, -1.5, 0.25, 2.0, -0.5, 0.75])


@dataclass(frozen=True)
class Known:
    """A tensor, and whether it is the same to the last bit however it is computed.

    So are numbers that only IEEE's own operations have made, one by one; sums and functions are
    not, and which of two of them is the greater may depend on a rounding.
    """

    tensor: Tensor
    exact: bool


class Drawing:
    """One random function being carried out."""

    def __init__(self, draw: st.DrawFn, known: list[Known]) -> None:
        self.draw, self.known = draw, known

    def some(self, *, exact: bool = False, floats: bool = False) -> Known:
        """One of the tensors there are."""
        fitting = [
            each
            for each in self.known
            if (each.exact or not exact) and (each.tensor.dtype.is_floating_point or not floats)
        ]
        return self.draw(st.sampled_from(fitting))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def dims(self, x: Tensor) -> list[int]:
        return [dim for dim in range(x.ndim) if self.draw(st.booleans())]

    def step(self) -> None:
        """One more tensor."""
        kind, exactly = self.draw(st.sampled_from(STEPS))
        x = self.some(exact=exactly == "of exact", floats=exactly == "floats")
        y = kind(self, x.tensor)
        if y is not None and 0 < y.numel() <= LARGEST:
            exact = x.exact and exactly in ("keeps", "of exact")
            self.known.append(Known(y, exact))


# ---- what a function may do ------------------------------------------------------------------


def reshaped(d: Drawing, x: Tensor) -> Tensor:
    left, shape = x.numel(), list[int]()
    while left > 1 and len(shape) < 4:
        shape.append(d.draw(st.sampled_from([n for n in range(1, left + 1) if left % n == 0])))
        left //= shape[-1]
    return x.reshape(*shape, left) if left > 1 or not shape else x.reshape(*shape)


def permuted(d: Drawing, x: Tensor) -> Tensor:
    return x.permute(*d.draw(st.permutations(range(x.ndim)))) if x.ndim else x


def expanded(d: Drawing, x: Tensor) -> Tensor:
    sizes = [d.draw(SIZES) if size == 1 else size for size in x.shape]
    return x.expand(d.draw(SIZES), *sizes) if x.ndim < 4 else x.expand(*sizes)


def cut(d: Drawing, x: Tensor) -> Tensor:
    key: list[Any] = []
    for size in x.shape:
        start = d.number(0, size - 1)
        key.append(start if d.number(0, 4) == 0 else slice(start, None, d.number(1, 2)))
    if d.number(0, 3) == 0:
        key.insert(0, None)
    return x[tuple(key)]


def flipped(d: Drawing, x: Tensor) -> Tensor:
    return x.flip(d.dims(x))


def windowed(d: Drawing, x: Tensor) -> Tensor | None:
    if not x.ndim:
        return None
    dim = d.number(0, x.ndim - 1)
    return x.unfold(dim, d.number(1, x.shape[dim]), d.number(1, 2))


def rolled(d: Drawing, x: Tensor) -> Tensor | None:
    return x.roll(d.number(-3, 3), d.number(0, x.ndim - 1)) if x.ndim else None


def repeated(d: Drawing, x: Tensor) -> Tensor:
    return x.repeat(*[d.number(1, 2) for _ in x.shape], 1) if x.ndim < 3 else x


def diagonal(d: Drawing, x: Tensor) -> Tensor | None:
    if x.ndim < 2:
        return None
    first, second = d.draw(st.permutations(range(x.ndim)))[:2]
    return x.diagonal(d.number(-1, 1), first, second)


def triangle(d: Drawing, x: Tensor) -> Tensor | None:
    if x.ndim < 2 or x.dtype is chainrule.bool:
        return None
    return getattr(x, d.draw(st.sampled_from(["tril", "triu"])))(d.number(-2, 2))


def bordered(d: Drawing, x: Tensor) -> Tensor | None:
    if not x.ndim or not x.dtype.is_floating_point:
        return None
    widths = [d.number(0, 2) for _ in range(2 * d.number(1, min(x.ndim, 2)))]
    return chainrule.nn.functional.pad(x, widths, value=d.draw(st.sampled_from([0.0, 0.0, 1.5])))


def joined(d: Drawing, x: Tensor) -> Tensor | None:
    parts = [x, x.flip(0) if x.ndim else x, x]
    if not x.ndim or d.number(0, 1):
        return chainrule.stack(parts, d.number(0, x.ndim))
    return chainrule.cat([parts[0], parts[1][:1], parts[2]], 0)


def looked_up(d: Drawing, x: Tensor) -> Tensor | None:
    if not x.ndim:
        return None
    dim = d.number(0, x.ndim - 1)
    size = x.shape[dim]
    index = chainrule.tensor([d.number(0, size - 1) for _ in range(d.number(1, 4))])
    if d.number(0, 1):
        return x.index_select(dim, index)
    places = index.reshape(*[-1 if axis == dim else 1 for axis in range(x.ndim)])
    return x.gather(
        dim, places.expand(*[-1 if axis == dim else n for axis, n in enumerate(x.shape)])
    )


def cast(d: Drawing, x: Tensor) -> Tensor:
    kinds = ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]
    kind = d.draw(st.sampled_from(kinds))
    if kind == "uint8" or (x.dtype.is_floating_point and not kind.startswith("float")):
        x = x.clamp(0, 9) if x.dtype is not chainrule.bool else x  # what is outside is not defined
        x = x.where(x == x, 0) if x.dtype.is_floating_point else x
    return x.to(getattr(chainrule, kind))


def simple(d: Drawing, x: Tensor) -> Tensor:
    if x.dtype is chainrule.bool:
        return x.logical_not()
    return d.draw(st.sampled_from([abs, lambda x: -x, lambda x: x.relu(), lambda x: x.sign()]))(x)


def scaled(d: Drawing, x: Tensor) -> Tensor:
    number = d.draw(st.sampled_from([1, 0, 2, -1, 0.5, 1.5, -0.0]))
    how = d.draw(st.sampled_from(["mul", "add", "sub"]))
    if x.dtype is chainrule.bool and how == "sub":
        how = "add"
    return getattr(x, how)(number)


def compared(d: Drawing, x: Tensor) -> Tensor:
    other = d.some(exact=True).tensor
    y = other if fits(x, other) else d.draw(st.sampled_from([0, 0.25, 1]))
    return getattr(x, d.draw(st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"])))(y)


def placed(d: Drawing, x: Tensor) -> Tensor | None:
    if not x.ndim:
        return x.argmax()
    how = d.draw(st.sampled_from(["argmax", "argmin"]))
    return getattr(x.float(), how)(d.number(0, x.ndim - 1), keepdim=d.draw(st.booleans()))


def chosen(d: Drawing, x: Tensor) -> Tensor:
    masks = [each.tensor for each in d.known if each.tensor.dtype is chainrule.bool]
    masks = [each for each in masks if fits(each, x)] or [chainrule.ones_like(x).bool()]
    mask = d.draw(st.sampled_from(masks))
    return x.where(mask, x * 2 if x.dtype is not chainrule.bool else ~x)


def extreme(d: Drawing, x: Tensor) -> Tensor:
    dims, keep = d.dims(x), d.draw(st.booleans())
    if x.dtype is chainrule.bool:
        return x.any(dims[0], keep) if dims else x.all()
    how = d.draw(st.sampled_from(["amax", "amin"]))
    return getattr(x, how)(dims, keepdim=keep) if dims else x


def summed(d: Drawing, x: Tensor) -> Tensor | None:
    dims = d.dims(x)
    how = d.draw(st.sampled_from(["sum", "sum", "mean", "prod", "cumsum", "var", "std"]))
    if how in ("mean", "var", "std") and not x.dtype.is_floating_point:
        how = "sum"
    if how in ("prod", "cumsum"):
        return (
            getattr(x.clamp(-1, 1) if how == "prod" and x.dtype is not chainrule.bool else x, how)(
                d.number(0, x.ndim - 1)
            )
            if x.ndim
            else None
        )
    if how in (
        "var",
        "std",
    ):  # of numbers that are not all alike, or else a rounding is all there is
        return getattr(x + chainrule.arange(x.numel()).reshape(x.shape), how)(correction=0)
    return getattr(x, how)(dims, keepdim=d.draw(st.booleans())) if dims else getattr(x, how)()


def curved(d: Drawing, x: Tensor) -> Tensor:
    how = d.draw(st.sampled_from(["tanh", "sin", "sigmoid", "atan", "erf", "exp"]))
    return getattr(x.tanh() if how == "exp" else x, how)()


def normed(d: Drawing, x: Tensor) -> Tensor | None:
    if not x.ndim:
        return None
    dim = d.number(0, x.ndim - 1)
    how = d.draw(st.sampled_from(["softmax", "log_softmax", "logsumexp"]))
    return getattr(x.clamp(-20, 20), how)(dim)


def product(d: Drawing, x: Tensor) -> Tensor | None:
    others = [each.tensor for each in d.known if each.tensor.dtype is x.dtype]
    fitting = [
        y for y in others if min(x.ndim, y.ndim) and x.shape[-1] == y.shape[max(y.ndim - 2, 0)]
    ]
    fitting = [
        y for y in fitting if not (x.ndim > 2 and y.ndim > 2 and x.shape[:-2] != y.shape[:-2])
    ]
    if fitting:
        return x @ d.draw(st.sampled_from(fitting))
    return x @ x.transpose(-1, -2) if x.ndim > 1 else None


def combined(d: Drawing, x: Tensor) -> Tensor:
    other = d.draw(st.sampled_from([each for each in d.known if fits(each.tensor, x)])).tensor
    names = ["add", "mul", "maximum", "minimum"]
    names += ["sub"] if chainrule.bool not in (x.dtype, other.dtype) else []
    return getattr(x, d.draw(st.sampled_from(names)))(other)


def divided(d: Drawing, x: Tensor) -> Tensor:
    other = d.draw(st.sampled_from([each for each in d.known if fits(each.tensor, x)])).tensor
    return x / (other.abs().float() + 1) if other.dtype is not chainrule.bool else x / 3


def written(d: Drawing, x: Tensor) -> Tensor:
    y = x.clone()
    view = y[d.number(0, y.shape[0] - 1) :] if y.ndim else y
    view = view.T if view.ndim == 2 and d.number(0, 1) else view
    if y.dtype is chainrule.bool:
        view.logical_not_()
    else:
        d.draw(st.sampled_from([lambda v: v.mul_(2), lambda v: v.add_(1), lambda v: v.fill_(3)]))(
            view
        )
    return y


def derived(d: Drawing, x: Tensor) -> Tensor | None:
    """The gradient of a sum, with respect to the first argument."""
    first = d.known[0].tensor
    if not x.requires_grad:
        return None
    weights = chainrule.arange(x.numel()).reshape(x.shape).to(x.dtype) * 0.25 - 0.5
    (bar,) = grad((x * weights).sum(), [first], allow_unused=True)
    return bar


def fits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors broadcast to something that is not too large."""
    pairs = zip(reversed(a.shape), reversed(b.shape))
    small = a.shape == b.shape or a.numel() * b.numel() <= LARGEST
    return small and all(m == n or 1 in (m, n) for m, n in pairs)


Step = Callable[[Drawing, Tensor], Tensor | None]
STEPS: list[tuple[Step, str]] = [
    *[(step, "keeps") for step in (reshaped, permuted, expanded, cut, flipped, windowed, rolled)],
    *[(step, "keeps") for step in (repeated, diagonal, triangle, bordered, joined, looked_up)],
    *[(step, "keeps") for step in (simple, scaled, extreme, written)],
    *[(step, "of exact") for step in (cast, compared, placed)],
    *[(step, "floats") for step in (curved, normed, summed, derived, derived)],
    *[(step, "") for step in (chosen, summed, product, product, combined, combined, divided)],
]


# ---- the functions ---------------------------------------------------------------------------


@st.composite
def programs(draw: st.DrawFn, count: int) -> tuple[Any, list[Array], list[Array]]:
    """A graph of some functions, its arguments and its state."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    shapes = [draw(st.lists(SHAPES, min_size=2, max_size=3)) for _ in range(count)]
    arrays = [np.asarray(random.choice(NUMBERS, s)).astype(dtype) for each in shapes for s in each]
    held = [chainrule.tensor(random.choice(NUMBERS, (3, 4)).astype(dtype)) for _ in range(2)]

    def functions(*xs: Tensor) -> tuple[Tensor, ...]:
        results: list[Tensor] = []
        left = list(xs)
        for each in shapes:
            mine, left = left[: len(each)], left[len(each) :]
            mine[0].requires_grad_()
            drawing = Drawing(draw, [Known(x, True) for x in mine])
            if draw(st.integers(0, 3)) == 0:
                drawing.known.append(Known(draw(st.sampled_from(held)).clone(), False))
            for _ in range(draw(st.integers(1, 9))):
                drawing.step()
            results += [known.tensor.detach() for known in drawing.known[-3:]]
            last = results[-1]
            if last.dtype.is_floating_point and draw(st.integers(0, 2)) == 0:
                draw(st.sampled_from(held))[draw(st.integers(0, 2))].mul_(0.5).add_(
                    last.sum().tanh()
                )
        return tuple(results)

    graph, state = graph_of(functions, *arrays)
    return graph, arrays, state


@settings(max_examples=40)
@given(programs(4))
def test_random_functions_are_the_references(program: Any) -> None:
    assert_native_is_reference(*program, rounding=50)


@pytest.mark.skipif(
    os.environ.get("HYPOTHESIS_PROFILE") != "explore",
    reason="thousands of programs: HYPOTHESIS_PROFILE=explore compiles them",
)
@settings(max_examples=500)
@given(programs(4))
def test_many_random_functions_are_the_references(program: Any) -> None:
    assert_native_is_reference(*program, rounding=50)
