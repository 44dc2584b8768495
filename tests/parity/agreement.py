"""One question, asked of everything that PyTorch has too: do both give the same?

    assert_agrees("softmax", x, kwargs={"dim": -1})           a name that both libraries know
    assert_agrees("nn.functional.relu", x)                    a dotted one
    assert_agrees("Tensor.clamp", x, 0, 1)                    a method
    assert_agrees((ours, theirs), x)                          two callables

It compares values, dtypes, shapes, names of named tuples, and the gradients of every float input.
NumPy arrays, also inside lists and tuples, become tensors of each library. **Arrays of float64
(what NumPy makes by default) take each dtype of `dtypes` in turn; all others keep their own**, so
that mixed dtypes can be asked for. A `Dtype("float64")` among the arguments becomes each library's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule.autograd import backward
from chainrule.errors import ChainruleError

torch = pytest.importorskip("torch")

Function = str | tuple[Callable[..., Any], Callable[..., Any]]
FLOATS = ("float32", "float64")
TOLERANCES = {  # relative, absolute
    "float16": (2e-3, 1e-3),
    "float32": (2e-5, 2e-6),
    "float64": (1e-10, 1e-12),
}


class Dtype(str):
    """Stands for `chainrule.<name>` in one library and `torch.<name>` in the other."""


def assert_agrees(
    function: Function,
    *args: Any,
    kwargs: dict[str, Any] | None = None,
    dtypes: Sequence[str] = FLOATS,
    grad: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Both libraries give the same outputs, and the same gradients of them, in each dtype.

    The gradients are those of sum(output * c) for fixed random c, over all float outputs.

    Args:
        function: a name both know, or (ours, theirs).
        args: arrays (tensors they become), numbers, anything else as it is.
        kwargs: likewise.
        dtypes: what float64 arrays are converted to, one after the other.
        grad: compare gradients too.
        rtol: the relative tolerance, instead of the dtype's own.
        atol: the absolute tolerance, instead of the dtype's own.
    """
    arguments = (list(args), kwargs or {})
    for dtype in dtypes if _has_float64(arguments) else ("float32",):
        tolerances = (rtol, atol)
        _agree_in(function, arguments, dtype, grad, tolerances)


def assert_both_raise(
    function: Function,
    *args: Any,
    kwargs: dict[str, Any] | None = None,
    match: str | None = None,
) -> ChainruleError:
    """Both libraries refuse; ours with a typed error that says what to do. It is returned.

    Where PyTorch raises an IndexError, ValueError or TypeError, ours is one too.
    """
    ours, theirs = _both(function)
    arguments = (list(args), kwargs or {})
    given, named = _build(arguments, "float32", _torch_tensor, torch)
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError)) as expected:
        theirs(*given, **named)
    given, named = _build(arguments, "float32", _our_tensor, chainrule)
    with pytest.raises(ChainruleError, match=match) as raised:
        ours(*given, **named)
    for kind in (IndexError, ValueError, TypeError):
        if isinstance(expected.value, kind):
            assert isinstance(raised.value, kind), f"{raised.value!r} is no {kind.__name__}"
    return raised.value


def _agree_in(
    function: Function, arguments: Any, dtype: str, grad: bool, tolerances: tuple[Any, Any]
) -> None:
    ours, theirs = _both(function)
    our_inputs: list[Any] = []
    their_inputs: list[Any] = []
    given, named = _build(arguments, dtype, _our_tensor, chainrule, our_inputs, grad)
    y = ours(*given, **named)
    given, named = _build(arguments, dtype, _torch_tensor, torch, their_inputs, grad)
    expected = theirs(*given, **named)
    _same(y, expected, tolerances, f"in {dtype}: output")
    if not grad:
        return
    roots = [
        (a, b)
        for a, b in zip(_tensors(y), _tensors(expected), strict=True)
        if b.requires_grad or a.requires_grad
    ]
    for a, b in roots:
        assert a.requires_grad == b.requires_grad, (
            f"in {dtype}: ours {'has' if a.requires_grad else 'has no'} gradient, theirs differs"
        )
    if not roots:
        return
    rng = np.random.default_rng(0)
    bars = [
        np.asarray(rng.standard_normal(tuple(b.shape)), b.detach().numpy().dtype) for _, b in roots
    ]
    backward([a for a, _ in roots], [chainrule.from_numpy(np.array(bar)) for bar in bars])
    torch.autograd.backward(
        [b for _, b in roots], [torch.from_numpy(np.array(bar)) for bar in bars]
    )
    for index, (a, b) in enumerate(zip(our_inputs, their_inputs, strict=True)):
        ours_grad = a.grad if a.grad is not None else chainrule.zeros_like(a.detach())
        their_grad = b.grad if b.grad is not None else torch.zeros_like(b)
        _same(ours_grad, their_grad, tolerances, f"in {dtype}: gradient of tensor {index}")


