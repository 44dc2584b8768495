"""The gamma function and its derivatives in NumPy, which has none.

Far from zero each is its asymptotic (Stirling's) series; near zero it is brought there by its
recurrence, and left of zero by reflection. Abramowitz and Stegun, "Handbook of Mathematical
Functions", 6.1.40, 6.3.18, 6.4.11 and 23.2. Errors are below 1e-14 of the result, or absolute
where the result is below 1; of digamma left of zero, near its poles, below 1e-13.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.core.op import Array

__all__ = ["digamma", "lgamma", "polygamma"]

STEPS = 10  # how far the recurrence goes: there the series below have converged
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)  # B₂, B₄, ...


def lgamma(x: Array) -> Array:
    """ln |Γ(x)|; inf at 0, -1, -2, ...

    >>> lgamma(np.array([0.5, -0.5])).round(4).tolist()  # ln √π, ln 2√π
    [0.5724, 1.2655]
    """
    wide = x.astype(np.float64, copy=False)
    left = wide < 0.5
    z = np.where(left, 1 - wide, wide)
    product = np.ones_like(z)
    far = z.copy()
    for step in range(STEPS):
        near = z + step < STEPS
        product = np.where(near, product * (z + step), product)
        far = np.where(near, z + step + 1, far)
    series = np.zeros_like(far)
    for k, number in enumerate(BERNOULLI, 1):
        series += number / (2 * k * (2 * k - 1)) / far ** (2 * k - 1)
    right = (far - 0.5) * np.log(far) - far + 0.5 * math.log(2 * math.pi) + series - np.log(product)
    right = np.where(z == np.inf, np.inf, right)
    sine = np.abs(np.sin(np.pi * (wide - np.round(wide))))
    y = np.where(left, np.log(np.pi / sine) - right, right)
    pole = (wide <= 0) & (wide == np.floor(wide))
    return np.where(pole, np.inf, y).astype(x.dtype)


def digamma(x: Array) -> Array:
    """Γ'(x) / Γ(x); -inf at 0, NaN at -1, -2, ...

    >>> digamma(np.array([0.5, 2.5])).round(4).tolist()
    [-1.9635, 0.7032]
    """
    wide = x.astype(np.float64, copy=False)
    left = wide < 0.5
    z = np.where(left, 1 - wide, wide)
    total = np.zeros_like(z)
    far = z.copy()
    for step in range(STEPS):
        near = z + step < STEPS
        total = np.where(near, total - 1 / (z + step), total)
        far = np.where(near, z + step + 1, far)
    series = np.zeros_like(far)
    for k, number in enumerate(BERNOULLI, 1):
        series += number / (2 * k) / far ** (2 * k)
    right = total + np.log(far) - 1 / (2 * far) - series
    y = np.where(left, right - np.pi / np.tan(np.pi * (wide - np.round(wide))), right)
    y = np.where((wide < 0) & (wide == np.floor(wide)), np.nan, y)
    return np.where(wide == 0, np.copysign(np.inf, -wide), y).astype(x.dtype)


def polygamma(n: int, x: Array) -> Array:
    """The n-th derivative of the digamma function, n ≥ 1: (-1)^(n+1) n! ζ(n+1, x).

    >>> polygamma(1, np.array([1.0])).round(4).tolist()  # π² / 6
    [1.6449]
    """
    wide, s = x.astype(np.float64, copy=False), n + 1
    finite = wide[np.isfinite(wide)]
    steps = STEPS + (min(1000, math.ceil(max(0.0, -finite.min()))) if finite.size else 0)
    zeta = np.zeros_like(wide)
    for step in range(steps):
        zeta += (wide + step) ** -s
    far = wide + steps
    zeta += far ** (1 - s) / (s - 1) + far**-s / 2
    rising = float(s)  # s (s+1) ⋯ (s+2k-2) / (2k)!, as k grows
    for k, number in enumerate(BERNOULLI, 1):
        zeta += number * rising / math.factorial(2 * k) * far ** -(s + 2 * k - 1)
        rising *= (s + 2 * k - 1) * (s + 2 * k)
    return ((-1) ** (n + 1) * math.factorial(n) * zeta).astype(x.dtype)
