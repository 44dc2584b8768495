"""The linear layer, y = x Wᵀ + b: one matrix product forward, two backward.

The derivation of the backward pass is `docs/derivations/linear.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule.core.coarse import CoarseOp
from chainrule.core.interpret import bind
from chainrule.core.op import Bars, Needs, Sample, Saves
from chainrule.core.samples import spread
from chainrule.core.types import TensorType
from chainrule.errors import DTypeError
from chainrule.nn.functional.half import apply_wide
from chainrule.ops.arithmetic import Add
from chainrule.ops.matmul import Matmul, matmul
from chainrule.ops.movement import Permute, Reshape
from chainrule.ops.reduce import Sum

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["bilinear", "linear"]

# A linear layer may be all that a small step does: these are made once, and bound directly.
_MATMUL = Matmul()
_ADD = Add()
_SWAP = Permute((1, 0))
_SUM_ROWS = Sum((0,))
_SAVES: dict[Needs, Saves] = {
    (x, weight): Saves(tuple(i for i, need in enumerate((weight, x)) if need))
    for x in (False, True)
    for weight in (False, True)
}


class Linear(CoarseOp):
    r"""y = x Wᵀ + b.    x_bar = y_bar W,  W_bar = y_barᵀ x,  b_bar = Σ y_bar over the rows

    Attributes:
        bias: whether there is a b; it is the third input.
    """

    bias: bool

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """One row, several, several axes of rows, and none; with and without bias."""
        weight, bias = spread((2, 3), -1, 1, seed=1), spread((2,), -1, 1, seed=2)
        for shape in ((3,), (4, 3), (2, 3, 3), (0, 3)):
            yield Sample(op(True), (spread(shape, -1, 1), weight, bias))
        yield Sample(op(False), (spread((4, 3), -1, 1), weight))
        yield Sample(op(False), (spread((3, 4), -1, 1).T, spread((3, 2), -1, 1, seed=3).T))

    def type_rule(self, x: TensorType, weight: TensorType, *bias: TensorType) -> TensorType:
        """(..., in) and (out, in) give (..., out)."""
        types = (x, weight, *bias)
        if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
            self._misfit(x, weight, types)
        if bias and bias[0].shape != weight.shape[:1]:
            self.fail(
                f"the bias is {bias[0]}, the weight {weight} has {weight.shape[0]} outputs",
                cure=f"a bias of shape [{weight.shape[0]}] fits this weight",
                types=types,
            )
        if any(each.dtype is not weight.dtype for each in types):
            self.fail(
                "dtypes differ: " + ", ".join(map(str, types)),
                cure=f"convert the input with .to({weight.dtype}), or the layer's parameters",
                error=DTypeError,
                types=types,
            )
        return TensorType((*x.shape[:-1], weight.shape[0]), weight.dtype)

    def _misfit(self, x: TensorType, weight: TensorType, types: tuple[TensorType, ...]) -> None:
        if weight.ndim != 2:
            self.fail(
                f"the weight {weight} is not a matrix",
                cure="a weight has shape [out_features, in_features]",
                types=types,
            )
        given = f"{x} has {x.shape[-1]}" if x.ndim else f"the scalar {x} has no"
        hint = (
            "the weight looks transposed: it is stored as [out_features, in_features]"
            if x.ndim and x.shape[-1] == weight.shape[0]
            else f".flatten(1) the input first? Its samples have {math.prod(x.shape[1:])} elements"
            if x.ndim > 2 and math.prod(x.shape[1:]) == weight.shape[1]
            else f"the last dimension of the input must be {weight.shape[1]}"
        )
        self.fail(
            f"{given} features in its last dimension, the weight {weight} takes {weight.shape[1]}",
            cure=hint,
            types=types,
        )

    def saves_for(self, needs: Needs) -> Saves:
        """x for the cotangent of the weight, the weight for that of x; the bias for none."""
        return _SAVES[needs[:2]]

    def forward(self, x: Tensor, weight: Tensor, *bias: Tensor) -> tuple[Tensor, tuple[()]]:
        """x Wᵀ + b, with the leading dimensions of x as rows."""
        y = bind(_MATMUL, _rows(x), bind(_SWAP, weight))
        if bias:
            y = bind(_ADD, y, bias[0])
        if len(x.shape) != 2:
            y = bind(Reshape((*x.shape[:-1], weight.shape[0])), y)
        return y, ()

    def backward(
        self,
        y_bar: Tensor,
        y: Any,
        residuals: tuple[()],
        x: Any,
        weight: Any,
        *bias: Any,
        needs: Needs,
    ) -> Bars:
        """x_bar = y_bar W,  W_bar = y_barᵀ x,  b_bar = Σ y_bar."""
        y_bar = _rows(y_bar)
        x_bar = weight_bar = None
        if needs[0]:
            x_bar = bind(_MATMUL, y_bar, weight)
            if len(x.shape) != 2:
                x_bar = bind(Reshape(x.shape), x_bar)
        if needs[1]:
            weight_bar = bind(_MATMUL, bind(_SWAP, y_bar), _rows(x))
        if not bias:
            return x_bar, weight_bar
        return x_bar, weight_bar, bind(_SUM_ROWS, y_bar) if needs[2] else None


def _rows(x: Tensor) -> Tensor:
    """The leading dimensions as one; a matrix as it is."""
    shape = x.shape
    if len(shape) == 2:
        return x
    return bind(Reshape((math.prod(shape[:-1]), shape[-1])), x)


_WITH_BIAS = Linear(True)
_WITHOUT_BIAS = Linear(False)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The affine map of every row: y = x Wᵀ + b.

    Shapes:
        input (..., in), weight (out, in), bias (out): the result is (..., out). A weight of shape
        (in) with a bias of one element gives (...), as in PyTorch.

    Raises:
        ShapeError: the sizes do not fit.
        DTypeError: the dtypes differ; nothing is converted silently here.

    float16 is computed in float32.

    >>> import chainrule
    >>> from chainrule.nn import functional as F
    >>> x, weight = chainrule.tensor([[1.0, 2.0, 3.0]]), chainrule.ones(2, 3)
    >>> F.linear(x, weight, chainrule.tensor([0.0, 10.0]))
    tensor([[ 6., 16.]])
    """
    if len(weight.value.shape) == 1:
        product = matmul(input, weight)
        return product if bias is None else product + bias
    if input.value.dtype.itemsize == 2:
        more = () if bias is None else (bias,)
        return apply_wide(Linear(bias is not None), input, weight, *more)
    if bias is None:
        return bind(_WITHOUT_BIAS, input, weight)
    return bind(_WITH_BIAS, input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A form of two inputs: y[k] = x1ᵀ W[k] x2 + b[k].

    Shapes:
        input1 (..., in1), input2 (..., in2), weight (out, in1, in2), bias (out): (..., out).
    """
    out, in1, in2 = _bilinear_sizes(input1, input2, weight)
    left = linear(input1, weight.permute(0, 2, 1).reshape(out * in2, in1))
    left = left.reshape(*left.shape[:-1], out, in2)
    y = (left * input2.reshape(*input2.shape[:-1], 1, in2)).sum(-1)
    return y if bias is None else y + bias


def _bilinear_sizes(x1: Tensor, x2: Tensor, weight: Tensor) -> tuple[int, int, int]:
    fits = (
        len(weight.shape) == 3
        and x1.shape[-1:] == weight.shape[1:2]
        and x2.shape[-1:] == weight.shape[2:]
        and x1.shape[:-1] == x2.shape[:-1]
    )
    if not fits:
        _WITHOUT_BIAS.fail(
            f"a bilinear form of {x1.type} and {x2.type} does not fit the weight {weight.type}",
            cure="the weight is [out, in1, in2]; the inputs are [..., in1] and [..., in2] and "
            "agree in all but the last dimension",
            types=[x1.type, x2.type, weight.type],
        )
    out, in1, in2 = weight.shape
    return out, in1, in2
