"""What a tensor is, without its elements: sizes, counts, bytes, kinds of dtype."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chainrule.core.axes import one_dim
from chainrule.core.dtypes import from_numpy_dtype
from chainrule.core.interpret import read
from chainrule.core.location import user_location
from chainrule.errors import ShapeError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "Size",
    "is_complex",
    "is_floating_point",
    "is_nonzero",
    "is_signed",
    "numel",
]

METHODS = ("data_ptr", "dim", "element_size", "ndimension", "nelement", "size")
"""Those that are methods only."""


class Size(tuple[int, ...]):
    """A shape: a tuple of sizes that knows their product. It prints as the tuple that it is."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this shape.

        >>> Size((2, 3)).numel()
        6
        """
        return math.prod(self)


def numel(input: Tensor) -> int:
    """The number of elements.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).numel(), chainrule.tensor(5).numel()
    (6, 1)
    """
    return math.prod(input.value.shape)


def nelement(input: Tensor) -> int:
    """Another name for `numel`.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).nelement()
    6
    """
    return math.prod(input.value.shape)


def size(input: Tensor, dim: int | None = None) -> Any:
    """The shape, or its size along one dimension.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).size(), chainrule.zeros(2, 3).size(-1)
    ((2, 3), 3)
    """
    shape = input.value.shape
    return Size(shape) if dim is None else shape[one_dim("size", dim, len(shape))]


def dim(input: Tensor) -> int:
    """The number of dimensions.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).dim(), chainrule.tensor(5).dim()
    (2, 0)
    """
    return len(input.value.shape)


def ndimension(input: Tensor) -> int:
    """Another name for `dim`.

    >>> import chainrule
    >>> chainrule.zeros(2, 3).ndimension()
    2
    """
    return len(input.value.shape)


def element_size(input: Tensor) -> int:
    """Bytes per element.

    >>> import chainrule
    >>> chainrule.tensor([1]).element_size(), chainrule.tensor([True]).element_size()
    (8, 1)
    """
    return input.value.dtype.itemsize


def data_ptr(input: Tensor) -> int:
    """The address of its first element. A trace has none, and refuses.

    >>> import chainrule
    >>> x = chainrule.zeros(2)
    >>> x.view(2, 1).data_ptr() == x.data_ptr()  # the same memory
    True
    """
    return read(input).ctypes.data


def is_floating_point(input: Tensor) -> bool:
    """Whether its elements are floats: only such tensors have gradients.

    >>> import chainrule
    >>> chainrule.tensor([1.0]).is_floating_point(), chainrule.tensor([1]).is_floating_point()
    (True, False)
    """
    return input.value.dtype.kind == "f"


def is_complex(input: Tensor) -> bool:
    """Always False: there are no complex dtypes here.

    >>> import chainrule
    >>> chainrule.tensor([1.0]).is_complex()
    False
    """
    return False


def is_signed(input: Tensor) -> bool:
    """Whether its dtype holds negative numbers.

    >>> import chainrule
    >>> chainrule.tensor([1]).is_signed(), chainrule.tensor([1]).byte().is_signed()
    (True, False)
    """
    return from_numpy_dtype(input.value.dtype).is_signed


def is_nonzero(input: Tensor) -> bool:
    """Whether its one element is not zero.

    Raises:
        ShapeError: there is not exactly one element.

    >>> import chainrule
    >>> chainrule.tensor([[0.5]]).is_nonzero()
    True
    """
    if math.prod(input.value.shape) != 1:
        raise ShapeError(
            f"the truth of a tensor of {math.prod(input.value.shape)} elements is ambiguous",
            cure="ask for one with .any(), .all() or an index",
            location=str(user_location() or ""),
        )
    return bool(read(input).item())
