"""scikit-learn's part in `compiled`: MLPClassifier on the UCI digits, a whole fit.

Both sides run the same number of epochs from the same weights, without shuffling, early stopping or
weight decay, so that their losses can be compared. Arrays are float32, which MLPClassifier keeps.
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._compiled_workloads import Layer, perceptron, weights
from benchmarks._pairing import Block, Options

LAYERS: tuple[Layer, ...] = perceptron(64, 100, 10)
BATCH, RATE, EPOCHS = 200, 1e-3, 100


def steps() -> int:
    """Steps of a fit, ragged batches among them."""
    return EPOCHS * math.ceil(len(pictures()[0]) / BATCH)


def pictures() -> tuple[Any, Any]:
    """The 3,823 training rows of the UCI digits, scaled to 0..1; noise where they are not here."""
    path = Path(os.environ.get("CHAINRULE_DATA", ".")) / "digits" / "optdigits.tra"
    if not path.is_file():
        rng = np.random.default_rng(0)
        return rng.random((3823, 64), np.float32), rng.integers(0, 10, 3823)
    rows = np.loadtxt(path, delimiter=",", dtype=np.int64)
    return (rows[:, :-1] / 16).astype(np.float32), rows[:, -1]


def fit(options: Options) -> Block:
    """A whole fit of MLPClassifier."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    threadpool_limits(1 if options.get("alone") else options["threads"])
    warnings.simplefilter("ignore", ConvergenceWarning)  # it always stops at max_iter here
    x, y = pictures()
    settings: dict[str, Any] = {"batch_size": BATCH, "learning_rate_init": RATE, "alpha": 0.0}
    model = MLPClassifier(
        (100,), **settings, max_iter=1, shuffle=False, tol=0.0, n_iter_no_change=10**9
    )
    model.fit(x, y)  # it makes its arrays; warm_start then goes on from those it finds
    model.set_params(warm_start=True, max_iter=EPOCHS)
    first, first_bias, second, second_bias = weights(LAYERS)

    def block() -> float:
        model.coefs_ = [first.T.copy(), second.T.copy()]
        model.intercepts_ = [first_bias.copy(), second_bias.copy()]
        model.n_iter_ = model.t_ = 0
        model.fit(x, y)
        assert model.n_iter_ == EPOCHS
        assert model.coefs_[0].dtype == np.float32
        return float(model.loss_)  # the mean over the last epoch's samples

    return block
