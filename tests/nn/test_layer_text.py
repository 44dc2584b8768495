"""How layers print: PyTorch's text, letter for letter, so that printed models can be compared."""

import pytest

from chainrule import nn

# What PyTorch 2 prints. `bias=` of the norms is its form from 2.13 on.
TEXTS = [
    (nn.ReLU(inplace=True), "ReLU(inplace=True)"),
    (nn.ReLU6(), "ReLU6()"),
    (nn.LeakyReLU(0.2, inplace=True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
    (nn.LeakyReLU(), "LeakyReLU(negative_slope=0.01)"),
    (nn.PReLU(3), "PReLU(num_parameters=3)"),
    (nn.ELU(0.5), "ELU(alpha=0.5)"),
    (nn.ELU(0.5, inplace=True), "ELU(alpha=0.5, inplace=True)"),
    (nn.SELU(), "SELU()"),
    (nn.CELU(0.5), "CELU(alpha=0.5)"),
    (nn.CELU(inplace=True), "CELU(alpha=1.0, inplace=True)"),
    (nn.Hardtanh(-2, 2), "Hardtanh(min_val=-2, max_val=2)"),
    (nn.Hardtanh(inplace=True), "Hardtanh(min_val=-1.0, max_val=1.0, inplace=True)"),
    (nn.Hardsigmoid(), "Hardsigmoid()"),
    (nn.Hardswish(inplace=True), "Hardswish()"),
    (nn.Threshold(0.1, 20), "Threshold(threshold=0.1, value=20)"),
    (nn.Threshold(0.1, 20, inplace=True), "Threshold(threshold=0.1, value=20, inplace=True)"),
    (nn.Hardshrink(), "Hardshrink(0.5)"),
    (nn.Softshrink(0.25), "Softshrink(0.25)"),
    (nn.GELU(), "GELU(approximate='none')"),
    (nn.GELU("tanh"), "GELU(approximate='tanh')"),
    (nn.GLU(), "GLU(dim=-1)"),
    (nn.LogSigmoid(), "LogSigmoid()"),
    (nn.LogSoftmax(1), "LogSoftmax(dim=1)"),
    (nn.Softmax(dim=-1), "Softmax(dim=-1)"),
    (nn.Softmin(0), "Softmin(dim=0)"),
    (nn.Softmax2d(), "Softmax2d()"),
    (nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
    (nn.Softplus(2, 10), "Softplus(beta=2, threshold=10)"),
    (nn.Softsign(), "Softsign()"),
    (nn.Tanhshrink(), "Tanhshrink()"),
    (nn.Mish(), "Mish()"),
    (nn.Conv1d(2, 4, 3), "Conv1d(2, 4, kernel_size=(3,), stride=(1,))"),
    (
        nn.Conv2d(
            2, 4, 3, stride=2, padding=1, dilation=2, groups=2, bias=False, padding_mode="reflect"
        ),
        "Conv2d(2, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2), "
        "groups=2, bias=False, padding_mode=reflect)",
    ),
    (
        nn.Conv2d(2, 4, 3, padding="same"),
        "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=same)",
    ),
    (
        nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1),
        "ConvTranspose2d(4, 2, kernel_size=(3, 3), stride=(2, 2), output_padding=(1, 1))",
    ),
    (nn.ConvTranspose1d(4, 2, 3), "ConvTranspose1d(4, 2, kernel_size=(3,), stride=(1,))"),
    (nn.MaxPool1d(2), "MaxPool1d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
    (
        nn.MaxPool2d(2, padding=1, ceil_mode=True),
        "MaxPool2d(kernel_size=2, stride=2, padding=1, dilation=1, ceil_mode=True)",
    ),
    (nn.AvgPool1d(3, 2, 1), "AvgPool1d(kernel_size=(3,), stride=(2,), padding=(1,))"),
    (nn.AvgPool2d(2), "AvgPool2d(kernel_size=2, stride=2, padding=0)"),
    (nn.AdaptiveAvgPool1d(5), "AdaptiveAvgPool1d(output_size=5)"),
    (nn.AdaptiveAvgPool2d((3, None)), "AdaptiveAvgPool2d(output_size=(3, None))"),
    (nn.AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d(output_size=1)"),
    (nn.Bilinear(2, 3, 4), "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)"),
    (
        nn.Bilinear(2, 3, 4, bias=False),
        "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=False)",
    ),
    (nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
    (nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
    (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (nn.Embedding(10, 3), "Embedding(10, 3)"),
    (nn.Embedding(10, 3, padding_idx=0), "Embedding(10, 3, padding_idx=0)"),
    (nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"),
    (nn.LayerNorm(3), "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)"),
    (
        nn.LayerNorm((2, 3), elementwise_affine=False),
        "LayerNorm((2, 3), eps=1e-05, elementwise_affine=False, bias=False)",
    ),
    (nn.RMSNorm(3), "RMSNorm((3,), eps=None, elementwise_affine=True)"),
    (
        nn.RMSNorm([2, 3], eps=1e-6, elementwise_affine=False),
        "RMSNorm((2, 3), eps=1e-06, elementwise_affine=False)",
    ),
    (
        nn.BatchNorm2d(3),
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
    ),
    (
        nn.BatchNorm1d(3, eps=1e-3, momentum=None, affine=False),
        "BatchNorm1d(3, eps=0.001, momentum=None, affine=False, bias=False, "
        "track_running_stats=True)",
    ),
    (
        nn.InstanceNorm2d(3),
        "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, "
        "track_running_stats=False)",
    ),
    (nn.RNN(3, 4), "RNN(3, 4)"),
    (
        nn.LSTM(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True),
        "LSTM(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True)",
    ),
    (nn.GRU(3, 4, bidirectional=True), "GRU(3, 4, bidirectional=True)"),
    (nn.RNNCell(3, 4), "RNNCell(3, 4)"),
    (nn.RNNCell(3, 4, nonlinearity="relu"), "RNNCell(3, 4, nonlinearity=relu)"),
    (nn.LSTMCell(3, 4, bias=False), "LSTMCell(3, 4, bias=False)"),
    (nn.GRUCell(3, 4), "GRUCell(3, 4)"),
    (nn.Dropout(0.3), "Dropout(p=0.3, inplace=False)"),
    (nn.Dropout2d(0.3, inplace=True), "Dropout2d(p=0.3, inplace=True)"),
    (nn.AlphaDropout(), "AlphaDropout(p=0.5, inplace=False)"),
    (nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
    (nn.ModuleList([]), "ModuleList()"),
    (nn.ModuleDict({}), "ModuleDict()"),
    (nn.Sequential(), "Sequential()"),
    (nn.CosineSimilarity(), "CosineSimilarity()"),
    (nn.PairwiseDistance(), "PairwiseDistance()"),
    (nn.TripletMarginLoss(), "TripletMarginLoss()"),
]


@pytest.mark.parametrize(("layer", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_a_layer_prints_as_in_pytorch(layer: nn.Module, text: str) -> None:
    assert repr(layer) == text


def test_equal_neighbours_in_a_list_are_counted() -> None:
    layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()])
    assert repr(layers) == "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)"


def test_a_dictionary_of_layers_prints_its_names() -> None:
    layers = nn.ModuleDict({"squash": nn.Tanh(), "cut": nn.Hardtanh(0, 1)})
    assert repr(layers) == (
        "ModuleDict(\n  (squash): Tanh()\n  (cut): Hardtanh(min_val=0, max_val=1)\n)"
    )
