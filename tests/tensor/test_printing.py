"""How tensors print: PyTorch's text, with the options that it has."""

from collections.abc import Iterator

import pytest

import chainrule as cr
from chainrule.errors import ConfigError


@pytest.fixture(autouse=True)
def _usual_options_afterwards() -> Iterator[None]:
    yield
    cr.set_printoptions(profile="default")


SMALL = cr.tensor([1e-5, 1.0])
LONG = cr.arange(2000.0).reshape(2, 1000)


@pytest.mark.parametrize(
    ("options", "x", "text"),
    [
        ({}, cr.zeros(0), "tensor([])"),
        ({}, cr.zeros(0, 3), "tensor([], size=(0, 3))"),
        ({}, cr.zeros(0, dtype=cr.int64), "tensor([], dtype=chainrule.int64)"),
        ({}, SMALL, "tensor([1.0000e-05, 1.0000e+00])"),
        ({}, cr.arange(10), "tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])"),
        (
            {"precision": 2, "linewidth": 30},
            cr.arange(10),
            "tensor([0, 1, 2, 3, 4, 5, 6,\n        7, 8, 9])",
        ),
        ({"sci_mode": False}, SMALL, "tensor([0.0000, 1.0000])"),
        ({"sci_mode": True, "precision": 2}, cr.tensor([12.5]), "tensor([1.25e+01])"),
        ({"profile": "short"}, cr.tensor([1.23456, 2.0]), "tensor([1.23, 2.00])"),
        (
            {"profile": "short"},
            LONG,
            "tensor([[0.00e+00, 1.00e+00,  ..., 9.98e+02, 9.99e+02],\n"
            "        [1.00e+03, 1.00e+03,  ..., 2.00e+03, 2.00e+03]])",
        ),
        (
            {"edgeitems": 1, "threshold": 5},
            cr.arange(12.0).reshape(3, 4),
            "tensor([[ 0.,  ...,  3.],\n        ...,\n        [ 8.,  ..., 11.]])",
        ),
        ({"edgeitems": 0, "threshold": 5}, LONG, "tensor([...], size=(2, 1000))"),
        ({"edgeitems": 0, "threshold": 5}, cr.arange(10), "tensor([...], size=(10,))"),
        ({"edgeitems": 0}, cr.tensor([2]), "tensor([2], size=(1,))"),
    ],
)
def test_text_follows_the_options(options, x: cr.Tensor, text: str) -> None:
    cr.set_printoptions(**options)
    assert repr(x) == text


def test_a_full_print_leaves_nothing_out() -> None:
    assert "..." in repr(cr.arange(3000))
    cr.set_printoptions(profile="full")
    text = repr(cr.arange(3000))
    assert "..." not in text
    assert eval(text, {"tensor": list}) == list(range(3000))


def test_what_made_it_comes_last_and_goes_on_a_line_of_its_own_where_there_is_no_room() -> None:
    x = cr.tensor([1.5], requires_grad=True)
    assert repr(x) == "tensor([1.5000], requires_grad=True)"
    assert repr(x * 2) == "tensor([3.], grad_fn=<MulBackward0>)"
    cr.set_printoptions(linewidth=30)
    assert repr(x * 2) == "tensor([3.],\n       grad_fn=<MulBackward0>)"


def test_options_that_are_not_given_stay_and_a_profile_replaces_them_all() -> None:
    cr.set_printoptions(precision=1)
    cr.set_printoptions(linewidth=40)
    assert repr(cr.tensor([1.25])) == "tensor([1.2])"
    cr.set_printoptions(profile="default")
    assert repr(cr.tensor([1.25])) == "tensor([1.2500])"
    with pytest.raises(ConfigError, match="'wide'") as raised:
        cr.set_printoptions(profile="wide")
    assert "'short'" in raised.value.cure
