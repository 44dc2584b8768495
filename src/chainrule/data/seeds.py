"""The random numbers of data loading: where their seeds come from, and how a state is kept.

Orders and augmentations are drawn by NumPy generators, which make a permutation of a large set in
a millisecond and whose state is small. Their seeds come from the library's own generator.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from chainrule.errors import ConfigError
from chainrule.ops.generator import Generator
from chainrule.ops.random import randint

Seed = np.random.Generator | Generator | int | None

__all__ = ["Seed", "generator_state", "make_generator", "restore_generator"]


def make_generator(seed: Seed) -> np.random.Generator:
    """A NumPy generator from what a `generator=` argument was given.

    A NumPy generator is taken as it is. A non-negative int is its seed. With None the seed is drawn
    from the library's default generator, so that `manual_seed` governs the order of the data too;
    with a `chainrule.Generator` it is drawn from that one.

    Raises:
        ConfigError: the seed is none of these, or negative.

    >>> make_generator(0).permutation(4).tolist() == make_generator(0).permutation(4).tolist()
    True
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None or isinstance(seed, Generator):
        seed = int(randint(0, 1 << 62, (1,), generator=seed).item())
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"generator is {seed!r}: {error}",
            cure="give a non-negative int, a chainrule.Generator or a numpy.random.Generator",
        ) from error


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """The generator's state in plain Python values, so that JSON can hold it.

    >>> generator_state(make_generator(0))["bit_generator"]
    'PCG64'
    """
    return _plain(generator.bit_generator.state)


def restore_generator(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Put back what `generator_state` gave.

    Raises:
        ConfigError: the state is not one of this kind of generator.

    >>> generator = make_generator(0)
    >>> state, first = generator_state(generator), generator.random()
    >>> restore_generator(generator, state)
    >>> generator.random() == first
    True
    """
    try:
        generator.bit_generator.state = state
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise ConfigError(
            f"a random generator's state does not fit: {error}",
            cure="load it into a loader that was made with the same kind of generator",
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _plain(item) for key, item in items}
    if isinstance(value, np.ndarray | np.generic):
        return cast("Any", value).tolist()
    return value
