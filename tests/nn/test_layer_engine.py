"""Layers trained with no tape: the same bits as with it, and a clear word where it can't be."""

from collections.abc import Callable

import numpy as np
import pytest

import chainrule
from chainrule import nn, optim
from chainrule.autograd.tape import Node
from chainrule.errors import AutogradError, ConfigError, ShapeError


def mlp() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 5)
    )


def lenet() -> nn.Sequential:
    features = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout2d(0.2),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
        nn.GroupNorm(2, 6),
        nn.GELU(),
        nn.AvgPool2d(2),
    )
    head = nn.Sequential(
        nn.Flatten(),
        nn.Linear(24, 16),
        nn.LayerNorm(16),
        nn.PReLU(),
        nn.Dropout(),
        nn.Linear(16, 5),
    )
    return nn.Sequential(features, head)


def in_place() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 16),
        nn.ReLU(inplace=True),
        nn.Linear(16, 16),
        nn.SiLU(inplace=True),
        nn.Dropout(0.3, inplace=True),
        nn.Linear(16, 5),
    )


def shared() -> nn.Sequential:
    middle = nn.Linear(8, 8)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), middle, nn.Sigmoid(), middle, nn.Linear(8, 5)
    )


def frozen() -> nn.Sequential:
    model = mlp()
    model[1].requires_grad_(False)
    return model


def gated() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.GLU(), nn.RMSNorm(8), nn.Linear(8, 5))


OPTIMIZERS: list[Callable[..., optim.Optimizer]] = [
    lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
    lambda p: optim.Adam(p, lr=0.01),
]


def train(build, make_optimizer, engine: str, steps: int = 4):
    chainrule.manual_seed(7)
    model, loss = build(), nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = make_optimizer([p for p in model.parameters() if p.requires_grad])
    layers = nn.LayerEngine(model, loss)
    rng = np.random.default_rng(1)
    losses: list[float] = []
    for _ in range(steps):
        x = chainrule.from_numpy(rng.standard_normal((6, 1, 8, 8)).astype(np.float32))
        target = chainrule.from_numpy(rng.integers(0, 5, 6))
        optimizer.zero_grad()
        if engine == "tape":
            value = loss(model(x), target)
            value.backward()
        else:
            value, _ = layers.forward(x, target)
            layers.backward()
        optimizer.step()
        losses.append(value.item())
    return losses, {name: each.numpy().copy() for name, each in model.state_dict().items()}


@pytest.mark.parametrize("make_optimizer", OPTIMIZERS, ids=["sgd", "adam"])
@pytest.mark.parametrize("build", [mlp, lenet, in_place, shared, frozen, gated])
def test_tape_and_layers_give_the_same_bits(build, make_optimizer) -> None:
    losses, state = train(build, make_optimizer, "tape")
    layer_losses, layer_state = train(build, make_optimizer, "layers")
    assert layer_losses == losses
    for name, value in state.items():
        np.testing.assert_array_equal(layer_state[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (nn.MSELoss(), np.ones((6, 5), np.float32)),
        (nn.SmoothL1Loss(beta=0.5), np.ones((6, 5), np.float32)),
        (nn.BCEWithLogitsLoss(reduction="sum"), np.ones((6, 5), np.float32)),
        (nn.KLDivLoss(reduction="batchmean"), np.full((6, 5), 0.2, np.float32)),
        (nn.SoftMarginLoss(), np.ones((6, 5), np.float32)),
        (nn.functional.cross_entropy, np.arange(6) % 5),
    ],
    ids=["mse", "smooth_l1", "bce", "kl", "soft_margin", "function"],
)
def test_other_losses_too(loss, target) -> None:
    model, x = mlp(), chainrule.randn(6, 1, 8, 8)
    t = chainrule.from_numpy(target)
    loss(model(x), t).backward()
    value, gradients = nn.LayerEngine(model, loss).gradients(x, t)
    assert value.item() == loss(model(x), t).item()
    assert list(gradients) == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(gradients[name].numpy(), parameter.grad.numpy())


def test_an_embedding_in_front() -> None:
    model = nn.Sequential(nn.Embedding(7, 3, padding_idx=0), nn.Flatten(), nn.Linear(12, 2))
    x, t = chainrule.tensor([[1, 2, 2, 0], [6, 1, 1, 1]]), chainrule.tensor([0, 1])
    loss = nn.CrossEntropyLoss()
    loss(model(x), t).backward()
    _, gradients = nn.LayerEngine(model, loss).gradients(x, t)
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(gradients[name].numpy(), parameter.grad.numpy())


def test_no_tape_is_recorded(monkeypatch) -> None:
    monkeypatch.setattr(Node, "__init__", lambda *_: pytest.fail("the tape recorded an op"))
    engine = nn.LayerEngine(lenet(), nn.CrossEntropyLoss())
    loss, output = engine.forward(chainrule.ones(2, 1, 8, 8), chainrule.tensor([0, 1]))
    assert not loss.requires_grad
    assert not output.requires_grad
    engine.backward()


