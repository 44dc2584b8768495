"""`Parameter` and `Buffer`: tensors that a module takes for its own when assigned to it."""

from __future__ import annotations

from typing import Any

from chainrule.tensor import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor to be learned: a leaf that requires gradients.

    Assigned to an attribute of a `Module`, it is listed in `module.parameters()`.

    Args:
        data: the values; a tensor's memory is shared.
        requires_grad: False freezes it.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.Parameter(chainrule.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __init__(self, data: Any = (), requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer(Tensor):
    """A tensor that belongs to a module's state but is not learned, such as a running mean.

    Args:
        data: the values; a tensor's memory is shared.
        persistent: whether it is part of `state_dict()`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> module = nn.Module()
    >>> module.mean = nn.Buffer(chainrule.zeros(2))
    >>> list(module.state_dict()), list(module.parameters())
    (['mean'], [])
    """

    persistent: bool = True

    def __init__(self, data: Any = (), *, persistent: bool = True) -> None:
        super().__init__(data)
        self.persistent = persistent
