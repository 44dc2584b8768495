"""PyTorch as a witness: the layer or function of the same name there, with the same numbers in it.

Nothing is believed of a twin but what shows: if its output isn't ours, it is no twin (dropout draws
other numbers), and is not asked. PyTorch is imported only when it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from chainrule.core.base import as_tuple, is_tensor
from chainrule.core.op import Array
from chainrule.errors import MissingDependencyError
from chainrule.explain.subject import Subject
from chainrule.nn.module import Module

__all__ = ["twin_gradients"]


def twin_gradients(
    subject: Subject,
    target: Any,
    inputs: Sequence[Any],
    y_bars: Sequence[Array],
    wanted: bool | None,
) -> dict[int, Array] | None:
    """The gradients by PyTorch's twin of a layer or function; None if there is none.

    Args:
        subject: what is checked.
        target: the layer or function.
        inputs: what it is called with.
        y_bars: the cotangents of its outputs.
        wanted: False: don't ask; True: PyTorch has to be there; None: if it is.

    Raises:
        MissingDependencyError: PyTorch is wanted, and not installed.
    """
    if wanted is False or not _may_have_a_twin(target):
        return None
    if find_spec("torch") is None:
        if wanted:
            raise MissingDependencyError(
                "check: PyTorch is not installed", cure='pip install "chainrule[parity]"'
            )
        return None
    torch: Any = import_module("torch")
    try:
        return _gradients(torch, subject, target, inputs, y_bars)
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, NotImplementedError):
        return None  # of the same name, and something else


def _may_have_a_twin(target: Any) -> bool:
    kind = type(target) if isinstance(target, Module) else target
    return getattr(kind, "__module__", "").startswith(("chainrule.nn.", "chainrule.ops."))


def _gradients(
    torch: Any, subject: Subject, target: Any, inputs: Sequence[Any], y_bars: Sequence[Array]
) -> dict[int, Array] | None:
    tensors = [torch.tensor(np.array(x)) for x in subject.arrays]
    for i in subject.wanted:
        tensors[i].requires_grad_()
    count = sum(is_tensor(x) or isinstance(x, np.ndarray) for x in inputs)
    filled, own = list(inputs), iter(tensors[:count])
    filled = [next(own) if is_tensor(x) or isinstance(x, np.ndarray) else x for x in filled]
    if isinstance(target, Module):
        twin = _layer(torch, target)
        named = dict(zip(subject.names[count:], tensors[count:]))
        result = torch.func.functional_call(twin, named, tuple(filled))
    else:
        name = target.__name__
        function = getattr(torch.nn.functional, name, None) or getattr(torch, name)
        result = function(*filled)
    outputs: list[Any] = [y for y in as_tuple(result) if y.is_floating_point()]
    ours = subject.run(subject.arrays)
    same = [
        np.allclose(a, np.asarray(b.detach()), rtol=1e-9, atol=1e-11) for a, b in zip(ours, outputs)
    ]
    if len(ours) != len(outputs) or not all(same):
        return None
    bars = [torch.tensor(np.array(bar)) for bar in y_bars]
    found = torch.autograd.grad(
        outputs, [tensors[i] for i in subject.wanted], bars, allow_unused=True
    )
    return {
        i: np.zeros(subject.arrays[i].shape) if bar is None else bar.numpy()
        for i, bar in zip(subject.wanted, found)
    }


def _layer(torch: Any, target: Any) -> Any:
    """PyTorch's layer of the same name, made with the same settings, in float64."""
    kind = getattr(torch.nn, type(target).__name__)
    settings: dict[str, Any] = {}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        value = getattr(target, name, parameter.default)
        if name in ("self", "device", "dtype") or value is parameter.empty:
            continue
        if isinstance(parameter.default, bool) and not isinstance(value, bool):
            value = value is not None
        settings[name] = torch.tensor(np.array(value.value)) if is_tensor(value) else value
    twin = kind(**settings).double()
    for name, buffer in twin.named_buffers():
        buffer.copy_(torch.tensor(np.array(target.get_buffer(name).value)))
    return twin.train(target.training)
