"""Initialisers: fill a tensor with the numbers that training starts from, in place.

All draw from the library's own generator, so that one seed gives the same network on every machine.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.autograd import no_grad
from chainrule.core.dtypes import float64
from chainrule.core.interpret import read
from chainrule.core.location import user_location
from chainrule.errors import ConfigError, ShapeError
from chainrule.ops.error_function import erfinv
from chainrule.ops.from_data import from_numpy
from chainrule.ops.generator import Generator
from chainrule.ops.random import rand, randn
from chainrule.tensor import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "fans",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def _reject(problem: str, cure: str, error: type[Any] = ShapeError) -> Any:
    raise error(problem, cure=cure, location=str(user_location() or ""))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a nonlinearity shrinks the spread of what goes through it, to be made up for.

    | linear, conv*, sigmoid | tanh | relu | leaky_relu | selu |
    |---|---|---|---|---|
    | 1 | 5/3 | √2 | √(2 / (1 + slope²)) | 3/4 |

    Args:
        nonlinearity: the name of the function in `nn.functional`.
        param: the slope of leaky_relu; 0.01 unless given.

    >>> round(calculate_gain("leaky_relu", 0.2), 4)
    1.3868
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in GAINS:
        _reject(
            f"calculate_gain: no gain is known for {nonlinearity!r}",
            f"one of {', '.join([*GAINS, 'leaky_relu'])}",
            ConfigError,
        )
    return GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """How many numbers go into each output of a weight, and how many come out of each input.

    A weight is (out, in, *kernel): fan_in = in · |kernel|, fan_out = out · |kernel|.

    Raises:
        ShapeError: there are fewer than two dimensions.

    >>> import chainrule
    >>> fans(chainrule.zeros(8, 3, 5, 5))
    (75, 200)
    """
    if tensor.ndim < 2:
        _reject(
            f"fan in and fan out of {tensor.type}: a weight has at least two dimensions",
            "initialise biases with zeros_ or uniform_",
        )
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _fill(tensor: Tensor, source: Tensor) -> Tensor:
    with no_grad():
        return tensor.copy_(source)


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with U[a, b).

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.uniform_(chainrule.zeros(1000), -2.0, 3.0)
    >>> bool((w >= -2).all() and (w < 3).all())
    True
    """
    drawn = rand(tensor.shape, dtype=tensor.dtype, generator=generator)
    return _fill(tensor, drawn * (b - a) + a)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with N(mean, std²).

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.normal_(chainrule.zeros(10_000), mean=5.0, std=0.1)
    >>> abs(w.mean().item() - 5) < 0.01, abs(w.std().item() - 0.1) < 0.01
    (True, True)
    """
    drawn = randn(tensor.shape, dtype=tensor.dtype, generator=generator)
    return _fill(tensor, drawn * std + mean)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with N(mean, std²) of which only what falls into [a, b] is kept.

    By the inverse of the cumulative distribution, x = mean + std √2 erf⁻¹(2u - 1), u between the
    bounds' own. (a and b are numbers, not multiples of std.)

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.trunc_normal_(chainrule.zeros(1000), std=5.0)
    >>> bool((w.abs() <= 2).all())
    True
    """
    low, high = (math.erf((each - mean) / (std * math.sqrt(2))) for each in (a, b))
    drawn = read(rand(tensor.shape, dtype=float64, generator=generator))
    values = mean + std * math.sqrt(2) * erfinv(low + drawn * (high - low))
    return _fill(tensor, from_numpy(np.clip(values, a, b)))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.init.constant_(chainrule.zeros(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    return _fill(tensor, tensor.detach().full_like(val))


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.init.ones_(nn.Parameter(chainrule.zeros(2)))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.Linear(3, 2)
    >>> nn.init.zeros_(layer.bias)
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity, as far as it goes.

    Raises:
        ShapeError: it is no matrix.

    >>> import chainrule
    >>> from chainrule import nn
    >>> nn.init.eye_(chainrule.zeros(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        _reject(f"eye_: {tensor.type} is no matrix", "pass a tensor of two dimensions")
    return _fill(tensor, from_numpy(np.eye(tensor.shape[0], tensor.shape[1])))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight so that as many channels as possible pass through unchanged.

    Raises:
        ShapeError: it is no such weight, or `groups` does not divide its outputs.

    >>> import chainrule
    >>> from chainrule import nn
    >>> layer = nn.Conv2d(3, 3, 3, padding=1, bias=False)
    >>> weight, x = nn.init.dirac_(layer.weight), chainrule.randn(1, 3, 4, 4)
    >>> bool((layer(x) == x).all())
    True
    """
    if tensor.ndim not in (3, 4, 5) or tensor.shape[0] % groups:
        _reject(
            f"dirac_: {tensor.type} with groups={groups}",
            "pass a weight (out, in, *kernel) whose out is a multiple of groups",
        )
    values = np.zeros(tensor.shape)
    centre = tuple(size // 2 for size in tensor.shape[2:])
    per_group = tensor.shape[0] // groups
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            values[(group * per_group + channel, channel, *centre)] = 1
    return _fill(tensor, from_numpy(values))


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Fill with U(-a, a), a = gain √(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural
    Networks", 2010, equation 16.

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.xavier_uniform_(chainrule.zeros(20, 4))
    >>> bool((w.abs() <= 0.5).all())
    True
    """
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with N(0, std²), std = gain √(2 / (fan_in + fan_out)).

    Source: as for `xavier_uniform_`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.xavier_normal_(chainrule.zeros(100, 100))
    >>> abs(w.std().item() - 0.1) < 0.01
    True
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        _reject(f"kaiming: mode is {mode!r}", "pass 'fan_in' or 'fan_out'", ConfigError)
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with U(-b, b), b = gain √(3 / fan).

    Args:
        tensor: a weight (out, in, *kernel).
        a: the negative slope of the leaky_relu behind it; 0 is relu.
        mode: "fan_in" keeps the spread going forward, "fan_out" going backward.
        nonlinearity: what stands behind it, as `calculate_gain` knows it.
        generator: what to draw from; the default one unless given.

    Source: He et al., "Delving Deep into Rectifiers", 2015, section 2.2.

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.kaiming_uniform_(chainrule.zeros(4, 24), nonlinearity="relu")
    >>> bool((w.abs() <= 0.5).all())
    True
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill with N(0, std²), std = gain / √fan. See `kaiming_uniform_`.

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.kaiming_normal_(chainrule.zeros(50, 200), nonlinearity="relu")
    >>> abs(w.std().item() - 0.1) < 0.01
    True
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fill with a (semi-)orthogonal matrix times `gain`; later dimensions count as columns.

    Q of the QR decomposition of a normal matrix, with the signs of R's diagonal taken to it, which
    makes it uniform over all orthogonal matrices.

    Raises:
        ShapeError: there are fewer than two dimensions.

    Source: Saxe et al., "Exact Solutions to the Nonlinear Dynamics of Learning", 2013.

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.orthogonal_(chainrule.zeros(3, 5))
    >>> bool(((w @ w.T - chainrule.eye(3)).abs() < 1e-5).all())
    True
    """
    if tensor.ndim < 2:
        _reject(f"orthogonal_: {tensor.type}", "pass a tensor of at least two dimensions")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    drawn = read(randn(rows, columns, generator=generator)).astype(np.float64)
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * np.sign(np.diagonal(r))
    values = (q.T if rows < columns else q) * gain
    return _fill(tensor, from_numpy(values.reshape(tensor.shape)))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Fill a matrix with N(0, std²), and with zeros a share `sparsity` of each column.

    Raises:
        ShapeError: it is no matrix.

    Source: Martens, "Deep Learning via Hessian-free Optimization", 2010.

    >>> import chainrule
    >>> from chainrule import nn
    >>> w = nn.init.sparse_(chainrule.zeros(10, 4), sparsity=0.3)
    >>> (w == 0).sum(0)
    tensor([3, 3, 3, 3])
    """
    if tensor.ndim != 2:
        _reject(f"sparse_: {tensor.type} is no matrix", "pass a tensor of two dimensions")
    rows, columns = tensor.shape
    values = read(randn(rows, columns, generator=generator)) * std
    order = np.argsort(read(rand(rows, columns, generator=generator)), axis=0)
    np.put_along_axis(values, order[: math.ceil(sparsity * rows)], 0, axis=0)
    return _fill(tensor, from_numpy(values))
