"""`Generator`: who holds the state of a stream of random numbers, and moves it on.

The state is a tensor, int64 (seed, offset), and it is moved on by ops. So a traced training step
takes its generator along as state: each run of the compiled step draws fresh numbers, the same ones
that the eager step would have drawn.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.dtypes import int64
from chainrule.core.interpret import bind, lift, prepare, read
from chainrule.core.location import user_location
from chainrule.core.op import Array, Op, Sample
from chainrule.core.types import TensorType
from chainrule.errors import ConfigError, ShapeError
from chainrule.ops.create import check_device
from chainrule.ops.movement import clone
from chainrule.ops.philox import GROUP

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = [
    "Generator",
    "default_generator",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]

_FIRST_SEED = 67280421310721  # PyTorch's: without manual_seed, every run draws the same numbers
_lock = threading.Lock()


class Advance(Op):
    """y = the state after a draw: (seed, offset + groups).

    Attributes:
        groups: how many groups of 64 words were drawn.
    """

    groups: int
    differentiable = False

    @staticmethod
    def samples(op: type[Any]) -> Iterator[Sample]:
        """A few groups on."""
        yield Sample(op(5), (np.array([42, 3], np.int64),), smooth=False)

    def type_rule(self, state: TensorType) -> TensorType:
        """The state's type."""
        return state

    def reference(self, state: Array) -> Array:
        """The second number grows."""
        return state + np.array([0, self.groups], np.int64)


class Generator:
    """A stream of random numbers: a seed, and how far it has been read.

    >>> import chainrule
    >>> one, same = chainrule.Generator().manual_seed(7), chainrule.Generator().manual_seed(7)
    >>> a, b = chainrule.rand(3, generator=one), chainrule.rand(3, generator=same)
    >>> a.tolist() == b.tolist()
    True

    Args:
        device: `"cpu"`, the only one there is.
    """

    def __init__(self, device: str = "cpu") -> None:
        check_device(device)
        self.device = "cpu"
        self._state: Tensor | None = None

    @property
    def state(self) -> Tensor:
        """The state itself, an int64 tensor (seed, offset); draws write to it.

        >>> import chainrule
        >>> chainrule.Generator().manual_seed(7).state
        tensor([7, 0])
        """
        known = self._state
        if known is None:
            fresh: Tensor = prepare(_fresh, _FIRST_SEED)
            known = self._state = fresh
        return known

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of a seed; any integer of 64 bits, signed or not.

        Raises:
            ConfigError: it does not fit into 64 bits.

        >>> import chainrule
        >>> chainrule.Generator().manual_seed(-1).initial_seed() == 2**64 - 1
        True
        """
        if not -(1 << 63) <= int(seed) < 1 << 64:
            raise ConfigError(
                f"manual_seed: {seed} does not fit into 64 bits",
                cure="pass an integer from -2**63 to 2**64 - 1",
                location=str(user_location() or ""),
            )
        with _lock:
            self.state.put_(_fresh(int(seed)), "manual_seed")
        return self

    def seed(self) -> int:
        """Start the stream of a seed that nobody knows, from the system; return it.

        >>> import chainrule
        >>> generator = chainrule.Generator()
        >>> generator.seed() == generator.initial_seed()
        True
        """
        unknown = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(unknown)
        return unknown

    def initial_seed(self) -> int:
        """The seed of the stream, from 0 to 2⁶⁴ - 1.

        >>> import chainrule
        >>> chainrule.Generator().manual_seed(7).initial_seed()
        7
        """
        return int(read(self.state)[0]) % (1 << 64)

    def get_state(self) -> Tensor:
        """A copy of the state, int64 (seed, offset): enough to go on from here another day.

        PyTorch's is a long array of bytes, as its generator is another.

        >>> import chainrule
        >>> generator = chainrule.Generator().manual_seed(7)
        >>> _ = chainrule.rand(100, generator=generator)  # two groups of 64 words
        >>> generator.get_state()
        tensor([7, 2])
        """
        return clone(self.state)

    def set_state(self, new_state: Tensor) -> None:
        """Go on from a state that `get_state` gave.

        Raises:
            ShapeError: it is not int64 of two elements.

        >>> import chainrule
        >>> generator = chainrule.Generator().manual_seed(7)
        >>> state, first = generator.get_state(), chainrule.rand(2, generator=generator)
        >>> generator.set_state(state)
        >>> chainrule.rand(2, generator=generator).equal(first)
        True
        """
        if new_state.shape != (2,) or new_state.dtype is not int64:
            raise ShapeError(
                f"set_state: a state is i64[2], not {new_state.type}",
                cure="pass what get_state() returned",
                location=str(user_location() or ""),
            )
        with _lock:
            self.state.put_(new_state, "set_state")


def _fresh(seed: int) -> Tensor:
    signed = (seed + (1 << 63)) % (1 << 64) - (1 << 63)
    return lift(np.array([signed, 0], np.int64))


default_generator = Generator()
"""The one that draws when no other is named."""


def draw_state(words: int, generator: Generator | None = None) -> Tensor:
    """A copy of the generator's state to draw `words` words from; the generator moves past them."""
    state = (default_generator if generator is None else generator).state
    with _lock:  # two threads must not draw the same numbers
        now = clone(state)
        state.put_(bind(Advance(-(-words // GROUP)), now), "draw")
    return now


def manual_seed(seed: int) -> Generator:
    """Seed the default generator; return it.

    >>> import chainrule
    >>> first = chainrule.manual_seed(0) and chainrule.rand(2)
    >>> again = chainrule.manual_seed(0) and chainrule.rand(2)
    >>> first.tolist() == again.tolist()
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator with a number that nobody knows; return it.

    >>> import chainrule
    >>> before = chainrule.get_rng_state()
    >>> chainrule.seed() == chainrule.initial_seed()
    True
    >>> chainrule.set_rng_state(before)
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator.

    >>> import chainrule
    >>> chainrule.manual_seed(7).initial_seed() == chainrule.initial_seed()
    True
    """
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """A copy of the default generator's state.

    >>> import chainrule
    >>> _ = chainrule.manual_seed(7)
    >>> chainrule.get_rng_state()
    tensor([7, 0])
    """
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the default generator's state.

    >>> import chainrule
    >>> state = chainrule.get_rng_state()
    >>> first = chainrule.rand(2)
    >>> chainrule.set_rng_state(state)
    >>> chainrule.rand(2).equal(first)
    True
    """
    default_generator.set_state(new_state)
