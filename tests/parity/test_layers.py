"""Every layer against PyTorch's: names, text, state, values, gradients."""

from collections.abc import Iterator

import numpy as np
import pytest
from tests.parity.agreement import TOLERANCES

import chainrule
from chainrule import nn

torch = pytest.importorskip("torch")

# (class, arguments, keyword arguments, shape of the input)
LAYERS: list[tuple[str, tuple, dict, tuple[int, ...]]] = [
    ("Identity", (), {}, (2, 3)),
    ("Flatten", (), {}, (2, 3, 4)),
    ("Flatten", (0, 1), {}, (2, 3, 4)),
    ("Unflatten", (1, (2, 3)), {}, (2, 6)),
    ("Linear", (3, 4), {}, (2, 3)),
    ("Linear", (3, 4), {"bias": False}, (2, 5, 3)),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, (2, 4, 9)),
    ("Conv2d", (2, 4, 3), {}, (2, 2, 6, 5)),
    ("Conv2d", (2, 4, (3, 2)), {"stride": (2, 1), "dilation": 2, "bias": False}, (2, 2, 8, 7)),
    ("Conv2d", (2, 4, 3), {"padding": "same"}, (2, 2, 5, 5)),
    ("Conv2d", (2, 4, 3), {"padding": 1, "padding_mode": "reflect"}, (2, 2, 5, 5)),
    ("Conv2d", (2, 4, 3), {"padding": "same", "padding_mode": "circular"}, (2, 2, 5, 5)),
    ("Conv1d", (2, 4, 4), {"padding": "same", "padding_mode": "replicate"}, (2, 2, 7)),
    ("ConvTranspose1d", (4, 2, 3), {"stride": 2}, (2, 4, 5)),
    (
        "ConvTranspose2d",
        (4, 2, 3),
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
        (2, 4, 4, 3),
    ),
    ("MaxPool1d", (2,), {}, (2, 3, 7)),
    ("MaxPool2d", ((2, 3),), {"stride": 2, "padding": 1, "ceil_mode": True}, (2, 3, 7, 8)),
    ("AvgPool1d", (3,), {"stride": 2}, (2, 3, 7)),
    ("AvgPool2d", (2,), {"padding": 1, "count_include_pad": False}, (2, 3, 6, 6)),
    ("AdaptiveAvgPool1d", (3,), {}, (2, 3, 7)),
    ("AdaptiveAvgPool2d", ((2, None),), {}, (2, 3, 6, 5)),
    ("BatchNorm1d", (3,), {}, (4, 3)),
    ("BatchNorm1d", (3,), {"momentum": None}, (4, 3, 5)),
    ("BatchNorm2d", (3,), {"affine": False, "momentum": 0.3}, (4, 3, 5, 2)),
    ("BatchNorm2d", (3,), {"track_running_stats": False, "bias": False}, (4, 3, 5, 2)),
    ("InstanceNorm1d", (3,), {}, (2, 3, 5)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, (2, 3, 5, 2)),
    ("InstanceNorm2d", (3,), {"affine": True}, (3, 5, 2)),
    ("LayerNorm", (5,), {}, (2, 3, 5)),
    ("LayerNorm", ((3, 5),), {"bias": False, "eps": 0.1}, (2, 3, 5)),
    ("LayerNorm", (5,), {"elementwise_affine": False}, (2, 5)),
    ("GroupNorm", (2, 4), {}, (2, 4, 3)),
    ("GroupNorm", (2, 4), {"affine": False}, (2, 4)),
    ("RMSNorm", (4,), {}, (2, 4)),
    ("RMSNorm", ([3, 4],), {"eps": 1e-5}, (2, 3, 4)),
    ("Dropout", (0.0,), {}, (2, 3)),
    ("Dropout1d", (0.0,), {}, (2, 3, 4)),
    ("Dropout2d", (0.0,), {}, (2, 3, 4, 4)),
    ("Dropout3d", (0.0,), {}, (2, 3, 4, 4, 2)),
    ("AlphaDropout", (0.0,), {}, (2, 3)),
    ("CELU", (), {"alpha": 2.0}, (2, 6)),
    ("ELU", (), {"alpha": 2.0}, (2, 6)),
    ("GELU", (), {}, (2, 6)),
    ("GELU", ("tanh",), {}, (2, 6)),
    ("GLU", (), {"dim": 1}, (2, 6)),
    ("Hardshrink", (), {}, (2, 6)),
    ("Hardsigmoid", (), {}, (2, 6)),
    ("Hardsigmoid", (True,), {}, (2, 6)),
    ("Hardswish", (), {}, (2, 6)),
    ("Hardtanh", (-2.0, 0.5), {}, (2, 6)),
    ("LeakyReLU", (0.2,), {}, (2, 6)),
    ("LogSigmoid", (), {}, (2, 6)),
    ("LogSoftmax", (1,), {}, (2, 6)),
    ("Mish", (), {}, (2, 6)),
    ("PReLU", (), {}, (2, 6)),
    ("PReLU", (3,), {"init": 0.1}, (2, 3, 4)),
    ("ReLU", (), {}, (2, 6)),
    ("ReLU6", (), {}, (2, 6)),
    ("SELU", (), {}, (2, 6)),
    ("SiLU", (), {}, (2, 6)),
    ("Sigmoid", (), {}, (2, 6)),
    ("Softmax", (0,), {}, (2, 6)),
    ("Softmax2d", (), {}, (2, 6, 2, 2)),
    ("Softmin", (1,), {}, (2, 6)),
    ("Softplus", (), {"beta": 2.0}, (2, 6)),
    ("Softshrink", (0.3,), {}, (2, 6)),
    ("Softsign", (), {}, (2, 6)),
    ("Tanh", (), {}, (2, 6)),
    ("Tanhshrink", (), {}, (2, 6)),
    ("Threshold", (0.1, 20.0), {}, (2, 6)),
]
IN_PLACE = [
    "CELU",
    "ELU",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "Mish",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
]


