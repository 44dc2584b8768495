"""What the drawn digits are worth: a network that has seen no others reads MNIST's."""

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import drawn_digits, load
from chainrule.train import build_model

STEPS, BATCH = 400, 50


def as_input(images: np.ndarray) -> cr.Tensor:
    """Pictures [B, 28, 28] of bytes as the network takes them, scaled as is usual for MNIST."""
    return cr.from_numpy(((images[:, None] / 255 - 0.1307) / 0.3081).astype(np.float32))


@pytest.mark.slow
def test_trained_on_drawn_digits_alone_a_small_network_reads_mnist(data_dir: Path) -> None:
    """At least 90 % of the 10,000 real test pictures (about 93 %), from 20,000 drawn ones."""
    _, _, images, labels, *_ = load("mnist", str(data_dir), allow_download=False)
    drawn, classes = drawn_digits(STEPS * BATCH, seed=0)
    network = build_model("lenet")
    rule = optim.Adam(network.parameters(), lr=0.001)
    schedule = optim.lr_scheduler.OneCycleLR(rule, max_lr=0.004, total_steps=STEPS)
    x, y = as_input(drawn), cr.from_numpy(classes)
    for batch in cr.randperm(len(y)).split(BATCH):
        rule.zero_grad()
        nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
        rule.step()
        schedule.step()
    with cr.no_grad():
        answers = [network(as_input(part)).argmax(1).numpy() for part in np.split(images, 20)]
    assert (np.concatenate(answers) == labels).mean() >= 0.90
