"""A network learns the curve through a few points, layer by layer: forwards, backwards, a step.

No tape here. Each layer's derivative was worked out by hand, and `LayerEngine` calls them in turn.

    python examples/article/3_interpolation.py [--steps 1500] [--plot interpolation.png]
"""

import argparse
from pathlib import Path

import numpy as np

import chainrule
from chainrule import nn, optim

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--steps", type=int, default=1500)
parser.add_argument("--plot", type=Path, default=Path("interpolation.png"))
args = parser.parse_args()


def curve(x: np.ndarray) -> np.ndarray:
    """What the network is to find out: it sees this at a few points only."""
    return np.sin(2.5 * x) + 0.4 * x


def train(points: chainrule.Tensor, values: chainrule.Tensor) -> tuple[nn.Module, list[float]]:
    chainrule.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )
    engine = nn.LayerEngine(model, nn.MSELoss())
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for step in range(args.steps):
        optimizer.zero_grad()
        loss, _ = engine.forward(points, values)
        engine.backward()
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / args.steps)  # ever smaller steps
        optimizer.step()
        losses.append(loss.item())
        if step % max(args.steps // 10, 1) == 0 or step == args.steps - 1:
            print(f"step {step:5}  loss {losses[-1]:.1e}")
    return model, losses


def draw(path: Path, x: np.ndarray, fit: np.ndarray, losses: list[float]) -> None:
    """The fit beside the truth, and how the loss fell."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 4), width_ratios=(2, 1), layout="constrained"
    )
    left.plot(x, curve(x), color="0.75", linewidth=5, label="the curve", solid_capstyle="round")
    left.plot(x, fit, color="tab:blue", linewidth=2, label="the network")
    left.plot(POINTS, curve(POINTS), "o", color="tab:orange", markersize=7, label="what it saw")
    left.set(title="Interpolation", xlabel="x", ylabel="y")
    left.legend(frameon=False)
    right.semilogy(losses, color="tab:blue", linewidth=1)
    right.set(title="Mean squared error", xlabel="step")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_in_text(x: np.ndarray, fit: np.ndarray, width: int = 64, height: int = 17) -> None:
    """The same for a terminal: `o` what the network saw, `*` what it says."""
    rows = [[" "] * width for _ in range(height)]
    low, high = min(fit.min(), curve(POINTS).min()), max(fit.max(), curve(POINTS).max())
    for marks, at, values in (("*", x, fit), ("o", POINTS, curve(POINTS))):
        across = np.rint((at - x[0]) / (x[-1] - x[0]) * (width - 1)).astype(int)
        down = np.rint((high - values) / (high - low) * (height - 1)).astype(int)
        for row, column in zip(down, across, strict=True):
            rows[row][column] = marks
    print("\n".join("".join(row).rstrip() for row in rows))


POINTS = np.linspace(-3, 3, 14, dtype=np.float32)
points = chainrule.from_numpy(POINTS.reshape(-1, 1))
model, losses = train(points, chainrule.from_numpy(curve(POINTS).reshape(-1, 1)))

x = np.linspace(-3, 3, 400, dtype=np.float32)
with chainrule.no_grad():
    fit = model(chainrule.from_numpy(x.reshape(-1, 1))).numpy()[:, 0]
print(f"between the points it is off by {np.abs(fit - curve(x)).max():.3f} at most")

try:
    draw(args.plot, x, fit, losses)
    print(f"plot: {args.plot}")
except ImportError:
    draw_in_text(x, fit)
    print("For a real plot: pip install 'chainrule[plots]'")
