"""Derivatives of functions, by PyTorch's `torch.autograd.functional` names: jacobian and kin.

Each takes a function of tensors, the inputs (a tensor or a tuple) and gives values, not closures;
`chainrule.func` has the same as transformations of functions. There is no `vectorize`: it changes
nothing but speed in PyTorch, and there is no `vmap` here to do it with.

With `strict=True`, an output that does not depend on an input is an `AutogradError`; otherwise its
derivative is zero. With `create_graph=True` the results can be differentiated in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from chainrule.autograd import forward
from chainrule.autograd.grad_mode import enable_grad
from chainrule.autograd.reverse import grad
from chainrule.core.base import as_tuple, is_tensor
from chainrule.core.interpret import lift
from chainrule.core.location import user_location
from chainrule.errors import AutogradError, ConfigError, DTypeError, ShapeError
from chainrule.ops.joining import stack

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = tuple[Any, ...]


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs, and vᵀ J: what the cotangent v pulls back to the inputs.

    >>> import chainrule
    >>> from chainrule.autograd.functional import vjp
    >>> vjp(lambda x: x * x, chainrule.tensor([1.0, 3.0]), chainrule.tensor([1.0, 10.0]))[1]
    tensor([ 2., 60.])
    """
    with enable_grad():
        xs, ys, plain = _run("vjp", func, inputs, create_graph)
        v_bar = _direction("vjp", v, ys, "outputs")
        bars = _pull_back("vjp", ys, xs, v_bar, create_graph, strict)
    return _results(ys, create_graph, plain[1]), _results(bars, create_graph, plain[0])


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs, and J v: how they move when the inputs move along v. One pass, forward mode.

    >>> import chainrule
    >>> from chainrule.autograd.functional import jvp
    >>> jvp(lambda x: x * x, chainrule.tensor([1.0, 3.0]), chainrule.tensor([1.0, 10.0]))[1]
    tensor([ 2., 60.])
    """
    given, _ = _tuple("jvp", "inputs", inputs)
    v_dot = _direction("jvp", v, given, "inputs")
    with enable_grad():
        parts, plain = _push("jvp", func, given, v_dot, strict)
    values, y_dots = tuple(y for y, _ in parts), tuple(y_dot for _, y_dot in parts)
    return _results(values, create_graph, plain), _results(y_dots, create_graph, plain)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """J[i, j] = dy[i]/dx[j], for every output and input.

    Args:
        func: from tensors to a tensor or a tuple of them.
        inputs: a tensor or a tuple of them.
        create_graph: so that the Jacobian can be differentiated in turn.
        strict: raise where an output does not depend on an input.
        strategy: `"reverse-mode"` takes a backward pass per element of the outputs,
            `"forward-mode"` a forward pass per element of the inputs.

    Returns:
        a tensor of the output's shape followed by the input's; for tuples of outputs or inputs a
        tuple, for both a tuple (by output) of tuples (by input).

    >>> import chainrule
    >>> from chainrule.autograd.functional import jacobian
    >>> jacobian(lambda x: x * x, chainrule.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ConfigError(
            f"jacobian: there is no strategy {strategy!r}",
            cure='"reverse-mode" or "forward-mode"',
            location=str(user_location() or ""),
        )
    if strategy == "forward-mode":
        with enable_grad():
            table, plain = _by_columns(func, inputs, strict)
    else:
        with enable_grad():
            xs, ys, plain = _run("jacobian", func, inputs, create_graph)
            table = [_by_rows(xs, y, index, create_graph, strict) for index, y in enumerate(ys)]
    rows = tuple(_results(tuple(row), create_graph, plain[0]) for row in table)
    return rows[0] if plain[1] else rows


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """H[i, j] = d²y/dx[i]dx[j] of a function with one scalar output.

    >>> import chainrule
    >>> from chainrule.autograd.functional import hessian
    >>> hessian(lambda x: (x * x * x).sum(), chainrule.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    given, plain = _tuple("hessian", "inputs", inputs)

    def gradient(*xs: Any) -> Tensors:
        variables = tuple(_variable(x, True) for x in xs)
        y = _scalar("hessian", func(*variables))
        return _pull_back("hessian", (y,), variables, (None,), True, strict)

    with enable_grad():
        table = jacobian(gradient, given, create_graph, strict, outer_jacobian_strategy)
    return table[0][0] if plain else table


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output and vᵀ H of a function with one scalar output: two backward passes.

    Raises:
        ShapeError: v has other shapes than the inputs.
        AutogradError: the output is not one number, or (`strict`) depends on no input.

    >>> import chainrule
    >>> from chainrule.autograd.functional import vhp
    >>> x, v = chainrule.tensor([1.0, 2.0]), chainrule.tensor([1.0, 1.0])
    >>> vhp(lambda x: (x * x * x).sum(), x, v)
    (tensor(9.), tensor([ 6., 12.]))
    """
    with enable_grad():
        xs, ys, plain = _run("vhp", func, inputs, create_graph)
        v_bar = _direction("vhp", v, xs, "inputs")
        y = _scalar("vhp", ys[0] if plain[1] else ys)
        bars = _pull_back("vhp", (y,), xs, (None,), True, strict)
        second = _pull_back("vhp", bars, xs, v_bar, create_graph, strict)
    return _results((y,), create_graph, True), _results(second, create_graph, plain[0])


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The output and H v of a function with one scalar output: forward mode over a backward pass.

    >>> import chainrule
    >>> from chainrule.autograd.functional import hvp
    >>> x, v = chainrule.tensor([1.0, 2.0]), chainrule.tensor([1.0, 1.0])
    >>> hvp(lambda x: (x * x * x).sum(), x, v)[1]
    tensor([ 6., 12.])
    """
    given, plain = _tuple("hvp", "inputs", inputs)
    v_dot = _direction("hvp", v, given, "inputs")
    with enable_grad(), forward.dual_level():
        duals = [
            _variable(forward.make_dual(x, x_dot), create_graph)
            for x, x_dot in zip(given, v_dot, strict=True)
        ]
        y = _scalar("hvp", func(*duals))
        bars = _pull_back("hvp", (y,), tuple(duals), (None,), create_graph, strict)
        parts = [forward.unpack_dual(bar) for bar in bars]
        value = forward.unpack_dual(y).primal
    products: list[Any] = []
    for index, (bar, bar_dot) in enumerate(parts):
        if bar_dot is None and strict:
            _independent("hvp", 0, index)
        products.append(bar.detach().zeros_like() if bar_dot is None else bar_dot)
    return _results((value,), create_graph, True), _results(tuple(products), create_graph, plain)


# ---- the parts -------------------------------------------------------------------------------


def _tuple(what: str, which: str, given: Any) -> tuple[Tensors, bool]:
    """The tensors as a tuple, and whether there was just one, by itself."""
    plain, listed = is_tensor(given), as_tuple(given)
    for index, each in enumerate(listed or (None,)):
        if not is_tensor(each):
            raise DTypeError(
                f"{what}: the {which} are a tensor or a tuple of tensors; number {index} is "
                f"{type(each).__name__}",
                cure="give other arguments by functools.partial or a lambda",
                location=str(user_location() or ""),
            )
    return listed, plain


def _variable(x: Any, keep_history: bool) -> Any:
    """The tensor as one to differentiate by: a twin, so that the given one is left alone."""
    twin = x.reshape(x.shape)
    if not (keep_history and twin.tracked):
        tangents = twin.tangents
        twin = twin.detach().requires_grad_()
        twin.tangents = tangents
    return twin


def _run(
    what: str, func: Callable[..., Any], inputs: Any, create_graph: bool
) -> tuple[Tensors, Tensors, tuple[bool, bool]]:
    """Inputs to differentiate by, outputs, and whether either was one tensor by itself."""
    given, plain = _tuple(what, "inputs", inputs)
    xs = tuple(_variable(x, create_graph) for x in given)
    ys, plain_output = _tuple(what, "outputs", func(*xs))
    return xs, ys, (plain, plain_output)


def _direction(what: str, v: Any, like: Tensors, which: str) -> Tensors:
    """v checked against what it goes with; None stands for 1, of a scalar."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            _fail(f"{what}: v may be left out for one scalar only", f"give v for the {which}")
        return (lift(np.ones(like[0].shape, like[0].dtype.numpy)),)
    listed, _ = _tuple(what, "v", v)
    if [each.shape for each in listed] != [each.shape for each in like]:
        raise ShapeError(
            f"{what}: v is {[each.type for each in listed]}, the {which} "
            f"{[each.type for each in like]}",
            cure=f"give a tensor per one of the {which}, of its shape",
            location=str(user_location() or ""),
        )
    return listed


def _scalar(what: str, y: Any) -> Any:
    (y,), _ = _tuple(what, "outputs", y) if is_tensor(y) else _one(what, y)
    if y.numel() != 1:
        _fail(f"{what}: the function gives {y.type}, and not one number", "reduce it, as by .sum()")
    return y if not y.shape else y.reshape(())


def _one(what: str, ys: Any) -> tuple[Tensors, bool]:
    listed, plain = _tuple(what, "outputs", ys)
    if len(listed) != 1:
        _fail(f"{what}: the function gives {len(listed)} outputs", "give one scalar")
    return listed, plain


def _pull_back(
    what: str, ys: Tensors, xs: Tensors, bars: Tensors, create_graph: bool, strict: bool
) -> Tensors:
    """The inputs' cotangents from the outputs'; zeros where there is no path."""
    tracked = [(y, bar) for y, bar in zip(ys, bars, strict=True) if y.requires_grad]
    if strict and len(tracked) < len(ys):
        _independent(what, [y.requires_grad for y in ys].index(False), None)
    if not tracked:
        return tuple(x.detach().zeros_like() for x in xs)
    given = [bar for _, bar in tracked]
    found = grad([y for y, _ in tracked], xs, given, True, create_graph, allow_unused=True)
    for index, bar in enumerate(found):
        if bar is None and strict:
            _independent(what, 0, index)
    return tuple(
        x.detach().zeros_like() if bar is None else bar for x, bar in zip(xs, found, strict=True)
    )


def _push(
    what: str, func: Callable[..., Any], xs: Tensors, x_dots: Tensors, strict: bool
) -> tuple[list[tuple[Any, Any]], bool]:
    """Each output with its tangent, given the inputs' (None: it does not move)."""
    with forward.dual_level():
        duals = [
            x if x_dot is None else forward.make_dual(x, x_dot)
            for x, x_dot in zip(xs, x_dots, strict=True)
        ]
        ys, plain = _tuple(what, "outputs", func(*duals))
        parts = [forward.unpack_dual(y) for y in ys]
    moving = [index for index, x_dot in enumerate(x_dots) if x_dot is not None]
    for index, (_, y_dot) in enumerate(parts):
        if y_dot is None and strict:
            _independent(what, index, moving[0] if len(moving) == 1 else None)
    return [(y, y.detach().zeros_like() if y_dot is None else y_dot) for y, y_dot in parts], plain


def _basis(y: Any) -> Iterator[Any]:
    """Every unit vector of a tensor's shape."""
    for index in range(y.numel()):
        unit = np.zeros(y.numel(), y.dtype.numpy)
        unit[index] = 1
        yield lift(unit.reshape(y.shape))


def _by_rows(xs: Tensors, y: Any, index: int, create_graph: bool, strict: bool) -> list[Tensor]:
    """One output's Jacobians, a backward pass per element."""
    rows = [_pull_back("jacobian", (y,), xs, (e,), create_graph, strict) for e in _basis(y)]
    if not rows:
        return [lift(np.zeros((*y.shape, *x.shape), x.dtype.numpy)) for x in xs]
    return [stack([row[i] for row in rows]).reshape((*y.shape, *x.shape)) for i, x in enumerate(xs)]


def _by_columns(
    func: Callable[..., Any], inputs: Any, strict: bool
) -> tuple[list[list[Tensor]], tuple[bool, bool]]:
    """The Jacobians by output and input, a forward pass per element of the inputs."""
    given, plain = _tuple("jacobian", "inputs", inputs)
    ys, plain_output = _tuple("jacobian", "outputs", func(*given))
    table: list[list[Tensor]] = [[] for _ in ys]
    for i, x in enumerate(given):
        columns: list[Tensors] = []
        for e in _basis(x):
            x_dots = tuple(e if k == i else None for k in range(len(given)))
            parts, _ = _push("jacobian", func, given, x_dots, strict)
            columns.append(tuple(y_dot for _, y_dot in parts))
        for row, y, k in zip(table, ys, range(len(ys)), strict=True):
            if not columns:
                row.append(lift(np.zeros((*y.shape, *x.shape), y.dtype.numpy)))
                continue
            last = stack([column[k] for column in columns], -1)
            row.append(last.reshape((*y.shape, *x.shape)))
    return table, (plain, plain_output)


def _results(tensors: Tensors, create_graph: bool, plain: bool) -> Any:
    """Cut off unless they are to be differentiated, and alone if what was given was."""
    kept = tensors if create_graph else tuple(_cut(each) for each in tensors)
    return kept[0] if plain else kept


def _cut(tensor: Any) -> Any:
    """Without history; tangents of outer levels of forward mode stay."""
    if not tensor.tracked:
        return tensor
    cut = tensor.detach()
    cut.tangents = tensor.tangents
    return cut


def _independent(what: str, output: int, input: int | None) -> NoReturn:
    where = "any input" if input is None else f"input {input}"
    _fail(
        f"{what}: output {output} does not depend on {where}",
        "pass strict=False to get zeros for it",
    )


def _fail(problem: str, cure: str) -> NoReturn:
    raise AutogradError(problem, cure=cure, location=str(user_location() or ""))
