"""Second names: each does what NumPy's function of that name does."""

from typing import Any

import numpy as np
import pytest

import chainrule

A = np.array([[0.25, -0.5, 0.75], [0.1, 0.9, -0.3]])
B = np.array([[0.5, 0.5, -0.25], [0.1, -0.9, 0.3]])
ABOVE_1 = np.array([1.0, 1.5, 4.0])
STEPS = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
CUBE = np.arange(24.0).reshape(2, 3, 4)
ROWS, VECTORS = [A, B], [A[0], B[0], A[1]]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *[(name, (A,)) for name in ("absolute", "arccos", "arcsin", "arcsinh", "arctan")],
        *[(name, (A,)) for name in ("arctanh", "negative", "ravel", "fliplr", "flipud")],
        ("arccosh", (ABOVE_1,)),
        ("arctan2", (A, B)),
        ("true_divide", (A, B)),
        ("divide", (A, B)),
        ("multiply", (A, B)),
        ("subtract", (A, B)),
        *[(name, (A, B)) for name in ("greater", "greater_equal", "less", "less_equal")],
        ("not_equal", (A, B)),
        ("minimum", (A, B)),
        ("maximum", (A, B)),
        ("copysign", (A, B)),
        ("fix", (STEPS * 1.75,)),
        ("heaviside", (STEPS, np.full(5, 0.25))),
        ("clip", (A, -0.2, 0.5)),
        ("count_nonzero", (STEPS,)),
        ("vdot", (A[0], B[0])),
        ("inner", (A, B)),
        ("inner", (np.array(3.0), A)),
        ("swapaxes", (CUBE, 0, 2)),
        ("moveaxis", (CUBE, 0, -1)),
        ("broadcast_to", (A[0], (4, 3))),
        ("rot90", (CUBE, 1)),
        ("rot90", (CUBE, 2, (1, 2))),
        ("rot90", (CUBE, -1, (0, 2))),
        ("rot90", (CUBE, 4)),
        ("trace", (A[:, :2],)),
        ("diag", (A, 1)),
        ("diag", (A[0], -1)),
        ("concatenate", (ROWS, 1)),
        ("hstack", (ROWS,)),
        ("hstack", (VECTORS,)),
        ("vstack", (ROWS,)),
        ("vstack", (VECTORS,)),
        ("dstack", (ROWS,)),
        ("dstack", (VECTORS,)),
        ("atleast_1d", (np.array(2.0),)),
        ("atleast_2d", (np.array(2.0),)),
        ("atleast_2d", (A[0],)),
        ("atleast_2d", (CUBE,)),
        ("atleast_3d", (np.array(2.0),)),
        ("atleast_3d", (A[0],)),
        ("atleast_3d", (A,)),
        ("atleast_3d", (CUBE,)),
    ],
)
def test_a_name_of_numpys_does_what_it_does_there(name: str, arguments: tuple[Any, ...]) -> None:
    def lifted(x: Any) -> Any:
        if isinstance(x, list):
            return [lifted(each) for each in x]
        return chainrule.tensor(x) if isinstance(x, np.ndarray) else x

    mine = getattr(chainrule, name)(*map(lifted, arguments)).numpy()
    expected = np.asarray(getattr(np, name)(*arguments))
    assert mine.shape == expected.shape
    np.testing.assert_allclose(mine, expected, rtol=1e-12)


def test_other_names_for_the_same() -> None:
    x, y = chainrule.tensor(CUBE), chainrule.tensor(A)
    pairs = [
        (chainrule.concat([y, y]), chainrule.cat([y, y])),
        (chainrule.swapdims(x, 0, 1), chainrule.transpose(x, 0, 1)),
        (x.adjoint(), x.mT),
        (y.expand_as(chainrule.zeros(5, 2, 3)), y.expand(5, 2, 3)),
        (y.reshape_as(chainrule.zeros(3, 2)), y.reshape(3, 2)),
        (y.view_as(chainrule.zeros(3, 2)), y.view(3, 2)),
        (chainrule.subtract(y, y * 2, alpha=3), y - y * 2 * 3),
        (chainrule.divide(y, 0.2, rounding_mode="floor"), y // 0.2),
        (y.t(), y.T),
    ]
    for one, other in pairs:
        assert one.shape == other.shape
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_part_behind_the_point_has_the_sign_of_the_whole() -> None:
    x = chainrule.tensor([2.75, -2.75, 3.0])
    assert chainrule.frac(x).tolist() == [0.75, -0.75, 0]


def test_max_and_min_of_two_tensors_are_those_of_each_pair() -> None:
    a, b = chainrule.tensor([1, 5]), chainrule.tensor([3, 2])
    assert chainrule.max(a, b).tolist() == [3, 5]
    assert chainrule.min(a, b).tolist() == [1, 2]


def test_least_and_greatest_together() -> None:
    found = chainrule.aminmax(chainrule.tensor(A), dim=1, keepdim=True)
    np.testing.assert_array_equal(found.min.numpy(), A.min(1, keepdims=True))
    np.testing.assert_array_equal(found.max.numpy(), A.max(1, keepdims=True))
    whole = chainrule.tensor(A).aminmax()
    assert (whole.min.item(), whole.max.item()) == (-0.5, 0.9)
