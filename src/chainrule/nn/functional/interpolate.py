"""Pictures in another size, by repeating or leaving out pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chainrule.core.interpret import bind, lift
from chainrule.core.location import user_location
from chainrule.errors import ConfigError, ShapeError
from chainrule.ops.advanced import Index

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["interpolate"]


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
) -> Tensor:
    """The spatial dimensions of (N, C, ...) resized: y[i] = x[⌊i · old / new⌋] along each.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size: the new spatial sizes, one for all or one each.
        scale_factor: or how many times the old ones they are, rounded down.
        mode: `"nearest"` is all there is.

    Raises:
        ConfigError: another mode, or not exactly one of `size` and `scale_factor`.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> F.interpolate(chainrule.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    if mode != "nearest":
        raise ConfigError(f"interpolate: mode is {mode!r}", cure='only "nearest" is supported')
    axes = len(input.shape) - 2
    if axes < 1:
        raise ShapeError(
            f"interpolate: {input.type} has no spatial dimension",
            cure="the input is (N, C, ...), with a batch and a channel dimension",
            location=str(user_location() or ""),
        )
    y = input
    for dim, (new, step) in enumerate(_targets(input.shape[2:], size, scale_factor), 2):
        sources = np.floor(np.arange(new, dtype=np.float32) * np.float32(step)).astype(np.int64)
        y = bind(Index((dim,), dim), y, lift(np.minimum(sources, input.shape[dim] - 1)))
    return y


def _targets(
    old: tuple[int, ...],
    size: int | Sequence[int] | None,
    factor: float | Sequence[float] | None,
) -> list[tuple[int, float]]:
    """For each spatial dimension the new size, and how far apart the sources lie."""
    if (size is None) == (factor is None):
        raise ConfigError(
            "interpolate: one of size and scale_factor is needed, and not both",
            cure="pass size=(H, W) or scale_factor=2",
        )
    given = size if size is not None else factor
    values = [given] * len(old) if isinstance(given, int | float) else list(given or ())
    if len(values) != len(old) or any(value <= 0 for value in values):
        raise ConfigError(
            f"interpolate: {given} for {len(old)} spatial dimensions",
            cure="give one positive number, or one for each of them",
        )
    if size is not None:
        return [(int(new), was / new) for was, new in zip(old, values)]
    return [(math.floor(was * each), 1 / each) for was, each in zip(old, values)]
