"""Dimensions as users give them (`dim=-1`, `(0, 2)`, None), made plain and checked in one place."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.core.location import user_location
from chainrule.errors import DimensionError

__all__ = ["Dims", "all_dims", "one_dim"]

Dims = int | Sequence[int] | None


def one_dim(op: str, dim: int, ndim: int) -> int:
    """A dimension counted from the left; a scalar is taken to have one, as PyTorch does."""
    bound = max(ndim, 1)
    if -bound <= dim < bound:
        return dim % bound
    location = user_location()
    raise DimensionError(
        f"{op}: dim {dim} is out of range for a tensor of {ndim} dimensions",
        cure=f"pass a dim from {-bound} to {bound - 1}",
        location=str(location) if location else "",
        op=op,
        dim=dim,
    )


def all_dims(op: str, dim: Dims, ndim: int) -> tuple[int, ...]:
    """Several dimensions, sorted, counted from the left; None means all of them."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(ndim))
    listed = (dim,) if isinstance(dim, int) else dim
    dims = tuple(sorted(one_dim(op, each, ndim) for each in listed))
    if len(set(dims)) < len(dims):
        location = user_location()
        raise DimensionError(
            f"{op}: dim {tuple(listed)} names a dimension twice",
            cure="name each dimension once",
            location=str(location) if location else "",
            op=op,
        )
    return dims if ndim else ()
