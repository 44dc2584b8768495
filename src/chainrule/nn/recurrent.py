"""Recurrent networks: RNN, LSTM and GRU, and their cells.

A cell takes one step; a network runs cells along a sequence, layer by layer, in one direction or
both. They are made of linear layers and activations, and so are differentiated by the tape.

`x` is the input of a step, `h` the state before it; `i`, `f`, `g`, `o` and `r`, `z`, `n` are gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from chainrule.core.dtypes import DType
from chainrule.core.location import user_location
from chainrule.errors import ConfigError, ShapeError
from chainrule.nn import functional as F
from chainrule.nn import init
from chainrule.nn.module import Module
from chainrule.nn.parameter import Parameter
from chainrule.ops.create import zeros
from chainrule.ops.joining import cat, stack
from chainrule.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

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


def _activation(name: str) -> Callable[..., Tensor]:
    if name not in ("tanh", "relu"):
        raise ConfigError(
            f"RNN: nonlinearity is {name!r}",
            cure="pass 'tanh' or 'relu'",
            location=str(user_location() or ""),
        )
    return F.tanh if name == "tanh" else F.relu


class _Recurrent(Module):
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


class _Cell(_Recurrent):
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

    Args:
        input_size: numbers in x.
        hidden_size: numbers in h.
        bias: False leaves b and c out.
        nonlinearity: "tanh", or "relu".
        device: "cpu" or None.
        dtype: of the parameters.
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
        _activation(nonlinearity)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The state after the step; `hx` is zero unless given."""
        h = self._blank(input) if hx is None else hx
        return rnn_step(input, h, self._weights(""), _activation(self.nonlinearity))

    def extra_repr(self) -> str:
        """The sizes, and the nonlinearity that is not the usual one."""
        unusual = f", nonlinearity={self.nonlinearity}" if self.nonlinearity != "tanh" else ""
        return super().extra_repr() + unusual


class LSTMCell(_Cell):
    """One step of a long short-term memory; its state is a pair (h, c).

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997.
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

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.
    """

    gates = 3

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The state after the step; `hx` is zero unless given."""
        return gru_step(input, self._blank(input) if hx is None else hx, self._weights(""))


class _Sequence(_Recurrent):
    """Cells along a sequence, in layers."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if hidden_size < 1 or num_layers < 1 or not 0 <= dropout <= 1:
            raise ConfigError(
                f"{type(self).__name__}: hidden_size={hidden_size}, num_layers={num_layers}, "
                f"dropout={dropout}",
                cure="sizes are at least 1, and dropout is a probability",
                location=str(user_location() or ""),
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        directions = 2 if bidirectional else 1
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else hidden_size * directions
            for suffix in self._suffixes(layer):
                self._add_cell(
                    suffix, inputs, hidden_size, bias, {"device": device, "dtype": dtype}
                )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all anew."""
        self._draw(self.hidden_size)

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: 1 + self.bidirectional]

    def _step(self, x: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
        """The state after one step, h first."""
        raise NotImplementedError

    def _run(self, input: Tensor, states: tuple[Tensor | None, ...]) -> tuple[Tensor, Any]:
        """The outputs of all steps, and the last state of each layer and direction."""
        self._check(input)
        batched = input.ndim == 3
        x = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x = x.transpose(0, 1)
        self._check_states(states, list(x.shape[1:2]) if batched else [])
        blank = zeros((x.shape[1], self.hidden_size), dtype=x.dtype)
        finals: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            directions: list[Tensor] = []
            for suffix in self._suffixes(layer):
                index = len(finals)
                state = tuple([self._first(each, index, batched, blank) for each in states])
                outputs, state = self._along(x, state, suffix)
                directions.append(outputs)
                finals.append(state)
            x = directions[0] if len(directions) == 1 else cat(directions, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        last = tuple([stack(list(each)) for each in zip(*finals)])
        if not batched:
            return x.squeeze(1), tuple([each.squeeze(1) for each in last])
        return (x.transpose(0, 1) if self.batch_first else x), last

    def _along(
        self, x: Tensor, state: tuple[Tensor, ...], suffix: str
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One layer in one direction: h of every step, and the state after the last."""
        steps = list(x.unbind(0))
        backwards = suffix.endswith("_reverse")
        weights, outputs = self._weights(suffix), list[Tensor]()
        for each in reversed(steps) if backwards else steps:
            state = self._step(each, state, weights)
            outputs.append(state[0])
        return stack(outputs[::-1] if backwards else outputs), state

    def _first(self, given: Tensor | None, index: int, batched: bool, blank: Tensor) -> Tensor:
        """The state of one layer and direction before the first step."""
        if given is None:
            return blank
        return given[index] if batched else given[index].unsqueeze(0)

    def _check(self, input: Tensor) -> None:
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: the input is {input.type}, its last dimension is to be "
                f"{self.input_size}",
                cure="pass (B, T, C) with batch_first=True, (T, B, C), or (T, C) for one sample",
                location=str(user_location() or ""),
            )

        if not input.shape[1 if self.batch_first and input.ndim == 3 else 0]:
            raise ShapeError(
                f"{type(self).__name__}: the input {input.type} has no steps",
                cure="pass a sequence of at least one; batch_first says which dimension is time",
                location=str(user_location() or ""),
            )

    def _check_states(self, states: Iterable[Tensor | None], batch: list[int]) -> None:
        expected = [self.num_layers * (1 + self.bidirectional), *batch, self.hidden_size]
        for state in states:
            if state is not None and list(state.shape) != expected:
                raise ShapeError(
                    f"{type(self).__name__}: a state is {state.type}, expected {expected}",
                    cure="(layers · directions, B, hidden), also with batch_first; "
                    "an LSTM takes a pair (h, c) of them",
                    location=str(user_location() or ""),
                )

    def extra_repr(self) -> str:
        """The sizes, and the settings that are not the usual ones."""
        text = f"{self.input_size}, {self.hidden_size}"
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        for name, value in {**usual, "bidirectional": False}.items():
            if getattr(self, name) != value:
                text += f", {name}={getattr(self, name)}"
        return text


