"""Recurrent networks: RNN, LSTM and GRU.

A network runs the cells of `cells.py` along a sequence, layer by layer, in one direction or both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chainrule.core.dtypes import DType
from chainrule.core.location import user_location
from chainrule.errors import ConfigError, ShapeError
from chainrule.nn import functional as F
from chainrule.nn.cells import (
    Recurrent,
    Weights,
    activation_of,
    gru_step,
    lstm_step,
    rnn_step,
)
from chainrule.ops.create import zeros
from chainrule.ops.joining import cat, stack
from chainrule.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN"]


class _Sequence(Recurrent):
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

    Raises:
        ShapeError: the input or the state has another shape, or there is no step.
        ConfigError: there is no such nonlinearity.

    Source: Elman, "Finding Structure in Time", 1990.

    >>> import chainrule
    >>> from chainrule import nn
    >>> y, h = nn.RNN(4, 8, num_layers=2, bidirectional=True)(chainrule.zeros(5, 2, 4))
    >>> y.shape, h.shape
    ((5, 2, 16), (4, 2, 8))
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
        activation_of(nonlinearity)

    def _step(self, x: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
        return (rnn_step(x, state[0], weights, activation_of(self.nonlinearity)),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The outputs of all steps, and the last state."""
        y, (h,) = self._run(input, (hx,))
        return y, h


class LSTM(_Sequence):
    """A long short-term memory along a sequence; its state is a pair (h, c).

    The formula is `LSTMCell`'s; shapes, errors and arguments (but `nonlinearity`) are `RNN`'s.

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
    """A gated recurrent unit along a sequence.

    The formula is `GRUCell`'s; shapes, errors and arguments (but `nonlinearity`) are `RNN`'s.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.

    >>> import chainrule
    >>> from chainrule import nn
    >>> y, h = nn.GRU(4, 8, batch_first=True)(chainrule.randn(2, 5, 4))
    >>> bool((y[:, -1] == h[0]).all())
    True
    """

    gates = 3

    def _step(self, x: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, ...]:
        return (gru_step(x, state[0], weights),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The outputs of all steps, and the last state."""
        y, (h,) = self._run(input, (hx,))
        return y, h
