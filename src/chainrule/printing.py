"""How a tensor looks: PyTorch's layout, to the letter.

Floats are printed with four decimals, in one width; in scientific notation where the largest is a
thousand times the smallest or above 10^8, or the smallest below 10^-4. Whole numbers keep a bare
point (`1.`). Beyond 1000 elements, three at each end of a dimension stand for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import bool_, get_default_dtype, int64
from chainrule.core.interpret import read
from chainrule.core.op import Array
from chainrule.errors import ConfigError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["PrintOptions", "set_printoptions", "tensor_text"]


@dataclass(frozen=True)
class PrintOptions:
    """How tensors are printed.

    Attributes:
        precision: digits after the point.
        threshold: a tensor of more elements is summarised.
        edgeitems: how many at each end of a dimension a summary shows.
        linewidth: characters in a line.
        sci_mode: scientific notation: always, never, or (None) where it reads better.

    >>> PrintOptions(precision=2).threshold
    1000
    """

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}
_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors are printed; what is None stays as it is, but `sci_mode`: None is a value.

    Args:
        precision: digits after the point.
        threshold: a tensor of more elements is summarised.
        edgeitems: how many at each end of a dimension a summary shows.
        linewidth: characters in a line.
        profile: "default", "short" or "full": start from these settings.
        sci_mode: scientific notation: always, never, or (None) where it reads better.

    Raises:
        ConfigError: there is no such profile.

    >>> import chainrule
    >>> chainrule.set_printoptions(precision=2)
    >>> chainrule.tensor([3.14159, 2.71828])
    tensor([3.14, 2.72])
    >>> chainrule.set_printoptions(profile="default")
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ConfigError(
            f"set_printoptions: no profile {profile!r}", cure=f"pass one of {sorted(_PROFILES)}"
        )
    changed: dict[str, Any] = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    given = {name: value for name, value in changed.items() if value is not None}
    start = _options if profile is None else _PROFILES[profile]
    _options = replace(start, **given, sci_mode=sci_mode)


class _Format:
    """The width and notation that all elements of one tensor share."""

    def __init__(self, array: Array) -> None:
        self.floating = array.dtype.kind == "f"
        self.whole, self.scientific, self.width = True, False, 1
        if not self.floating:
            self.width = max((len(str(each)) for each in array.flat), default=1)
            return
        finite = np.abs(array[np.isfinite(array) & (array != 0)].astype(np.float64))
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
        self.whole = bool((finite == np.ceil(finite)).all())
        self.scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        if _options.sci_mode is not None:
            self.scientific = _options.sci_mode
        used = array[np.isfinite(array) & (array != 0)]
        self.width = max(len(self.text(each)) for each in used.tolist())

    def text(self, value: Any) -> str:
        """One element, without padding."""
        if not self.floating or not math.isfinite(value):
            return str(value)
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        return f"{value:.0f}." if self.whole else f"{value:.{_options.precision}f}"

    def padded(self, value: Any) -> str:
        """One element in the common width."""
        return self.text(value).rjust(self.width)


def _vector(array: Array, indent: int, form: _Format, summarise: bool) -> str:
    """One row, broken into lines."""
    edge = _options.edgeitems
    if summarise and not edge:
        words = ["..."]
    elif summarise and len(array) > 2 * edge:
        # Only what is shown becomes a list: a long row would take seconds and gigabytes.
        words = [form.padded(each) for each in array[:edge].tolist()] + [" ..."]
        words += [form.padded(each) for each in array[-edge:].tolist()]
    else:
        words = [form.padded(each) for each in array.tolist()]
    per_line = max(1, (_options.linewidth - indent) // (form.width + 2))
    lines = [", ".join(words[start : start + per_line]) for start in range(0, len(words), per_line)]
    return "[" + ("," + "\n" + " " * (indent + 1)).join(lines or [""]) + "]"


def _nested(array: Array, indent: int, form: _Format, summarise: bool) -> str:
    if array.ndim == 0:
        return form.padded(array.item())
    if array.ndim == 1:
        return _vector(array, indent, form, summarise)
    edge = _options.edgeitems
    rows = range(len(array))
    if summarise and len(array) > 2 * edge:
        first = [_nested(array[i], indent + 1, form, summarise) for i in rows[:edge]]
        last = [_nested(array[i], indent + 1, form, summarise) for i in rows[len(array) - edge :]]
        parts = [*first, "...", *last]
    else:
        parts = [_nested(array[i], indent + 1, form, summarise) for i in rows]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _summary(array: Array) -> Array:
    """The corners that a summary shows: only they decide on the width."""
    edge = _options.edgeitems
    if not edge:
        return array[..., :0].ravel() if array.ndim > 1 else array
    # Picked out of all axes at once: nothing is made but the corners.
    shown = [
        range(size) if size <= 2 * edge else [*range(edge), *range(size - edge, size)]
        for size in array.shape
    ]
    return array[np.ix_(*shown)]


def _elements(array: Array, indent: int) -> str:
    summarise = array.size > _options.threshold
    form = _Format(_summary(array) if summarise else array)
    return _nested(array, indent, form, summarise)


def tensor_text(x: Tensor) -> str:
    """`tensor([1., 2.], grad_fn=<MulBackward0>)`.

    >>> import chainrule
    >>> chainrule.tensor([[1.5, -2.0], [1e6, 0.0]])
    tensor([[ 1.5000e+00, -2.0000e+00],
            [ 1.0000e+06,  0.0000e+00]])
    """
    name = type(x).__name__
    name = "tensor" if name in ("Tensor", "Parameter") else name
    prefix = f"{name}("
    array, dtype = read(x), x.dtype
    suffixes: list[str] = []
    usual = dtype in (get_default_dtype(), int64, bool_)
    if array.size == 0:
        text = "[]"
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
        usual = dtype is get_default_dtype()
    else:
        text = _elements(array, len(prefix))
        if not _options.edgeitems:
            suffixes.append(f"size={tuple(array.shape)}")
    if not usual:
        suffixes.append(f"dtype={dtype}")
    if x.grad_fn is not None:
        suffixes.append(f"grad_fn={x.grad_fn}")
    elif x.requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + text, suffixes, len(prefix))


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """What follows the elements, on a line of its own where the last one is too full."""
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text + ")"
