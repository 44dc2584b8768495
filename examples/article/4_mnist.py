"""Handwritten digits, learned layer by layer: 784 pixels, 128 hidden numbers, 10 scores.

Real MNIST from CHAINRULE_DATA, the cache or a download; where there is none, drawn digits.

    python examples/article/4_mnist.py [--epochs 5] [--limit 60000]
"""

import argparse
import time

import numpy as np

import chainrule
from chainrule import nn, optim
from chainrule.data import Arrays, load
from chainrule.errors import ChainruleError

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--limit", type=int, default=60_000, help="train on so many pictures")
parser.add_argument("--offline", action="store_true", help="download nothing")
args = parser.parse_args()

BATCH = 128


def pictures() -> Arrays:
    try:
        return load("mnist", allow_download=not args.offline)
    except ChainruleError as error:
        print(f"*** NO REAL MNIST: {error}")
        print("*** Training on DRAWN digits instead; the accuracy below is on drawn digits too.\n")
        return load("drawn")


def as_rows(images: np.ndarray) -> chainrule.Tensor:
    """Each picture as a row of 784 numbers around 0."""
    rows = images.reshape(-1, 784).astype(np.float32)
    return chainrule.from_numpy((rows / 255 - 0.1307) / 0.3081)


data = pictures()
x = as_rows(data.train_images[: args.limit])
y = chainrule.from_numpy(data.train_labels[: args.limit])
x_test, y_test = as_rows(data.test_images), data.test_labels

chainrule.manual_seed(0)
model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
engine = nn.LayerEngine(model, nn.CrossEntropyLoss())
optimizer = optim.SGD(model.parameters(), lr=0.1)

for epoch in range(1, args.epochs + 1):
    begin, total = time.perf_counter(), 0.0
    order = chainrule.randperm(len(y))
    for batch in order.split(BATCH):
        optimizer.zero_grad()
        loss, _ = engine.forward(x[batch], y[batch])  # what does it say?
        engine.backward()  # who is to blame?
        optimizer.step()  # do better
        total += loss.item() * len(batch)
    with chainrule.no_grad():
        guesses = model(x_test).argmax(1).numpy()
    print(
        f"epoch {epoch}  loss {total / len(y):.4f}  test accuracy {(guesses == y_test).mean():.2%}"
        f"  {time.perf_counter() - begin:.1f} s"
    )
