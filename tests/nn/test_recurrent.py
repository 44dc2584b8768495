"""Recurrent cells and networks against their equations, written out in NumPy."""

from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.autograd import gradcheck
from chainrule.errors import ConfigError, ShapeError

Array = np.ndarray[Any, Any]
F64 = chainrule.float64


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class Equations:
    """One step of each kind, from the weights of a layer with a suffix."""

    def __init__(self, module: nn.Module, suffix: str = "") -> None:
        own = {name: each.detach().numpy() for name, each in module.named_parameters()}
        self.w, self.u = own[f"weight_ih{suffix}"], own[f"weight_hh{suffix}"]
        zero = np.zeros(len(self.w))
        self.b = own.get(f"bias_ih{suffix}", zero)
        self.c = own.get(f"bias_hh{suffix}", zero)

    def rnn(self, x: Array, h: Array) -> Array:
        return np.tanh(x @ self.w.T + self.b + h @ self.u.T + self.c)

    def lstm(self, x: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        h, c = state
        i, f, g, o = np.split(x @ self.w.T + self.b + h @ self.u.T + self.c, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    def gru(self, x: Array, h: Array) -> Array:
        r_x, z_x, n_x = np.split(x @ self.w.T + self.b, 3, -1)
        r_h, z_h, n_h = np.split(h @ self.u.T + self.c, 3, -1)
        z = sigmoid(z_x + z_h)
        return (1 - z) * np.tanh(n_x + sigmoid(r_x + r_h) * n_h) + z * h


def close(mine: chainrule.Tensor, expected: Array) -> None:
    np.testing.assert_allclose(mine.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", [(), (5,)])
def test_cells_are_their_equations_from_a_state_given_or_zero(rng, bias, leading) -> None:
    x, h, c = (rng.standard_normal((*leading, size)) for size in (3, 4, 4))
    x_t, h_t, c_t = map(chainrule.tensor, (x, h, c))
    zero = np.zeros((*leading, 4))
    rnn = nn.RNNCell(3, 4, bias=bias, dtype=F64)
    close(rnn(x_t, h_t), Equations(rnn).rnn(x, h))
    close(rnn(x_t), Equations(rnn).rnn(x, zero))
    gru = nn.GRUCell(3, 4, bias=bias, dtype=F64)
    close(gru(x_t, h_t), Equations(gru).gru(x, h))
    close(gru(x_t), Equations(gru).gru(x, zero))
    lstm = nn.LSTMCell(3, 4, bias=bias, dtype=F64)
    for given, state in (((h_t, c_t), (h, c)), (None, (zero, zero))):
        for mine, expected in zip(lstm(x_t, given), Equations(lstm).lstm(x, state)):
            close(mine, expected)


def test_a_cell_can_rectify_instead(rng) -> None:
    x = rng.standard_normal((5, 3))
    cell = nn.RNNCell(3, 4, nonlinearity="relu", dtype=F64)
    own = Equations(cell)
    close(cell(chainrule.tensor(x)), np.maximum(x @ own.w.T + own.b + own.c, 0))


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNNCell, 1), (nn.LSTMCell, 4), (nn.GRUCell, 3)])
def test_cells_are_drawn_within_one_over_the_root_of_the_hidden_size(kind, gates) -> None:
    cell = kind(30, 25)
    shapes = {name: tuple(each.shape) for name, each in cell.named_parameters()}
    rows = gates * 25
    assert shapes == {
        "weight_ih": (rows, 30),
        "weight_hh": (rows, 25),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
    }
    drawn = np.concatenate([each.detach().numpy().ravel() for each in cell.parameters()])
    assert np.abs(drawn).max() <= 0.2
    assert drawn.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.05)
    assert nn.LSTMCell(3, 4, bias=False).bias_ih is None


