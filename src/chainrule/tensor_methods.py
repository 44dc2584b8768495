"""A base for `Tensor` that its methods are attached to.

The functions of `chainrule.ops` become methods when the package loads (see the end of `tensor.py`).
The `.pyi` beside this file tells type checkers of them; `make stubs` writes it.
"""

from __future__ import annotations

from chainrule.core.base import TensorBase

__all__ = ["TensorMethods"]


class TensorMethods(TensorBase):
    """Has, at run time, every function of `ops` whose first parameter is called `input`."""

    tangents = None
    post_accumulate_hooks = None