ONE_OP = [
    (nn.Linear(4, 3), (2, 4)),
    (nn.Conv1d(2, 3, 3), (2, 2, 5)),
    (nn.Conv2d(2, 3, 3), (2, 2, 5, 5)),
    (nn.ConvTranspose2d(2, 3, 3), (2, 2, 3, 3)),
    (nn.MaxPool2d(2), (2, 2, 4, 4)),
    (nn.AvgPool2d(2), (2, 2, 4, 4)),
    (nn.AdaptiveAvgPool2d(2), (2, 2, 4, 4)),
    (nn.BatchNorm2d(2), (3, 2, 4, 4)),
    (nn.BatchNorm1d(2), (3, 2)),
    (nn.LayerNorm(4), (2, 4)),
    (nn.GroupNorm(2, 4), (2, 4, 3)),
    (nn.RMSNorm(4), (2, 4)),
    (nn.Dropout(), (2, 4)),
    (nn.ReLU(), (2, 4)),
    (nn.GELU(), (2, 4)),
    (nn.Sigmoid(), (2, 4)),
    (nn.Softmax(-1), (2, 4)),
    (nn.Flatten(), (2, 4, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), ONE_OP, ids=lambda each: type(each).__name__)
def test_a_layer_is_one_op_with_a_derivative_of_its_own(layer, shape) -> None:
    """Nothing is left for an autodiff to do: the derivative is the one that was derived by hand."""
    x = chainrule.randn(*shape)
    y, saved = layer.forward_and_save(x)
    assert len(saved.steps) == 1
    x_bar, bars = layer.backward(saved, y.ones_like())
    assert x_bar.shape == shape
    assert list(bars) == [name for name, _ in layer.named_parameters()]


def test_backward_is_a_function_of_what_was_saved() -> None:
    layer = nn.Linear(3, 2)
    x1, x2 = chainrule.randn(4, 3), chainrule.randn(4, 3)
    _, saved1 = layer.forward_and_save(x1)
    layer.forward_and_save(x2)  # leaves the first one alone
    for _ in range(2):  # and can be used twice
        x_bar, bars = layer.backward(saved1, chainrule.ones(4, 2))
        np.testing.assert_allclose(bars["weight"].numpy()[0], x1.numpy().sum(0), rtol=1e-5)
        np.testing.assert_allclose(
            x_bar.numpy()[0], layer.weight.detach().numpy().sum(0), rtol=1e-5
        )
    assert layer.weight.grad is None


def test_the_first_layers_input_gradient_is_not_computed() -> None:
    layer = nn.Linear(3, 2)
    _, saved = layer.forward_and_save(chainrule.ones(1, 3), needs_input=False)
    assert saved.steps[0].needs[0] is False
    assert layer.backward(saved, chainrule.ones(1, 2))[0] is None


def test_a_layer_can_be_derived_by_hand() -> None:
    class Cube(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(chainrule.tensor(2.0))

        def forward(self, x):
            return self.scale * x * x * x

        def forward_and_save(self, input, *constants, needs_input=True):
            return self(input).detach(), input

        def backward(self, saved, y_bar):
            x, scale = saved, self.scale.detach()
            return y_bar * (3 * scale * x * x), {"scale": (y_bar * x * x * x).sum()}

    model = nn.Sequential(nn.Linear(2, 2), Cube())
    x, t = chainrule.randn(3, 2), chainrule.zeros(3, 2)
    loss = nn.MSELoss()
    loss(model(x), t).backward()
    _, gradients = nn.LayerEngine(model, loss).gradients(x, t)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(gradients[name].numpy(), parameter.grad.numpy(), rtol=1e-5)


def test_gradients_add_up_until_they_are_zeroed() -> None:
    model, loss = nn.Sequential(nn.Linear(2, 1)), nn.MSELoss()
    engine = nn.LayerEngine(model, loss)
    x, t = chainrule.randn(4, 2), chainrule.zeros(4, 1)
    engine.forward(x, t)
    once = engine.backward()["0.weight"].numpy().copy()
    engine.forward(x, t)
    engine.backward()
    np.testing.assert_array_equal(model[0].weight.grad.numpy(), 2 * once)


def test_running_statistics_follow_as_with_the_tape() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2))
    engine = nn.LayerEngine(model, nn.MSELoss())
    x = chainrule.randn(8, 2)
    engine.forward(x, x)
    np.testing.assert_allclose(
        model[0].running_mean.numpy(), 0.1 * x.numpy().mean(0), rtol=1e-5, atol=1e-7
    )
    assert model[0].num_batches_tracked.item() == 1


def test_a_forward_of_ones_own_is_refused_by_name() -> None:
    class Residual(nn.Module):
        def forward(self, x):
            return x + x

    class Odd(nn.Sequential):
        def forward(self, input):
            return super().forward(input) + 1

    for module in (Residual(), Odd(nn.ReLU()), nn.ModuleList([nn.ReLU()])):
        name = type(module).__name__
        model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU(), module))
        with pytest.raises(ConfigError, match=rf"{name} at '1.1'[\s\S]*engine=\"tape\""):
            nn.LayerEngine(model, nn.MSELoss())


def test_backward_needs_a_forward_and_a_loss_is_one_number() -> None:
    engine = nn.LayerEngine(nn.Linear(1, 1), nn.MSELoss())
    with pytest.raises(AutogradError, match="forward"):
        engine.backward()
    x = chainrule.ones(2, 1)
    engine.forward(x, x)
    engine.backward()
    with pytest.raises(AutogradError):
        engine.backward()
    with pytest.raises(ShapeError, match="reduction"):
        nn.LayerEngine(nn.Linear(1, 1), nn.MSELoss(reduction="none")).forward(x, x)


def test_a_layer_of_several_outputs_is_refused() -> None:
    engine = nn.LayerEngine(nn.MaxPool2d(2, return_indices=True), nn.MSELoss())
    with pytest.raises(AutogradError, match="MaxPool2d returned a"):
        engine.forward(chainrule.ones(1, 1, 4, 4), chainrule.ones(1, 1, 2, 2))