class RNN(_Sequence):
    """An Elman network along a sequence: h[t] = tanh(W x[t] + b + U h[t-1] + c).

    Shapes:
        x (T, B, input_size), y (T, B, directions · hidden), T and B swapped with `batch_first`;
        the state (layers · directions, B, hidden).

    Args:
        input_size: numbers in x[t].
        hidden_size: numbers in h[t].
        num_layers: layers on top of each other.
        nonlinearity: "tanh", or "relu".
        bias: False leaves b and c out.
        batch_first: the batch is the first dimension.
        dropout: between layers, in training.
        bidirectional: with a second network from the end to the beginning.
        device: "cpu" or None.
        dtype: of the parameters.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
        )
        self.nonlinearity = nonlinearity
        _activation(nonlinearity)

    def _step(self, x: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
        return (rnn_step(x, state[0], weights, _activation(self.nonlinearity)),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The outputs of all steps, and the last state."""
        y, (h,) = self._run(input, (hx,))
        return y, h


class LSTM(_Sequence):
    """A long short-term memory along a sequence; its state is a pair (h, c). See `RNN`.

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997.

    >>> import chainrule
    >>> from chainrule import nn
    >>> y, (h, c) = nn.LSTM(4, 8, batch_first=True)(chainrule.zeros(2, 5, 4))
    >>> y.shape, h.shape, c.shape
    ((2, 5, 8), (1, 2, 8), (1, 2, 8))
    """

    gates = 4

    def _step(self, x: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
        return lstm_step(x, state[0], state[1], weights)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The outputs of all steps, and the last state."""
        y, (h, c) = self._run(input, (None, None) if hx is None else hx)
        return y, (h, c)


class GRU(_Sequence):
    """A gated recurrent unit along a sequence. See `RNN`.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.
    """

    gates = 3

    def _step(self, x: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
        return (gru_step(x, state[0], weights),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The outputs of all steps, and the last state."""
        y, (h,) = self._run(input, (hx,))
        return y, h
