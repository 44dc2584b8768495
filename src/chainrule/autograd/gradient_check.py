"""`gradcheck` and `gradgradcheck`: derivatives against central differences of the function itself.

A derivative that disagrees is a `GradcheckError` that names the input, the output and the entry
that is furthest off, with both numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from chainrule.autograd import forward
from chainrule.autograd.grad_mode import enable_grad, no_grad
from chainrule.autograd.reverse import grad
from chainrule.core.base import as_tuple, is_tensor
from chainrule.core.interpret import lift, read
from chainrule.core.location import user_location
from chainrule.core.op import Array
from chainrule.errors import DTypeError, GradcheckError

__all__ = ["gradcheck", "gradgradcheck"]

Tensors = tuple[Any, ...]


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Whether the derivatives of `func` at `inputs` are the slopes of `func`.

    dy/dx is compared with (f(x + eps) - f(x - eps)) / (2 eps), for every element of every input
    that requires gradients and every element of every differentiable output, within
    |analytical - numerical| <= atol + rtol |numerical|. Use float64 inputs.

    Args:
        func: from tensors to a tensor or a tuple of them.
        inputs: a tensor or a tuple; those that require gradients are checked.
        eps: the distance of the difference.
        atol: the absolute tolerance.
        rtol: the relative tolerance.
        raise_exception: raise what is wrong; otherwise give False.
        nondet_tol: how far two backward passes of the same may differ.
        check_forward_ad: compare the Jacobian of forward mode too.
        check_backward_ad: compare the Jacobian of the backward pass.
        fast_mode: compare along one random direction instead of by every element.

    Raises:
        GradcheckError: the derivatives disagree.

    >>> import chainrule
    >>> from chainrule.autograd import gradcheck
    >>> x = chainrule.ones(3, dtype=chainrule.float64, requires_grad=True)
    >>> gradcheck(lambda x: (x * x).exp(), x)
    True
    """
    xs = _inputs(inputs)
    check = _Check(func, xs, eps, atol, rtol, fast_mode)
    try:
        if check_backward_ad:
            check.backward(nondet_tol)
        if check_forward_ad:
            check.forward()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Whether the second derivatives are the slopes of the first: `gradcheck` of the gradient.

    The gradient is a function of the inputs and of the cotangents `grad_outputs` (random numbers
    unless given), and is checked in both. The other arguments are those of `gradcheck`.

    Raises:
        GradcheckError: the derivatives disagree.

    >>> import chainrule
    >>> from chainrule.autograd import gradgradcheck
    >>> x = chainrule.ones(3, dtype=chainrule.float64, requires_grad=True)
    >>> gradgradcheck(lambda x: (x * x).exp(), x)
    True
    """
    xs = _inputs(inputs)
    with no_grad():
        ys = _outputs(func(*xs))
    if grad_outputs is None:
        draws = np.random.default_rng(0)
        numbers: list[Array] = [_draw(draws, y.shape) for y in ys]
        bars: Tensors = tuple(
            lift(each.astype(y.dtype.numpy)).requires_grad_() for each, y in zip(numbers, ys)
        )
    else:
        bars = _inputs(grad_outputs, require=False)
    wanted = [index for index, x in enumerate(xs) if x.requires_grad]

    def gradient(*both: Any) -> Tensors:
        variables, y_bars = both[: len(xs)], both[len(xs) :]
        outputs = _outputs(func(*variables))
        return grad(
            outputs,
            [variables[index] for index in wanted],
            y_bars,
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )

    return gradcheck(
        gradient,
        (*xs, *bars),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
    )


class _Check:
    """One function at one point, and how to compare."""

    def __init__(
        self,
        func: Callable[..., Any],
        xs: Tensors,
        eps: float,
        atol: float,
        rtol: float,
        fast: bool,
    ) -> None:
        self.func = func
        self.xs = xs
        self.eps = eps
        self.atol = atol
        self.rtol = rtol
        self.wanted = [index for index, x in enumerate(xs) if x.requires_grad]
        draws = np.random.default_rng(0)
        self.directions = {  # per input: the directions to compare along
            i: [_unit_length(_draw(draws, xs[i].shape))] if fast else _basis(xs[i].shape)
            for i in self.wanted
        }

    def backward(self, nondet_tol: float) -> None:
        """Compare the Jacobian of the backward pass."""
        with enable_grad():
            variables = [_twin(x) for x in self.xs]
            outputs = _outputs(self.func(*variables))
        for j, y in enumerate(outputs):
            first = self._rows(y, variables)
            again = self._rows(y, variables)
            for i in self.wanted:
                gap = float(np.max(np.abs(first[i] - again[i]), initial=0.0))
                if gap > nondet_tol:
                    _fail(
                        f"gradcheck: two backward passes to input {i} from output {j} differ by "
                        f"{gap:.3g}, more than nondet_tol={nondet_tol:g}",
                        "is there randomness, or state, in the backward?",
                    )
                along = [np.reshape(e, -1) for e in self.directions[i]]
                columns = [first[i] @ e for e in along]
                self._compare("the backward pass", i, j, columns)

    def _rows(self, y: Any, variables: list[Any]) -> dict[int, Array]:
        """The Jacobian of one output by each input, a backward pass per row."""
        xs = [variables[i] for i in self.wanted]
        rows: dict[int, list[Array]] = {i: [] for i in self.wanted}
        for e in _basis(y.shape):
            bars: Tensors = (None,) * len(xs)
            if y.requires_grad:
                y_bar = lift(e.astype(y.dtype.numpy))
                bars = grad(y, xs, y_bar, retain_graph=True, allow_unused=True)
            for i, x, bar in zip(self.wanted, xs, bars, strict=True):
                if bar is not None and bar.type != x.type:
                    _fail(
                        f"gradcheck: the gradient of input {i} is {bar.type}, the input {x.type}",
                        "a gradient has the type of what it belongs to",
                    )
                rows[i].append(np.zeros(x.numel()) if bar is None else _flat(bar))
        return {
            i: np.stack(rows[i]) if rows[i] else np.zeros((0, x.numel()))
            for i, x in zip(self.wanted, xs, strict=True)
        }

    def forward(self) -> None:
        """Compare the Jacobian of forward mode."""
        columns: dict[tuple[int, int], list[Array]] = {}
        for i in self.wanted:
            for e in self.directions[i]:
                for j, column in enumerate(self._column(i, e)):
                    columns.setdefault((i, j), []).append(column)
        for (i, j), found in columns.items():
            self._compare("forward mode", i, j, found)

    def _column(self, i: int, direction: Array) -> list[Array]:
        """How each output moves when input i moves along a direction."""
        with enable_grad(), forward.dual_level():
            xs = [_twin(x) for x in self.xs]
            xs[i] = forward.make_dual(xs[i], lift(direction.astype(xs[i].dtype.numpy)))
            parts = [forward.unpack_dual(y) for y in _outputs(self.func(*xs))]
        return [np.zeros(y.numel()) if y_dot is None else _flat(y_dot) for y, y_dot in parts]

    def _compare(self, which: str, i: int, j: int, columns: list[Array]) -> None:
        """Raise unless the columns agree with the differences along the same directions."""
        for k, (analytical, e) in enumerate(zip(columns, self.directions[i], strict=True)):
            numerical = self._difference(i, j, e)
            gap = np.abs(analytical - numerical)
            # Written so that NaN fails, unless both are.
            agree = (gap <= self.atol + self.rtol * np.abs(numerical)) | (
                np.isnan(analytical) & np.isnan(numerical)
            )
            if agree.all():
                continue
            worst = int(np.argmax(np.where(agree, -1.0, np.where(np.isnan(gap), np.inf, gap))))
            self._report(which, (i, j), (worst, k), analytical[worst], numerical[worst])

    def _difference(self, i: int, j: int, direction: Array) -> Array:
        ends: list[Array] = []
        for sign in (1, -1):
            xs = [_twin(x) for x in self.xs]
            moved = read(xs[i]) + sign * self.eps * direction
            xs[i] = lift(moved.astype(xs[i].dtype.numpy)).requires_grad_()
            with enable_grad():
                ends.append(_flat(_outputs(self.func(*xs))[j]))
        return (ends[0] - ends[1]) / (2 * self.eps)

    def _report(
        self, which: str, where: tuple[int, int], entry: tuple[int, int], mine: Any, theirs: Any
    ) -> NoReturn:
        (i, j), (row, column) = where, entry
        x = self.xs[i]
        single = x.dtype.itemsize < 8
        by = f"element {column}" if len(self.directions[i]) == x.numel() else "a random direction"
        _fail(
            f"gradcheck: {which} disagrees with finite differences for output {j}, element {row}, "
            f"by input {i} ({x.type}), {by}: analytical {float(mine):.8g}, numerical "
            f"{float(theirs):.8g}",
            f"input {i} is {x.dtype.name}, too coarse for differences of {self.eps:g}: try "
            "float64 first"
            if single
            else "mend the derivative, or stay away from kinks",
            input=i,
            output=j,
            analytical=float(mine),
            numerical=float(theirs),
        )


def _fail(problem: str, cure: str, **facts: object) -> NoReturn:
    raise GradcheckError(problem, cure=cure, location=str(user_location() or ""), **facts)


def _inputs(inputs: Any, *, require: bool = True) -> Tensors:
    """The inputs as a tuple, one of which at least is to be checked."""
    xs = as_tuple(inputs)
    checked = [x for x in xs if is_tensor(x) and x.tracked]
    if not all(is_tensor(x) for x in xs):
        raise DTypeError(
            "gradcheck: the inputs are tensors",
            cure="give other arguments by functools.partial or a lambda",
            location=str(user_location() or ""),
        )
    if require and not checked:
        _fail(
            "gradcheck: no input requires gradients, so there is nothing to check",
            "call .requires_grad_() on what is to be checked",
        )
    for index, x in enumerate(xs):
        if x.requires_grad and x.dtype.itemsize < 8:
            warnings.warn(
                f"gradcheck: input {index} is {x.dtype.name}; differences need float64",
                stacklevel=3,
            )
    return xs


def _outputs(ys: Any) -> Tensors:
    """The differentiable outputs of the function."""
    return tuple(y for y in as_tuple(ys) if is_tensor(y) and y.value.dtype.kind == "f")


def _twin(x: Any) -> Any:
    """A copy to differentiate by, so that the user's own tensor is left alone."""
    twin = x.detach().clone()
    return twin.requires_grad_() if x.requires_grad else twin


def _flat(tensor: Any) -> Array:
    return read(tensor).astype(np.float64).reshape(-1)


def _unit_length(direction: Array) -> Array:
    length = float(np.linalg.norm(direction))
    return direction / length if length else direction


def _draw(draws: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(draws.standard_normal(shape))


def _basis(shape: tuple[int, ...]) -> list[Array]:
    count = int(np.prod(shape, dtype=np.int64))
    return [row.reshape(shape) for row in np.eye(count)]
