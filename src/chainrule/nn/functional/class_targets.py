"""Targets that are class indices: checked, turned into a mask, weighed.

A target names one class per *place*: per sample, or per pixel of a sample. In the input the classes
lie along dimension 1 (0 for a single sample), in the target that dimension is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from chainrule.core.dtypes import bool_, int64
from chainrule.core.families import Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Array, Op, Sample
from chainrule.core.types import TensorType
from chainrule.errors import DimensionError, DTypeError

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "ClassIndex",
    "along_classes",
    "check_index_types",
    "class_dim",
    "class_hits",
    "place_shape",
    "place_weights",
]


class ClassIndex(Unary):
    r"""y = x where it is a class, -1 where it is to be ignored, an error where it is neither.

    That is a look at values, which is why it is an op of its own: whoever interprets decides when.

    Attributes:
        classes: how many there are: 0 to classes - 1.
        ignore_index: what marks a place without a target; None where there is none such.
    """

    classes: int
    ignore_index: int | None = None
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """Nothing to ignore, something, a class to ignore, and no place at all."""
        yield Sample(op(3, -100), (np.array([0, 2, 1]),))
        yield Sample(op(3, -100), (np.array([[0, -100], [2, 1]]),))
        yield Sample(op(3, 0), (np.array([0, 2, 1]),))
        yield Sample(op(3), (np.array([2, 0]),))
        yield Sample(op(3, -100), (np.array([], np.int64),))

    def reference(self, x: Array) -> Array:
        """One maximum where all is well: as unsigned numbers, negative ones are huge."""
        ignore = self.ignore_index
        if ignore is None or not 0 <= ignore < self.classes:
            highest = np.maximum.reduce(x.view(np.uint64), axis=None, initial=0)
            if highest < self.classes or not x.size:
                return x.copy()  # no view: memory that is an op's own may be written into
        known = (x >= 0) & (x < self.classes)
        if ignore is not None:
            known |= x == ignore
        if not known.all():
            self._refuse(x, np.argwhere(~known)[0])
        return np.where(x == ignore, -1, x)

    def _refuse(self, x: Array, place: Array) -> NoReturn:
        first = tuple(int(i) for i in place)
        cure = f"class indices go from 0 to {self.classes - 1}: are there more classes than that?"
        if self.ignore_index is not None:
            cure += f" A place that is to be left out is marked with {self.ignore_index}."
        self.fail(
            f"the target{f' at {list(first)}' if first else ''} is {x[first]}, "
            f"and there are {self.classes} classes",
            cure=cure,
            error=DimensionError,
        )


class ClassMask(Op):
    r"""y[..., c, ...] = [x[...] = c]: the classes one-hot in a dimension of their own, as a mask.

    Attributes:
        classes: how many there are.
        dim: where they are to lie.
    """

    classes: int
    dim: int
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """The classes first, last, between; a place that is ignored, and none."""
        yield Sample(op(3, 0), (np.array(2),))
        yield Sample(op(3, 1), (np.array([0, 2, -1]),))
        yield Sample(op(3, 1), (np.array([[0, 1], [2, 1]]),))
        yield Sample(op(3, 1), (np.array([], np.int64),))

    def type_rule(self, x: TensorType) -> TensorType:
        """One more dimension, of bools."""
        return TensorType((*x.shape[: self.dim], self.classes, *x.shape[self.dim :]), bool_)

    def reference(self, x: Array) -> Array:
        """Each index against each class."""
        return self._among(x.shape)(x)

    def reference_for(self, *types: TensorType) -> Callable[[Array], Array]:
        """With the classes counted already."""
        return self._among(types[0].shape)

    def _among(self, shape: tuple[int, ...]) -> Callable[[Array], Array]:
        """The comparison, for indices of this shape."""
        before, after = shape[: self.dim], shape[self.dim :]
        classes = np.arange(self.classes).reshape(-1, *[1] * len(after))
        apart = (*before, 1, *after)
        return lambda x: x.reshape(apart) == classes


def class_dim(ndim: int) -> int:
    """Where the classes lie.

    >>> class_dim(1), class_dim(4)
    (0, 1)
    """
    return 1 if ndim > 1 else 0


def place_shape(x: TensorType) -> tuple[int, ...]:
    """The shape without the classes."""
    dim = class_dim(x.ndim)
    return x.shape[:dim] + x.shape[dim + 1 :]


def check_index_types(op: Op, x: TensorType, target: TensorType, *weight: TensorType) -> None:
    """The input has classes, the target a class per place, the weight a number per class."""
    types = (x, target, *weight)
    if x.ndim == 0:
        op.fail(f"the input {x} has no dimension of classes", types=types)
    classes = x.shape[class_dim(x.ndim)]
    if target.shape != place_shape(x):
        op.fail(
            f"the input {x} has {classes} classes in dimension {class_dim(x.ndim)}, so the target "
            f"has shape {list(place_shape(x))}, but it is {target}",
            cure=_shape_cure(x, target),
            types=types,
        )
    if target.dtype is not int64:
        op.fail(
            f"the target is {target}; class indices are integers",
            cure="convert it with .long(), or pass a probability for each class, in the shape "
            "of the input",
            error=DTypeError,
            types=types,
        )
    if weight and (weight[0].shape != (classes,) or weight[0].dtype is not x.dtype):
        op.fail(
            f"the weight is {weight[0]}; the input {x} takes {x.dtype.short}[{classes}]",
            cure="give one weight per class, in the input's dtype",
            types=types,
        )


def _shape_cure(x: TensorType, target: TensorType) -> str:
    if target.shape == (*place_shape(x), 1):
        return ".squeeze(-1) the target"
    if x.ndim > 2 and target.shape == x.shape[:-1]:
        return (
            f"the classes must lie in dimension 1: input.flatten(0, {x.ndim - 2}) with a "
            "target.flatten(), or .transpose(1, -1) the input"
        )
    return "give one class index per sample; or, in the input's shape, a probability per class"


def along_classes(places: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A number per place, made to broadcast along the classes of an input of `shape`.

    >>> import chainrule
    >>> along_classes(chainrule.ones(8, 5), (8, 10, 5)).shape
    (8, 1, 5)
    """
    if not places.shape and len(shape) > 1:
        return places
    dim = class_dim(len(shape))
    return places.reshape(*shape[:dim], 1, *shape[dim + 1 :])


def per_class(numbers: Tensor, ndim: int) -> Tensor:
    """A number per class, made to broadcast along the places."""
    return numbers if ndim <= 2 else numbers.reshape(-1, *[1] * (ndim - 2))


def class_hits(x: Tensor, target: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor]:
    """Checked indices, and a mask in the shape of x: whether this is the place's class.

    >>> import chainrule
    >>> scores, target = chainrule.zeros(2, 3), chainrule.tensor([2, -100])
    >>> class_hits(scores, target, ignore_index=-100)[1]
    tensor([[False, False,  True],
            [False, False, False]])
    """
    dim = class_dim(len(x.shape))
    classes = x.shape[dim]
    index = bind(ClassIndex(classes, ignore_index), target)
    return index, bind(ClassMask(classes, dim), index)


def place_weights(x: Tensor, index: Tensor, hits: Tensor, *weight: Tensor) -> Tensor:
    """What each place counts: its class's weight, or 1; nothing where it is ignored."""
    if not weight:
        return (index > -1).to(x.dtype)
    ndim = len(x.shape)
    numbers = per_class(weight[0], ndim).expand(x.shape)
    return numbers.where(hits, 0).sum(class_dim(ndim))
