"""Derivatives: the tape and its backward pass, grad modes, and what is built on them.

Read `tape.py`, then `reverse.py`: that is all of reverse mode. `forward.py` is forward mode. The
others stand on these two: `inplace` (tensors that are written to), `grad_mode`, `hooks`, `function`
(operations of the user's own), `functional` (jacobian, hessian, ...), `gradient_check`, `witnesses`
(who judge every op), `checkpoint` (recompute instead of keeping), `anomaly`.
"""

from typing import TYPE_CHECKING, Any

from chainrule.autograd.anomaly import detect_anomaly
from chainrule.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from chainrule.autograd.reverse import backward, grad

if TYPE_CHECKING:
    from chainrule.autograd import checkpoint, functional
    from chainrule.autograd import forward as forward_ad
    from chainrule.autograd.function import Function
    from chainrule.autograd.gradient_check import gradcheck, gradgradcheck

__all__ = [
    "Function",
    "backward",
    "checkpoint",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

_LATE = {  # loaded when first asked for: name here -> module, name there
    "Function": ("function", "Function"),
    "checkpoint": ("checkpoint", ""),
    "forward_ad": ("forward", ""),
    "functional": ("functional", ""),
    "gradcheck": ("gradient_check", "gradcheck"),
    "gradgradcheck": ("gradient_check", "gradgradcheck"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module, attribute = _LATE[name]
    loaded: Any = importlib.import_module(f"{__name__}.{module}")
    found = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = found
    return found
