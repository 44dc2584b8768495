"""What a look and a lesson compute, against plain NumPy and finite differences."""

import asyncio
import math

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.errors import ConfigError
from chainrule.serve.app import SIDE, create_app
from chainrule.serve.guard import host_names
from chainrule.serve.lessons import ForgottenError, Pupils
from chainrule.serve.looking import look
from chainrule.serve.running import address_of, listen
from chainrule.train import SavedRun, TrainConfig, build_model

MEAN, STD = 0.13, 0.31


def picture():
    return chainrule.data.drawn_digits(4, seed=1)[0][3]


def softmax_of_linear(model, ink):
    """The probabilities of flatten-linear by hand, in float64, for ink in 0..1."""
    weight = model.fc.weight.detach().numpy().astype(np.float64)
    bias = model.fc.bias.detach().numpy().astype(np.float64)
    logits = weight @ ((ink - MEAN) / STD).reshape(-1) + bias
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


@pytest.fixture
def linear():
    chainrule.manual_seed(3)
    parts = {"flatten": nn.Flatten(), "fc": nn.Linear(784, 10)}
    return nn.Sequential(parts).eval()


def test_the_push_is_what_finite_differences_find(linear):
    seen = picture()
    found = look(linear, seen, MEAN, STD)
    ink = seen / 255.0
    chances = softmax_of_linear(linear, ink)
    assert found.probabilities == pytest.approx(tuple(chances), abs=1e-5)
    for place in [(5, 9), (14, 14), (20, 3)]:
        step = np.zeros_like(ink)
        step[place] = 1e-4
        up, down = (softmax_of_linear(linear, ink + s * step)[found.answer] for s in (1, -1))
        slope = (math.log(up) - math.log(down)) / 2e-4
        assert found.push[place] == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_a_lesson_is_the_step_that_paper_gives(linear):
    seen = picture()
    x = (seen / 255.0 - MEAN) / STD
    p = softmax_of_linear(linear, seen / 255.0)
    slope = np.outer(p - np.eye(10)[4], x.reshape(-1))
    weight = linear.fc.weight.detach().numpy().copy()
    pupils = Pupils(linear, MEAN, STD)
    token, lesson = pupils.teach(None, seen, label=4, rate=0.01)
    taught = pupils.model(token).fc.weight.detach().numpy()
    assert np.allclose(taught, weight - 0.01 * slope, atol=1e-5)
    assert np.array_equal(linear.fc.weight.detach().numpy(), weight)
    assert lesson.loss_before == pytest.approx(-math.log(p[4]), rel=1e-4)


@pytest.mark.parametrize("name", ["mlp", "lenet", "cnn", "small"])
def test_every_network_of_the_command_line_can_be_looked_into_and_taught(name):
    model = build_model(name, classes=12).eval()
    found = look(model, picture(), MEAN, STD)
    assert len(found.probabilities) == 12
    assert found.layers[-1].shape == (12,)
    assert all(0 < layer.shown <= layer.shape[0] for layer in found.layers)
    _, lesson = Pupils(model, MEAN, STD).teach(None, picture(), label=11, rate=1e-3)
    assert lesson.loss_after < lesson.loss_before


def test_looking_twice_gives_the_same_and_leaves_no_gradients():
    model = build_model("cnn").eval()  # it has dropout
    first, second = (look(model, picture(), MEAN, STD) for _ in range(2))
    assert first.probabilities == second.probabilities
    assert all(p.grad is None for p in model.parameters())


def test_the_longest_unused_copy_is_forgotten_first(linear):
    pupils = Pupils(linear, MEAN, STD, most=2)
    tokens = [pupils.teach(None, picture(), 1, 1e-3)[0] for _ in range(2)]
    pupils.model(tokens[0])
    pupils.teach(None, picture(), 1, 1e-3)
    assert len(pupils) == 2
    pupils.model(tokens[0])
    with pytest.raises(ForgottenError, match="not kept"):
        pupils.model(tokens[1])


def test_a_step_to_infinity_is_refused_and_undone():
    model = build_model("lenet").eval()
    for p in model.parameters():
        p.detach().mul_(1e12)
    pupils = Pupils(model, MEAN, STD)
    with pytest.raises(ConfigError, match="beyond all bounds"), np.errstate(all="ignore"):
        pupils.teach(None, picture(), 1, 1.0)
    assert len(pupils) == 0


def test_a_port_that_is_taken_is_named():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=str(port)):
            listen("127.0.0.1", port)
        assert address_of(taken) == f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1", "a" * 300])
def test_an_address_that_is_not_here_is_named(host):
    with pytest.raises(ConfigError, match="no address"):
        listen(host, 0)


def test_what_fails_inside_is_an_answer_with_the_headers_too(linear):
    class Broken(nn.Module):
        def forward(self, x):
            if len(seen):
                raise RuntimeError("broken inside")
            seen.append(x)
            return x.flatten(1)

    seen, sent = [], []
    config = TrainConfig.of("drawn", "mlp")
    classes = tuple("0123456789")
    model = nn.Sequential({"broken": Broken(), "fc": linear.fc}).eval()
    app = create_app(SavedRun(config, model, classes, MEAN, STD, 1), "run")
    body = bytes([255]) * SIDE * SIDE
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/look",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/octet-stream")],
    }

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    with pytest.raises(RuntimeError, match="broken inside"):  # and the server logs it
        asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 500
    assert b"content-security-policy" in dict(sent[0]["headers"])
    assert b"broken" not in sent[1]["body"]


def test_who_listens_everywhere_answers_to_any_name():
    assert host_names("0.0.0.0") is None
    assert "192.168.1.7" in host_names("192.168.1.7")
    assert "evil.example" not in host_names("192.168.1.7")
