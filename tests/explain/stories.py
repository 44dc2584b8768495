"""What is told in the tests: the article's example, a network that interpolates, LeNet."""

import chainrule
from chainrule import nn
from chainrule.train.models import build_model


def article():
    """The article's f = (x + y) z at x = -2, y = 5, z = -4."""
    x = chainrule.tensor(-2.0, requires_grad=True)
    y = chainrule.tensor(5.0, requires_grad=True)
    z = chainrule.tensor(-4.0, requires_grad=True)
    with chainrule.explain() as story:
        f = (x + y) * z
        f.backward()
    return story


def diamond():
    """A value that is used three times, so that gradients meet."""
    a = chainrule.tensor(2.0, requires_grad=True)
    b = chainrule.tensor(0.5, requires_grad=True)
    with chainrule.explain() as story:
        h = chainrule.tanh(a * b + 1)
        loss = (h - a) ** 2 + h * a
        loss.backward()
    return story, a, b


def interpolation():
    """One step of a network that learns the curve through a few points."""
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    points = chainrule.linspace(-3, 3, 8).reshape(8, 1)
    values = chainrule.sin(points)
    with chainrule.explain() as story:
        loss = nn.functional.mse_loss(net(points), values)
        loss.backward()
    return story, net


def lenet():
    """A step of LeNet on 8 pictures."""
    net = build_model("lenet")
    images = chainrule.rand(8, 1, 28, 28)
    labels = chainrule.arange(8)
    with chainrule.explain() as story:
        logits = net(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
    return story, net