def _both(function: Function) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if not isinstance(function, str):
        return function
    ours: Any = chainrule
    theirs: Any = torch
    for name in function.split("."):
        ours, theirs = getattr(ours, name), getattr(theirs, name)
    return ours, theirs


def _has_float64(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype == np.float64
    if isinstance(value, dict):
        return any(_has_float64(each) for each in value.values())
    return isinstance(value, list | tuple) and any(_has_float64(each) for each in value)


def _our_tensor(array: Any, requires_grad: bool) -> Any:
    return chainrule.from_numpy(np.array(array)).requires_grad_(requires_grad)


def _torch_tensor(array: Any, requires_grad: bool) -> Any:
    return torch.from_numpy(np.array(array)).requires_grad_(requires_grad)


def _build(
    value: Any,
    dtype: str,
    tensor: Callable[[Any, bool], Any],
    library: Any,
    leaves: list[Any] | None = None,
    grad: bool = False,
) -> Any:
    """The arguments with tensors for arrays; float tensors are noted in `leaves`."""
    if isinstance(value, np.ndarray):
        array = value.astype(dtype) if value.dtype == np.float64 else value
        is_float = array.dtype.kind == "f"
        made = tensor(array, grad and is_float)
        if is_float and leaves is not None:
            leaves.append(made)
        return made
    if isinstance(value, Dtype):
        return library.bool if value == "bool" else getattr(library, value)
    if isinstance(value, dict):
        return {
            name: _build(each, dtype, tensor, library, leaves, grad) for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_build(each, dtype, tensor, library, leaves, grad) for each in value)
    return value


def _tensors(value: Any) -> list[Any]:
    """All tensors of an output, in order."""
    if isinstance(value, chainrule.Tensor | torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for each in value.values() for tensor in _tensors(each)]
    if isinstance(value, list | tuple):
        return [tensor for each in value for tensor in _tensors(each)]
    return []


def _same(ours: Any, theirs: Any, tolerances: tuple[Any, Any], what: str) -> None:
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, chainrule.Tensor), f"{what}: {type(ours).__name__}, not a tensor"
        assert ours.dtype.name == str(theirs.dtype).removeprefix("torch."), (
            f"{what}: dtype {ours.dtype}, theirs {theirs.dtype}"
        )
        assert tuple(ours.shape) == tuple(theirs.shape), (
            f"{what}: shape {tuple(ours.shape)}, theirs {tuple(theirs.shape)}"
        )
        expected = theirs.detach().numpy()
        relative, absolute = TOLERANCES.get(ours.dtype.name, (0, 0))
        np.testing.assert_allclose(
            ours.detach().numpy(),
            expected,
            rtol=relative if tolerances[0] is None else tolerances[0],
            atol=absolute if tolerances[1] is None else tolerances[1],
            err_msg=what,
        )
        return
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), f"{what}: keys {list(ours)}, theirs {list(theirs)}"
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs), f"{what}: {len(ours)} of them, theirs {len(theirs)}"
        for name in ("values", "indices"):
            if hasattr(theirs, name):
                assert getattr(ours, name, None) is not None, f"{what}: has no .{name}"
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            _same(a, b, tolerances, f"{what} {index}")
        return
    if isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-6, nan_ok=True), what
        return
    assert str(ours).removeprefix("chainrule.") == str(theirs).removeprefix("torch."), what