def test_a_sequence_is_its_cell_step_by_step_from_the_state_given(rng) -> None:
    x, h, c = (rng.standard_normal(shape) for shape in ((6, 2, 3), (1, 2, 4), (1, 2, 4)))
    lstm = nn.LSTM(3, 4, dtype=F64)
    y, (h_n, c_n) = lstm(chainrule.tensor(x), (chainrule.tensor(h), chainrule.tensor(c)))
    state = (h[0], c[0])
    for step, each in enumerate(x):
        state = Equations(lstm, "_l0").lstm(each, state)
        close(y[step], state[0])
    close(h_n[0], state[0])
    close(c_n[0], state[1])


def test_layers_and_directions_have_a_state_of_their_own(rng) -> None:
    """Two layers, both ways: the states lie in the order l0, l0 reverse, l1, l1 reverse."""
    x, h = rng.standard_normal((5, 2, 3)), rng.standard_normal((4, 2, 4))
    gru = nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True, dtype=F64)
    given = chainrule.tensor(x.swapaxes(0, 1).copy())
    y, h_n = gru(given, chainrule.tensor(h))
    below = x
    for layer in range(2):
        both = []
        for way, suffix in enumerate((f"_l{layer}", f"_l{layer}_reverse")):
            state, outputs = h[2 * layer + way], []
            for each in below[::-1] if way else below:
                state = Equations(gru, suffix).gru(each, state)
                outputs.append(state)
            close(h_n[2 * layer + way], state)
            both.append(np.stack(outputs[::-1] if way else outputs))
        below = np.concatenate(both, -1)
    close(y, below.swapaxes(0, 1))


def test_a_sample_alone_takes_a_state_alone(rng) -> None:
    x, h = rng.standard_normal((5, 3)), rng.standard_normal((1, 4))
    rnn = nn.RNN(3, 4, dtype=F64)
    y, h_n = rnn(chainrule.tensor(x), chainrule.tensor(h))
    batch, last = rnn(chainrule.tensor(x[:, None]), chainrule.tensor(h[:, None]))
    close(y, batch[:, 0].detach().numpy())
    close(h_n, last[:, 0].detach().numpy())


def test_dropout_is_between_layers_in_training_only(rng) -> None:
    x = chainrule.tensor(rng.standard_normal((5, 2, 3)))
    rnn = nn.RNN(3, 4, num_layers=2, dropout=0.9, dtype=F64)
    first, second = rnn(x)[0].tolist(), rnn(x)[0].tolist()
    assert first != second
    rnn.eval()
    assert rnn(x)[0].tolist() == rnn(x)[0].tolist()
    alone = nn.RNN(3, 4, dropout=0.9, dtype=F64)  # one layer: there is no between
    assert alone(x)[0].tolist() == alone(x)[0].tolist()


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_gradients_go_back_through_time(rng, kind: Any) -> None:
    layer = kind(2, 3, dtype=F64)
    x = chainrule.tensor(rng.standard_normal((4, 2, 2)), requires_grad=True)
    weights = list(layer.parameters())
    assert gradcheck(lambda x, *_: layer(x)[0].sum(), (x, *weights))


@pytest.mark.parametrize(
    ("build", "match", "cure"),
    [
        (lambda: nn.RNN(3, 0), "hidden_size=0", "at least 1"),
        (lambda: nn.LSTM(3, 4, num_layers=0), "num_layers=0", "at least 1"),
        (lambda: nn.GRU(3, 4, dropout=1.5), r"dropout=1\.5", "probability"),
        (lambda: nn.RNN(3, 4, nonlinearity="gelu"), "'gelu'", "'tanh' or 'relu'"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="gelu"), "'gelu'", "'tanh' or 'relu'"),
    ],
)
def test_settings_that_can_not_be_are_refused_at_once(build, match: str, cure: str) -> None:
    with pytest.raises(ConfigError, match=match) as raised:
        build()
    assert cure in raised.value.cure


@pytest.mark.parametrize("shape", [(5, 2, 4), (3,), (5, 2, 2, 3)])
def test_an_input_of_another_size_is_named_with_the_layouts_there_are(shape) -> None:
    with pytest.raises(ShapeError, match="is to be 3") as raised:
        nn.GRU(3, 4)(chainrule.ones(shape))
    assert "batch_first" in raised.value.cure