def both(name: str, args: tuple, kwargs: dict, dtype: str):
    """The layer of both libraries, in one dtype, with PyTorch's parameters in both."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **kwargs)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    theirs = theirs.to(getattr(torch, dtype))
    ours = getattr(nn, name)(*args, **kwargs).to(getattr(chainrule, dtype))
    load(ours, theirs)
    return ours, theirs


def load(ours: nn.Module, theirs: "torch.nn.Module") -> None:
    state = {key: value.numpy().copy() for key, value in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)


def agree(ours: chainrule.Tensor, theirs: "torch.Tensor", what: str, slack: float = 0) -> None:
    rtol, atol = TOLERANCES[ours.dtype.name]
    rtol = max(rtol, slack)
    np.testing.assert_allclose(
        ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=5 * atol, err_msg=what
    )


def run_both(ours: nn.Module, theirs: "torch.nn.Module", x: np.ndarray) -> None:
    """Outputs, gradients, state afterwards."""
    x1 = chainrule.from_numpy(x.copy()).requires_grad_()
    x2 = torch.from_numpy(x.copy()).requires_grad_()
    y1, y2 = ours(x1 * 1), theirs(x2 * 1)
    agree(y1, y2, "output")
    bar = np.random.default_rng(5).standard_normal(y2.shape).astype(x.dtype)
    y1.backward(chainrule.from_numpy(bar.copy()))
    y2.backward(torch.from_numpy(bar.copy()))
    # PyTorch's hardsigmoid takes 1/6 in float32 on the way back, whatever the dtype.
    slack = 1e-7 if isinstance(ours, nn.Hardsigmoid) else 0
    agree(x1.grad, x2.grad, "gradient of the input", slack)
    theirs_named = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        agree(parameter.grad, theirs_named[name].grad, f"gradient of {name}")
    their_state = theirs.state_dict()
    for name, value in ours.state_dict().items():
        if value.dtype.is_floating_point:
            agree(value, their_state[name], f"state {name}")
        else:
            np.testing.assert_array_equal(value.numpy(), their_state[name].numpy(), name)


def ids(cases: list) -> Iterator[str]:
    for index, (name, *_) in enumerate(cases):
        yield f"{name}-{index}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), LAYERS, ids=ids(LAYERS))
def test_a_layer_agrees(name, args, kwargs, shape, dtype) -> None:
    ours, theirs = both(name, args, kwargs, dtype)
    assert repr(ours) == repr(theirs)
    assert [key for key, _ in ours.named_buffers()] == [key for key, _ in theirs.named_buffers()]
    rng = np.random.default_rng(3)
    for _ in range(2):  # running statistics move twice
        ours.zero_grad()
        theirs.zero_grad()
        run_both(ours, theirs, rng.standard_normal(shape).astype(dtype))
    run_both_eval = rng.standard_normal(shape).astype(dtype)
    ours.eval().zero_grad()
    theirs.eval().zero_grad()
    run_both(ours, theirs, run_both_eval)


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_activations_agree(name) -> None:
    ours, theirs = getattr(nn, name)(inplace=True), getattr(torch.nn, name)(inplace=True)
    assert repr(ours) == repr(theirs)
    run_both(ours, theirs, np.random.default_rng(3).standard_normal((3, 4)).astype(np.float32))


def test_embedding_and_bilinear_agree() -> None:
    ours, theirs = both("Embedding", (7, 3), {"padding_idx": -1}, "float32")
    assert repr(ours) == repr(theirs)
    index = np.array([[1, 2, 2], [6, 0, 1]])
    y1, y2 = ours(chainrule.from_numpy(index)), theirs(torch.from_numpy(index))
    agree(y1, y2, "output")
    (y1 * y1).sum().backward()
    (y2 * y2).sum().backward()
    agree(ours.weight.grad, theirs.weight.grad, "gradient")
    fresh = nn.Embedding(7, 3, padding_idx=2)
    assert fresh.weight[2].tolist() == [0, 0, 0]
    ours, theirs = both("Bilinear", (2, 3, 4), {}, "float64")
    assert repr(ours) == repr(theirs)
    a, b = np.random.default_rng(0).standard_normal((2, 5, 3))
    a = a[:, :2].copy()
    agree(
        ours(chainrule.from_numpy(a), chainrule.from_numpy(b)),
        theirs(torch.from_numpy(a), torch.from_numpy(b)),
        "bilinear",
    )


_X = np.random.default_rng(1).standard_normal((4, 3))
_P = 1 / (1 + np.exp(-_X))
_T = np.random.default_rng(2).uniform(0.05, 0.95, (4, 3))
_SIGNS = np.sign(np.random.default_rng(3).standard_normal((4, 3)))
_CLASSES = np.array([0, 2, 1, 2])
_W = np.array([0.5, 1.0, 2.0])
LOSSES: list[tuple[str, dict, tuple[np.ndarray, ...]]] = [
    ("CrossEntropyLoss", {"label_smoothing": 0.1}, (_X, _CLASSES)),
    ("CrossEntropyLoss", {"weight": _W, "ignore_index": 1}, (_X, _CLASSES)),
    ("CrossEntropyLoss", {}, (_X, _T / _T.sum(1, keepdims=True))),
    ("NLLLoss", {"weight": _W}, (np.log(_P), _CLASSES)),
    ("MSELoss", {}, (_X, _T)),
    ("L1Loss", {}, (_X, _T)),
    ("SmoothL1Loss", {"beta": 0.5}, (_X, _T)),
    ("HuberLoss", {"delta": 0.5}, (_X, _T)),
    ("BCELoss", {}, (_P, _T)),
    ("BCELoss", {"weight": _W}, (_P, _T)),
    ("BCEWithLogitsLoss", {"pos_weight": _W}, (_X, _T)),
    ("KLDivLoss", {}, (np.log(_P), _T)),
    ("KLDivLoss", {"log_target": True}, (np.log(_P), np.log(_T))),
    ("SoftMarginLoss", {}, (_X, _SIGNS)),
    ("HingeEmbeddingLoss", {"margin": 0.7}, (_X, _SIGNS)),
    ("PoissonNLLLoss", {"full": True}, (_X, np.array([[0.0, 1, 2]] * 4))),
    ("GaussianNLLLoss", {"full": True}, (_X, _T, _P)),
    ("MarginRankingLoss", {"margin": 0.1}, (_X[:, 0], _X[:, 1], _SIGNS[:, 0])),
    ("CosineEmbeddingLoss", {"margin": 0.1}, (_X, _T, _SIGNS[:, 0])),
    ("TripletMarginLoss", {"swap": True}, (_X, _T, _P)),
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "kwargs", "inputs"), LOSSES, ids=ids(LOSSES))
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_a_loss_agrees(name, kwargs, inputs, reduction) -> None:
    compare_losses(name, kwargs, inputs, reduction)


def test_the_divergence_on_the_mean_over_the_batch_agrees() -> None:
    compare_losses("KLDivLoss", {}, (np.log(_P), _T), "batchmean")


def compare_losses(name, kwargs, inputs, reduction) -> None:
    def made(library, tensor):
        arguments = {
            key: tensor(value) if isinstance(value, np.ndarray) else value
            for key, value in kwargs.items()
        }
        return getattr(library, name)(**arguments, reduction=reduction)

    ours, theirs = made(nn, chainrule.from_numpy), made(torch.nn, torch.from_numpy)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x1 = chainrule.from_numpy(inputs[0].copy()).requires_grad_()
    x2 = torch.from_numpy(inputs[0].copy()).requires_grad_()
    y1 = ours(x1, *map(chainrule.from_numpy, inputs[1:]))
    y2 = theirs(x2, *map(torch.from_numpy, inputs[1:]))
    agree(y1, y2, "loss")
    y1.sum().backward()
    y2.sum().backward()
    agree(x1.grad, x2.grad, "gradient")


@pytest.mark.parametrize("name", ["CosineSimilarity", "PairwiseDistance"])
def test_distances_agree(name) -> None:
    agree(
        getattr(nn, name)()(chainrule.from_numpy(_X), chainrule.from_numpy(_T)),
        getattr(torch.nn, name)()(torch.from_numpy(_X), torch.from_numpy(_T)),
        name,
    )


def network(library):
    return library.Sequential(
        library.Sequential(
            library.Conv2d(1, 4, 3, padding=1),
            library.BatchNorm2d(4),
            library.ReLU(inplace=False),
            library.MaxPool2d(2),
        ),
        library.Flatten(),
        library.Linear(4 * 16, 8),
        library.LayerNorm(8),
        library.ModuleList([library.ReLU(), library.ReLU()])[0],
        library.Dropout(0.0),
        library.Linear(8, 3, bias=False),
    )


def test_a_nested_network_agrees() -> None:
    theirs, ours = network(torch.nn), network(nn)
    assert repr(ours) == repr(theirs)
    load(ours, theirs)
    run_both(ours, theirs, np.random.default_rng(3).standard_normal((5, 1, 8, 8)).astype("f"))
    names = [name for name, _ in theirs.named_modules()]
    assert [name for name, _ in ours.named_modules()] == names


def test_lists_of_modules_print_alike() -> None:
    def lists(library):
        return library.ModuleDict(
            {
                "many": library.ModuleList([library.Linear(2, 2) for _ in range(3)]),
                "one": library.ModuleList([library.ReLU(), library.Tanh()]),
                "none": library.ModuleList(),
            }
        )

    assert repr(lists(nn)) == repr(lists(torch.nn))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Linear", (300, 200)),
        ("Conv2d", (20, 30, 5)),
        ("ConvTranspose2d", (20, 30, 5)),
        ("Embedding", (300, 100)),
        ("Bilinear", (30, 20, 40)),
        ("PReLU", (3,)),
    ],
)
def test_initial_values_are_of_the_same_distribution(name, args) -> None:
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    their_parameters = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        a = np.sort(parameter.detach().numpy().ravel())
        b = np.sort(their_parameters[key].detach().numpy().ravel())
        assert a.std() == pytest.approx(b.std(), rel=0.4 if a.size < 500 else 0.05)
        if name != "Embedding" and a.size > 500:
            assert a[-1] == pytest.approx(b[-1], rel=0.1)
            assert a[0] == pytest.approx(b[0], rel=0.1)


RECURRENT = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "bidirectional": True, "num_layers": 2}),
    ("LSTM", {}),
    ("LSTM", {"batch_first": True, "num_layers": 2, "bidirectional": True, "bias": False}),
    ("GRU", {}),
    ("GRU", {"num_layers": 2, "batch_first": True}),
]


@pytest.mark.parametrize(("name", "kwargs"), RECURRENT, ids=ids(RECURRENT))
@pytest.mark.parametrize("shape", [(5, 2, 3), (5, 3)])
def test_recurrent_networks_agree(name, kwargs, shape) -> None:
    ours, theirs = both(name, (3, 4), kwargs, "float64")
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).standard_normal(shape)
    x1, x2 = chainrule.from_numpy(x).requires_grad_(), torch.from_numpy(x).requires_grad_()
    y1, y2 = ours(x1), theirs(x2)
    for _ in range(2):  # the second time with the state of the first
        states1, states2 = (y[1] if isinstance(y[1], tuple) else (y[1],) for y in (y1, y2))
        agree(y1[0], y2[0], "output")
        for a, b in zip(states1, states2, strict=True):
            agree(a, b, "state")
        y1, y2 = ours(x1, y1[1]), theirs(x2, y2[1])
    (y1[0] * y1[0]).sum().backward()
    (y2[0] * y2[0]).sum().backward()
    agree(x1.grad, x2.grad, "gradient of the input")
    named = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        agree(parameter.grad, named[key].grad, f"gradient of {key}")


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("RNNCell", {"nonlinearity": "relu"}), ("LSTMCell", {}), ("GRUCell", {"bias": False})],
)
def test_recurrent_cells_agree(name, kwargs) -> None:
    ours, theirs = both(name, (3, 4), kwargs, "float64")
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).standard_normal((2, 3))
    x1, x2 = chainrule.from_numpy(x), torch.from_numpy(x)
    y1, y2 = ours(x1, ours(x1)), theirs(x2, theirs(x2))
    if name == "LSTMCell":
        y1, y2 = y1[1], y2[1]
    agree(y1, y2, "state")
