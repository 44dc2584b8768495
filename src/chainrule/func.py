"""Derivatives as transformations of functions, by PyTorch's `torch.func` names.

    from chainrule.func import grad
    slope = grad(lambda x: (x ** 3).sum())
    curvature = grad(lambda x: slope(x).sum())

Each takes a function and gives a function; they nest in any order. Arguments may be tensors, or
lists, tuples and dicts of tensors (the parameters of a model), and gradients come back in the same
form. `requires_grad` of the arguments does not matter; where they, or what the function closes
over, require gradients, the results do too. `vmap` is not here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, cast

import numpy as np

from chainrule.autograd import enable_grad
from chainrule.autograd import grad as gradients
from chainrule.autograd.forward import dual_level, make_dual, unpack_dual
from chainrule.autograd.tape import Node, newest
from chainrule.core.base import is_tensor
from chainrule.core.interpret import lift
from chainrule.core.location import user_location
from chainrule.errors import AutogradError, DTypeError
from chainrule.ops.joining import stack

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "vjp"]

Function = Callable[..., Any]
ArgNums = int | tuple[int, ...]

_LISTS: Any = (list, tuple)  # lists of anything, to a type checker


def grad(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """The function that gives the gradient of `func`, whose output is one number.

    Args:
        func: the function.
        argnums: by which arguments; for a tuple, a tuple of gradients comes back.
        has_aux: `func` gives (output, aux), and the result gives (gradient, aux).

    >>> import chainrule
    >>> from chainrule.func import grad
    >>> grad(grad(lambda x: x**3))(chainrule.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """The function that gives (gradient, output); with `has_aux`, (gradient, (output, aux)).

    >>> import chainrule
    >>> from chainrule.func import grad_and_value
    >>> grad_and_value(lambda x: x**3)(chainrule.tensor(2.0))
    (tensor(12.), tensor(8.))
    """

    def both(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            level = _Level(args, argnums)
            output = func(*level.args, **kwargs)
            y, aux = _split(output, "grad", has_aux)
            if not is_tensor(y) or y.numel() != 1:
                kind = y.type if is_tensor(y) else type(y).__name__
                _fail(f"grad: the function gives {kind}, and not one number", "reduce it: .sum()")
            bars = level.pull_back([y], [None])
        value = level.give(y)
        return level.like_arguments(bars), (value, level.give(aux)) if has_aux else value

    return both


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """(output, vjp_fn), where vjp_fn pulls a cotangent of the output back to the primals.

    With `has_aux`, `func` gives (output, aux) and the result is (output, vjp_fn, aux).

    >>> import chainrule
    >>> from chainrule.func import vjp
    >>> y, pull_back = vjp(lambda x: x * x, chainrule.tensor([1.0, 3.0]))
    >>> pull_back(chainrule.tensor([1.0, 10.0]))
    (tensor([ 2., 60.]),)
    """
    with enable_grad():
        level = _Level(primals, tuple(range(len(primals))))
        y, aux = _split(func(*level.args), "vjp", has_aux)
    outputs, _ = _flatten(y)

    def vjp_fn(*cotangents: Any) -> Any:
        bars, _ = _flatten(cotangents[0] if len(cotangents) == 1 else cotangents)
        if len(bars) != len(outputs):
            _fail(f"vjp: {len(outputs)} outputs, {len(bars)} cotangents", "give one per output")
        with enable_grad():
            found = level.pull_back(outputs, bars)
        return level.like_arguments(found)

    value = level.give(y)
    return (value, vjp_fn, level.give(aux)) if has_aux else (value, vjp_fn)


def jvp(
    func: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...], *, has_aux: bool = False
) -> tuple[Any, ...]:
    """(output, its tangent), when the primals move along the tangents; forward mode.

    With `has_aux`, `func` gives (output, aux) and the result is (output, tangent, aux).

    >>> import chainrule
    >>> from chainrule.func import jvp
    >>> jvp(lambda x: x * x, (chainrule.tensor(3.0),), (chainrule.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    leaves, rebuild = _flatten(tuple(primals))
    directions, _ = _flatten(tuple(tangents))
    if len(leaves) != len(directions):
        _fail(f"jvp: {len(leaves)} primals, {len(directions)} tangents", "give one per primal")
    with dual_level():
        duals = [make_dual(x, x_dot) for x, x_dot in zip(leaves, directions, strict=True)]
        y, aux = _split(func(*rebuild(duals)), "jvp", has_aux)
        outputs, like = _flatten(y)
        parts = [unpack_dual(each) for each in outputs]
        aux_leaves, like_aux = _flatten(aux)
        aux = like_aux([unpack_dual(x).primal if is_tensor(x) else x for x in aux_leaves])
    value = like([primal for primal, _ in parts])
    moved = like([x.detach().zeros_like() if x_dot is None else x_dot for x, x_dot in parts])
    return (value, moved, aux) if has_aux else (value, moved)


def jacrev(func: Function, argnums: ArgNums = 0, *, has_aux: bool = False) -> Function:
    """The function that gives the Jacobian of `func`, by a backward pass per output element.

    >>> import chainrule
    >>> from chainrule.func import jacrev
    >>> jacrev(lambda x: x * x)(chainrule.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """

    def jacobian(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            level = _Level(args, argnums)
            y, aux = _split(func(*level.args, **kwargs), "jacrev", has_aux)
            outputs, like = _flatten(y)
            table = [level.like_arguments(_rows(level, each)) for each in outputs]
        return (like(table), level.give(aux)) if has_aux else like(table)

    return jacobian


def jacfwd(func: Function, argnums: ArgNums = 0, *, has_aux: bool = False) -> Function:
    """The function that gives the Jacobian of `func`, by a forward pass per input element.

    >>> import chainrule
    >>> from chainrule.func import jacfwd
    >>> jacfwd(lambda x: x * x)(chainrule.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """

    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen, put_back, like_arguments = _choose(args, argnums)

        def of_chosen(*xs: Any) -> Any:
            return func(*put_back(list(xs)), **kwargs)

        y, aux = _split(of_chosen(*chosen), "jacfwd", has_aux)
        outputs, like = _flatten(y)
        columns = [_columns(of_chosen, chosen, index, has_aux) for index in range(len(chosen))]
        table = [
            like_arguments(
                [
                    _side_by_side([column[k] for column in of_x], output, x)
                    for of_x, x in zip(columns, chosen, strict=True)
                ]
            )
            for k, output in enumerate(outputs)
        ]
        return (like(table), aux) if has_aux else like(table)

    return jacobian


def hessian(func: Function, argnums: ArgNums = 0) -> Function:
    """The function that gives the Hessian of `func`: forward over reverse, `jacfwd(jacrev(f))`.

    >>> import chainrule
    >>> from chainrule.func import hessian
    >>> hessian(lambda x: (x**3).sum())(chainrule.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


# ---- the parts -------------------------------------------------------------------------------


class _Level:
    """One reverse-mode differentiation: the arguments as variables of its own.

    Attributes:
        args: the arguments, with variables in place of those to differentiate by.
        variables: those variables.
    """

    def __init__(self, args: tuple[Any, ...], argnums: ArgNums) -> None:
        self.start = newest()
        chosen, put_back, self.like_arguments = _choose(args, argnums)
        self.variables = [_variable(x) for x in chosen]
        self.args = put_back(self.variables)
        self.outer: bool | None = None

    def pull_back(self, outputs: list[Any], bars: list[Any]) -> list[Any]:
        """The cotangents of the variables; recorded if something outside requires gradients."""
        pairs = [(y, bar) for y, bar in zip(outputs, bars, strict=True) if y.requires_grad]
        if not pairs:
            return [x.detach().zeros_like() for x in self.variables]
        if self.outer is None:
            self.outer = self._depends_on_others([y for y, _ in pairs])
        record = self.outer or any(bar is not None and bar.requires_grad for _, bar in pairs)
        found = gradients(
            [y for y, _ in pairs],
            self.variables,
            [bar for _, bar in pairs],
            retain_graph=True,
            create_graph=record,
            allow_unused=True,
            materialize_grads=True,
        )
        return list(found)

    def _depends_on_others(self, outputs: list[Any]) -> bool:
        """Whether a path leads from the outputs to what was there before this level."""
        own = {id(x) for x in self.variables}
        seen: set[int] = set()
        pending: list[Any] = [y.node or y for y in outputs]
        while pending:
            where = pending.pop()
            if id(where) in seen:
                continue
            seen.add(id(where))
            if isinstance(where, Node):
                if where.sequence <= self.start:
                    return True
                pending += [edge[0] for edge in where.edges if edge is not None]
            elif id(where) not in own:
                return True
        return False

    def give(self, tree: Any) -> Any:
        """A result for the world outside: cut off, where only this level made it require grad."""
        leaves, like = _flatten(tree)
        return like([self._cut(x) if is_tensor(x) and x.tracked else x for x in leaves])

    def _cut(self, y: Any) -> Any:
        if self._depends_on_others([y]):
            return y
        cut = y.detach()
        cut.tangents = y.tangents
        return cut


def _variable(x: Any) -> Any:
    """A twin of an argument that gradients flow to."""
    if not is_tensor(x) or x.value.dtype.kind != "f":
        kind = x.type if is_tensor(x) else type(x).__name__
        raise DTypeError(
            f"func: only float tensors can be differentiated by, not {kind}",
            cure="choose other arguments with argnums=",
            location=str(user_location() or ""),
        )
    twin = x.reshape(x.shape)
    if twin.tracked:
        return twin
    tangents = twin.tangents
    twin = twin.detach().requires_grad_()
    twin.tangents = tangents
    return twin


def _choose(args: tuple[Any, ...], argnums: ArgNums) -> tuple[list[Any], Function, Function]:
    """The tensors of the chosen arguments; how to put others in their place; how to give results.

    `put_back(tensors)` gives the arguments with those tensors; `like_arguments(values)` puts one
    value per tensor in the form of the chosen arguments.
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for number in numbers:
        if not -len(args) <= number < len(args):
            _fail(f"func: argnums={argnums}, and there are {len(args)} arguments", "count from 0")
    positions = [number % len(args) for number in numbers]
    leaves, rebuild = _flatten(tuple(args[position] for position in positions))

    def put_back(tensors: list[Any]) -> tuple[Any, ...]:
        replaced = dict(zip(positions, rebuild(tensors), strict=True))
        return tuple(replaced.get(index, each) for index, each in enumerate(args))

    def like_arguments(values: list[Any]) -> Any:
        built = rebuild(values)
        return built[0] if isinstance(argnums, int) else built

    return leaves, put_back, like_arguments


def _rows(level: _Level, y: Any) -> list[Any]:
    rows = [level.pull_back([y], [unit]) for unit in _units(y)]
    return [
        (
            stack([row[i] for row in rows])
            if rows
            else lift(np.zeros((0, *x.shape), x.dtype.numpy))
        ).reshape((*y.shape, *x.shape))
        for i, x in enumerate(level.variables)
    ]


def _columns(func: Function, xs: list[Any], index: int, has_aux: bool) -> list[list[Any]]:
    """By element of one input: the outputs' tangents."""
    columns: list[list[Any]] = []
    for unit in _units(xs[index]):
        tangents = [unit if i == index else x.detach().zeros_like() for i, x in enumerate(xs)]
        moved = jvp(func, tuple(xs), tuple(tangents), has_aux=has_aux)[1]
        columns.append(_flatten(moved)[0])
    return columns


def _side_by_side(columns: list[Any], y: Any, x: Any) -> Any:
    shape = (*y.shape, *x.shape)
    if not columns:
        return lift(np.zeros(shape, y.dtype.numpy))
    return stack(columns, -1).reshape(shape)


def _units(x: Any) -> Iterator[Any]:
    for index in range(x.numel()):
        unit = np.zeros(x.numel(), x.dtype.numpy)
        unit[index] = 1
        yield lift(unit.reshape(x.shape))


def _split(output: Any, what: str, has_aux: bool) -> tuple[Any, Any]:
    """Output and aux."""
    if not has_aux:
        return output, None
    pair = cast("tuple[Any, ...]", output) if isinstance(output, tuple) else ()
    if len(pair) != 2:
        _fail(f"{what}: has_aux=True, and the function gives no pair", "give (output, aux)")
    return pair[0], pair[1]


def _flatten(tree: Any) -> tuple[list[Any], Function]:
    """The leaves of nested lists, tuples and dicts, and how to build the like of it."""
    if isinstance(tree, dict):
        items = cast("dict[Any, Any]", tree)
        leaves, rebuild = _flatten(list(items.values()))

        def build_dict(values: list[Any]) -> Any:
            return dict(zip(items, rebuild(values), strict=True))

        return leaves, build_dict
    if not isinstance(tree, _LISTS):
        return [tree], operator.itemgetter(0)
    kind = cast("type[Any]", type(tree))
    parts = [_flatten(each) for each in tree]
    sizes = [len(leaves) for leaves, _ in parts]

    def build(values: list[Any]) -> Any:
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        built = [
            rebuild(values[start : start + size])
            for (_, rebuild), start, size in zip(parts, starts, sizes, strict=True)
        ]
        if issubclass(kind, list):
            return built
        return kind(*built) if hasattr(kind, "_fields") else tuple(built)

    return [leaf for leaves, _ in parts for leaf in leaves], build


def _fail(problem: str, cure: str) -> NoReturn:
    raise AutogradError(problem, cure=cure, location=str(user_location() or ""))
