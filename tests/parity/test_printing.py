"""Tensors are printed as PyTorch prints them, character by character."""

import re

import numpy as np
import pytest

import chainrule

torch = pytest.importorskip("torch")

INF, NAN = float("inf"), float("nan")
RNG = np.random.default_rng(5)
ARRAYS = {
    "scalar": np.float32(2.5),
    "whole": np.array([1, 2, 300], np.float32),
    "fractions": np.array([[1, 2], [3.5, -4]], np.float32),
    "not finite": np.array([1.5, INF, -INF, NAN], np.float32),
    "whole and not finite": np.array([1, INF, NAN], np.float32),
    "only nan": np.array([NAN, NAN], np.float32),
    "zeros": np.zeros((2, 3), np.float32),
    "negative zero": np.array([0.0, -0.0, 1.5], np.float32),
    "a wide range": np.array([1e-3, 1, 1e4], np.float32),
    "whole, a wide range": np.array([1, 1e6], np.float32),
    "large": np.array([1e9, 2e9], np.float32),
    "small": np.array([1e-5, 2e-5], np.float32),
    "float64": np.array([0.1, 1 / 3]),
    "float16": np.array([0.1, 6.5e4], np.float16),
    "int64": np.array([[1, -20], [300, 4]]),
    "int32": np.arange(5, dtype=np.int32),
    "uint8": np.array([255, 0], np.uint8),
    "bool": np.array([[True, False], [False, False]]),
    "bool scalar": np.bool_(True),
    "empty": np.zeros((0,), np.float32),
    "empty matrix": np.zeros((0, 3), np.float32),
    "empty int64": np.zeros((2, 0), np.int64),
    "three dimensions": RNG.normal(size=(2, 3, 4)).astype(np.float32),
    "four dimensions": np.arange(16).reshape(2, 2, 2, 2),
    "long lines": RNG.normal(size=(2, 30)).astype(np.float32),
    "long vector": np.arange(100),
    "summary of a vector": np.arange(2000, dtype=np.float32),
    "summary of a matrix": RNG.normal(size=(50, 40)).astype(np.float32),
    "summary with a short side": RNG.normal(size=(400, 5)).astype(np.float32),
    "summary of four dimensions": RNG.normal(size=(8, 8, 8, 8)),
    "just no summary": np.arange(1000),
    "strided": np.arange(24, dtype=np.float32).reshape(4, 6).T[::2],
}


def translated(text: str) -> str:
    return text.replace("torch.", "chainrule.")


def unbroken(text: str) -> str:
    """Without the line break before a dtype: `chainrule.uint8` is longer than `torch.uint8`."""
    return re.sub(r",\s+dtype=", ", dtype=", text)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precision": 2},
        {"sci_mode": True},
        {"sci_mode": False},
        {"linewidth": 40},
        {"threshold": 3, "edgeitems": 1},
        {"profile": "short"},
        {"profile": "full"},
    ],
    ids=str,
)
def test_repr(name: str, options: dict[str, object]):
    array = np.asarray(ARRAYS[name])
    if options.get("profile") == "full" and array.size > 2000:
        pytest.skip("takes long to print in PyTorch")
    try:
        chainrule.set_printoptions(**options)
        torch.set_printoptions(**options)
        ours, theirs = repr(chainrule.tensor(array)), translated(repr(torch.tensor(array)))
        assert unbroken(ours) == unbroken(theirs)
    finally:
        chainrule.set_printoptions(profile="default")
        torch.set_printoptions(profile="default")


def test_random_numbers_of_all_sizes():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        shape = tuple(rng.integers(1, 6, size=rng.integers(0, 4)))
        array = rng.normal(size=shape) * 10.0 ** rng.integers(-6, 9)
        array = np.asarray(array.round(int(rng.integers(0, 4))), rng.choice(["f4", "f8"]))
        ours, theirs = repr(chainrule.tensor(array)), translated(repr(torch.tensor(array)))
        assert unbroken(ours) == unbroken(theirs)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.tensor([1.0, 2.0], requires_grad=True),
        lambda t: t.ones(3, requires_grad=True) * 2,
        lambda t: t.ones(20, requires_grad=True).exp(),
        lambda t: t.ones(3, 3, dtype=t.float64, requires_grad=True).sum(),
        lambda t: t.ones(11, dtype=t.float64, requires_grad=True) + 0.123,
    ],
)
def test_what_the_tape_knows_is_printed(make):
    assert repr(make(chainrule)) == translated(repr(make(torch)))


def test_the_default_dtype_is_not_printed():
    for library in (chainrule, torch):
        library.set_default_dtype(library.float64)
    try:
        for make in (lambda t: t.ones(2), lambda t: t.ones(2, dtype=t.float32)):
            assert repr(make(chainrule)) == translated(repr(make(torch)))
    finally:
        for library in (chainrule, torch):
            library.set_default_dtype(library.float32)


@pytest.mark.parametrize("spec", ["", ".3f", "8.2f", "e"])
def test_format_of_a_scalar(spec: str):
    assert format(chainrule.tensor(2.5), spec) == format(torch.tensor(2.5), spec)


def test_format_of_others():
    assert f"{chainrule.ones(2)}" == f"{torch.ones(2)}"
    assert str(chainrule.ones(2)) == str(torch.ones(2))


@pytest.mark.parametrize("shapes", [[], [(2,)], [(2,), (), (2, 3)]])
def test_lists_of_parameters_agree(shapes):
    texts = []
    for library in (chainrule, torch):
        outer = library.nn.Module()
        outer.inner = library.nn.ParameterList([library.zeros(shape) for shape in shapes])
        texts.append(f"{outer!r}{outer.inner!r}".replace("torch.float", "float"))
    assert texts[0] == texts[1]
