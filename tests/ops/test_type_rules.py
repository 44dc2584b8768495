"""What an op refuses by itself: whoever binds one directly has no function in front to check."""

from typing import Any

import pytest

from chainrule.core.dtypes import float32, float64, int64
from chainrule.core.types import TensorType
from chainrule.errors import ChainruleError, DTypeError, ShapeError
from chainrule.nn.functional.regression_losses import MseLoss
from chainrule.ops.arithmetic import Add
from chainrule.ops.compare import KeepWhere, Where
from chainrule.ops.gathering import OneHot, Scatter
from chainrule.ops.matmul import Matmul
from chainrule.ops.reduce import SumTo
from chainrule.ops.sliding import FirstTrue


def typed(*shape: int, dtype: Any = float32) -> TensorType:
    return TensorType(shape, dtype)


@pytest.mark.parametrize(
    ("op", "types", "error", "match"),
    [
        (Matmul(), (typed(3), typed(3)), ShapeError, r"two dimensions each: f32\[3\] @ f32\[3\]"),
        (Matmul(), (typed(2, 3), typed(3, 2, dtype=float64)), DTypeError, r"f32.* @ f64"),
        (Add(), (typed(2), typed(2, dtype=float64)), DTypeError, r"f32\[2\] and f64\[2\]"),
        (Add(), (typed(2), typed(3)), ShapeError, r"f32\[2\] and f32\[3\]"),
        (KeepWhere(), (typed(2), typed(2)), ChainruleError, r"f32\[2\] is no mask"),
        (Where(), (typed(2), typed(2), typed(2)), ChainruleError, "condition"),
        (Scatter(0), (typed(2, 3), typed(1, 2), typed(1, 3, dtype=int64)), ShapeError, r"\[1,2\]"),
        (OneHot(3), (typed(2),), DTypeError, r"f32\[2\]"),
        (SumTo((3,)), (typed(2, 4),), ShapeError, r"f32\[2,4\]"),
        (FirstTrue((0,)), (typed(2),), DTypeError, r"f32\[2\] is not bool"),
        (MseLoss("mean"), (typed(2), typed(2, dtype=float64)), DTypeError, r"f32\[2\], f64\[2\]"),
    ],
    ids=lambda each: each.name if hasattr(each, "name") else None,
)
def test_types_that_do_not_fit_are_named(
    op: Any, types: tuple[TensorType, ...], error: type[ChainruleError], match: str
) -> None:
    with pytest.raises(error, match=match):
        op.type_rule(*types)
