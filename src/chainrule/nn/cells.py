"""The cells of recurrent networks: RNNCell, LSTMCell and GRUCell, each one step of its kind.

They are made of linear layers and activations, and so are differentiated by the tape. The networks
that run them along a sequence are in `recurrent.py`, and take the formulas from here.

`x` is the input of a step, `h` the state before it; `i`, `f`, `g`, `o` and `r`, `z`, `n` are gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from chainrule.core.dtypes import DType
from chainrule.core.location import user_location
from chainrule.errors import ConfigError
from chainrule.nn import functional as F
from chainrule.nn import init
from chainrule.nn.module import Module
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import zeros
from chainrule.tensor import Tensor

__all__ = [
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "Weights",
    "activation_of",
    "gru_step",
    "lstm_step",
    "rnn_step",
]

Weights = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
"""Of input and state (weight_ih, weight_hh), and the biases of both."""


def rnn_step(x: Tensor, h: Tensor, weights: Weights, activation: Callable[..., Tensor]) -> Tensor:
    """h' = tanh(W x + b + U h + c)."""
    w_ih, w_hh, b_ih, b_hh = weights
    return activation(F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh))


def lstm_step(x: Tensor, h: Tensor, c: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """c' = σ(f) c + σ(i) tanh(g),  h' = σ(o) tanh(c'),  where i, f, g, o are linear in x and h."""
    w_ih, w_hh, b_ih, b_hh = weights
    gates = F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh)
    i, f, g, o = gates.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(x: Tensor, h: Tensor, weights: Weights) -> Tensor:
    """h' = (1 - z) n + z h,  n = tanh(n_x + r n_h),  where r and z are sigmoids of x and h."""
    w_ih, w_hh, b_ih, b_hh = weights
    r_x, z_x, n_x = F.linear(x, w_ih, b_ih).chunk(3, -1)
    r_h, z_h, n_h = F.linear(h, w_hh, b_hh).chunk(3, -1)
    r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
    n = (n_x + r * n_h).tanh()
    return (1 - z) * n + z * h


def activation_of(name: str) -> Callable[..., Tensor]:
    """What `nonlinearity` names; a `ConfigError` if it names nothing.

    >>> activation_of("relu") is F.relu
    True
    """
    if name not in ("tanh", "relu"):
        raise ConfigError(
            f"RNN: nonlinearity is {name!r}",
            cure="pass 'tanh' or 'relu'",
            location=str(user_location() or ""),
        )
    return F.tanh if name == "tanh" else F.relu


class Recurrent(Module):
    """Parameters of one or many cells, all drawn from U(-k, k) with k = 1/√hidden_size."""

    gates: ClassVar[int]

    def _add_cell(self, suffix: str, inputs: int, hidden: int, bias: bool, given: Any) -> None:
        rows = self.gates * hidden
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs)}
        shapes["weight_hh"] = (rows, hidden)
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            wanted = bias or not name.startswith("bias")
            if wanted or not suffix:  # a cell without biases has None in their place
                made = Parameter(zeros(shape, **given)) if wanted else None
                self.register_parameter(name + suffix, made)

    def _draw(self, hidden: int) -> None:
        bound = 1 / math.sqrt(hidden) if hidden > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _weights(self, suffix: str) -> Weights:
        own = self._parameters
        w_ih, w_hh = own[f"weight_ih{suffix}"], own[f"weight_hh{suffix}"]
        assert w_ih is not None
        assert w_hh is not None
        return w_ih, w_hh, own.get(f"bias_ih{suffix}"), own.get(f"bias_hh{suffix}")


class _Cell(Recurrent):
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self._add_cell("", input_size, hidden_size, bias, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all anew."""
        self._draw(self.hidden_size)

    def _blank(self, input: Tensor) -> Tensor:
        return zeros((*input.shape[:-1], self.hidden_size), dtype=input.dtype)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of an Elman network: h' = tanh(W x + b + U h + c).

    Shapes:
        x (B, input_size), h (B, hidden_size); or without B.

    Args:
        input_size: numbers in x.
        hidden_size: numbers in h.
        bias: False leaves b and c out.
        nonlinearity: "tanh", or "relu".
        device: "cpu" or None.
        dtype: of the parameters.

    >>> import chainrule
    >>> from chainrule import nn
    >>> cell, h = nn.RNNCell(4, 8), chainrule.zeros(2, 8)
    >>> for x in chainrule.randn(5, 2, 4):
    ...     h = cell(x, h)
    >>> h.shape
    (2, 8)
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity
        activation_of(nonlinearity)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The state after the step; `hx` is zero unless given."""
        h = self._blank(input) if hx is None else hx
        return rnn_step(input, h, self._weights(""), activation_of(self.nonlinearity))

    def extra_repr(self) -> str:
        """The sizes, and the nonlinearity that is not the usual one."""
        unusual = f", nonlinearity={self.nonlinearity}" if self.nonlinearity != "tanh" else ""
        return super().extra_repr() + unusual


class LSTMCell(_Cell):
    """One step of a long short-term memory; its state is a pair (h, c).

        c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g),  h' = σ(o) ⊙ tanh(c')

    where i, f, g, o, in this order, are the parts of W x + b + U h + c.

    Shapes:
        x (B, input_size), h and c (B, hidden_size); or without B.

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997.

    >>> import chainrule
    >>> from chainrule import nn
    >>> h, c = nn.LSTMCell(4, 8)(chainrule.randn(2, 4))
    >>> h.shape, c.shape
    ((2, 8), (2, 8))
    """

    gates = 4

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The state after the step; `hx` is zero unless given."""
        h, c = (self._blank(input), self._blank(input)) if hx is None else hx
        return lstm_step(input, h, c, self._weights(""))


class GRUCell(_Cell):
    """One step of a gated recurrent unit.

        h' = (1 - z) ⊙ n + z ⊙ h,  r = σ(r_x + r_h),  z = σ(z_x + z_h),  n = tanh(n_x + r ⊙ n_h)

    where r_x, z_x, n_x, in this order, are the parts of W x + b, and r_h, z_h, n_h of U h + c.

    Shapes:
        x (B, input_size), h (B, hidden_size); or without B.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.

    >>> import chainrule
    >>> from chainrule import nn
    >>> cell = nn.GRUCell(4, 8)
    >>> cell(chainrule.randn(2, 4)).shape
    (2, 8)
    """

    gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The state after the step; `hx` is zero unless given."""
        return gru_step(input, self._blank(input) if hx is None else hx, self._weights(""))
