"""Handwritten digits, learned layer by layer: 784 pixels, 128 hidden numbers, 10 scores.

Real MNIST from CHAINRULE_DATA, the cache or a download; where there is none, drawn digits.

    python examples/article/4_mnist.py [--epochs 5] [--limit 60000]
"""

import argparse
import time

import numpy as np

import chainrule
from chainrule import nn, optim
from chainrule.data import drawn_digits, load
from chainrule.errors import ChainruleError

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--limit", type=int, default=60_000, help="train on so many pictures")
parser.add_argument("--offline", action="store_true", help="download nothing")
args = parser.parse_args()

BATCH = 128


def pictures() -> tuple[np.ndarray, ...]:
    """Images to train on and their labels, images to test with and their labels."""
    try:
        return load("mnist", allow_download=not args.offline)[:4]
    except ChainruleError as error:
        print(f"*** NO REAL MNIST: {error}")
        print("*** Training on DRAWN digits instead; the accuracy below is on drawn digits too.\n")
        return *drawn_digits(args.limit, seed=0), *drawn_digits(min(args.limit, 10_000), seed=1)


def as_rows(images: np.ndarray) -> chainrule.Tensor:
    """Each picture as a row of 784 numbers around 0."""
    rows = images.reshape(-1, 784).astype(np.float32)
    return chainrule.from_numpy((rows / 255 - 0.1307) / 0.3081)


images, labels, test_images, test_labels = pictures()
x, y = as_rows(images[: args.limit]), chainrule.from_numpy(labels[: args.limit])
x_test = as_rows(test_images)

chainrule.manual_seed(0)
model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
engine = nn.LayerEngine(model, nn.CrossEntropyLoss())
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
steps = args.epochs * -(-len(y) // BATCH)
schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)

for epoch in range(1, args.epochs + 1):
    begin, total = time.perf_counter(), 0.0
    order = chainrule.randperm(len(y))
    for batch in order.split(BATCH):
        optimizer.zero_grad()
        loss, _ = engine.forward(x[batch], y[batch])  # what does it say?
        engine.backward()  # who is to blame?
        optimizer.step()  # do better
        schedule.step()  # in large steps first, in small ones at the end
        total += loss.item() * len(batch)
    with chainrule.no_grad():
        right = (model(x_test).argmax(1).numpy() == test_labels).mean()
    print(
        f"epoch {epoch}  loss {total / len(y):.4f}  test accuracy {right:.2%}"
        f"  {time.perf_counter() - begin:.1f} s"
    )
