"""What layers do themselves: settings, modes, refusals. Their mathematics has tests of its own."""

from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.errors import ChainruleError, ConfigError, DTypeError, ShapeError


def names(module: nn.Module) -> list[str]:
    return list(module.state_dict())


def test_parameters_have_pytorchs_names_and_shapes() -> None:
    shapes = {
        name: each.shape for name, each in nn.Conv2d(4, 6, (3, 2), groups=2).named_parameters()
    }
    assert shapes == {"weight": (6, 2, 3, 2), "bias": (6,)}
    shapes = {name: each.shape for name, each in nn.ConvTranspose2d(4, 6, 3).named_parameters()}
    assert shapes == {"weight": (4, 6, 3, 3), "bias": (6,)}
    assert names(nn.Linear(2, 3, bias=False)) == ["weight"]
    assert nn.Linear(2, 3, bias=False).bias is None
    assert names(nn.BatchNorm2d(2)) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]
    assert names(nn.BatchNorm2d(2, affine=False, track_running_stats=False)) == []
    assert names(nn.InstanceNorm2d(2)) == []
    assert names(nn.CrossEntropyLoss()) == []
    assert names(nn.CrossEntropyLoss(weight=chainrule.ones(2))) == ["weight"]


def test_dropout_acts_in_training_only() -> None:
    layer, x = nn.Dropout(0.5), chainrule.ones(2000)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {0, 2}
    assert y.mean() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())
    chainrule.manual_seed(1)
    first = layer.train()(x).numpy()
    chainrule.manual_seed(1)
    np.testing.assert_array_equal(layer(x).numpy(), first)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_channel_dropout_drops_whole_channels(axes: int) -> None:
    layer = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)[axes - 1](0.5)
    x = chainrule.ones(20, 10, *[3] * axes)
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())
    y = layer.train()(x).numpy()
    per_channel = y.reshape(200, 3**axes)
    assert (per_channel.min(1) == per_channel.max(1)).all()
    assert set(np.unique(y)) == {0, 2}


def test_batch_norm_learns_statistics_in_training_and_uses_them_in_eval() -> None:
    layer = nn.BatchNorm1d(2, momentum=None)
    batches = [np.random.default_rng(i).standard_normal((16, 2)).astype("f") * 3 for i in range(3)]
    for batch in batches:
        y = layer(chainrule.from_numpy(batch))
        np.testing.assert_allclose(y.detach().numpy().mean(0), 0, atol=1e-6)
    mean = np.mean([batch.mean(0) for batch in batches], axis=0)
    var = np.mean([batch.var(0, ddof=1) for batch in batches], axis=0)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-5)
    before = layer.state_dict()["running_mean"].numpy().copy()
    x = batches[0]
    y = layer.eval()(chainrule.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layer.running_mean.numpy(), before)
    assert layer.num_batches_tracked.item() == 3
    layer.reset_parameters()
    assert layer.running_var.tolist() == [1, 1]
    assert layer.num_batches_tracked.item() == 0


def test_transposed_convolution_reaches_the_size_asked_for() -> None:
    layer, x = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1), chainrule.ones(1, 1, 4, 4)
    assert layer(x).shape == (1, 1, 7, 7)
    assert layer(x, output_size=(8, 7)).shape == (1, 1, 8, 7)
    with pytest.raises(ConfigError, match=r"\[7, 7\]"):
        layer(x, output_size=(9, 9))


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Conv2d(3, 4, 3, padding="some"),
        lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"),
        lambda: nn.Conv2d(3, 4, 0),
        lambda: nn.Conv2d(3, 4, (1, 2, 3)),
        lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"),
        lambda: nn.GroupNorm(3, 4),
        lambda: nn.Dropout(1.5),
        lambda: nn.Embedding(3, 4, padding_idx=5),
        lambda: nn.Embedding(3, 4, max_norm=1.0),
        lambda: nn.Linear(3, 4, device="cuda"),
    ],
)
def test_settings_that_can_not_be_are_refused_at_once(build) -> None:
    with pytest.raises(ConfigError):
        build()


@pytest.mark.parametrize(
    ("layer", "x", "error"),
    [
        (nn.Linear(3, 2), chainrule.ones(2, 4), ShapeError),
        (nn.Linear(3, 2), chainrule.ones(2, 3, dtype=chainrule.float64), DTypeError),
        (nn.BatchNorm1d(2), chainrule.ones(2, 2, 2, 2), ShapeError),
        (nn.BatchNorm2d(2), chainrule.ones(2, 2), ShapeError),
        (nn.Conv2d(1, 1, 3), chainrule.ones(2, 2, 5, 5), ShapeError),
        (nn.Embedding(3, 2), chainrule.tensor([3]), ChainruleError),
        (nn.LayerNorm(3), chainrule.ones(2, 4), ShapeError),
    ],
)
def test_inputs_that_do_not_fit_are_typed_errors(layer, x, error) -> None:
    with pytest.raises(error):
        layer(x)


def test_embedding_around_a_table_there_is() -> None:
    table = chainrule.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    assert layer(chainrule.tensor([1])).tolist() == [[3, 4]]
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad


def test_samples_without_a_batch() -> None:
    assert nn.Conv2d(1, 2, 3)(chainrule.ones(1, 5, 5)).shape == (2, 3, 3)
    assert nn.MaxPool2d(2)(chainrule.ones(1, 4, 4)).shape == (1, 2, 2)
    assert nn.InstanceNorm2d(2)(chainrule.randn(2, 4, 4)).shape == (2, 4, 4)


def test_max_pool_returns_where_the_maxima_were() -> None:
    y, index = nn.MaxPool2d(2, return_indices=True)(chainrule.arange(16.0).reshape(1, 1, 4, 4))
    assert y.flatten().tolist() == [5, 7, 13, 15]
    assert index.flatten().tolist() == [5, 7, 13, 15]


def test_every_public_name_is_there_and_documented() -> None:
    for name in nn.__all__:
        assert getattr(nn, name).__doc__, name


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers_refuse_states_of_other_sizes_and_empty_sequences(kind: Any) -> None:
    layer, x = kind(4, 5), chainrule.zeros(3, 2, 4)
    for state in (chainrule.zeros(1, 3, 5), chainrule.zeros(2, 2, 5), chainrule.zeros(1, 5)):
        with pytest.raises(ShapeError, match="expected \\[1, 2, 5\\]"):
            layer(x, (state, state) if kind is nn.LSTM else state)
    with pytest.raises(ShapeError, match="no steps"):
        layer(x[:0])
    assert layer(x[:, 0], None)[0].shape == (3, 5)


def test_alpha_dropout_sends_to_the_least_of_selu_and_keeps_mean_and_variance() -> None:
    """Klambauer et al., section 3: dropped units become -α s, then a affine map undoes the rest."""
    layer, x = nn.AlphaDropout(0.2), chainrule.randn(20_000)
    y = layer(x).numpy()
    assert y.mean() == pytest.approx(0, abs=0.05)
    assert y.std() == pytest.approx(1, abs=0.05)
    _, counts = np.unique(y, return_counts=True)
    assert counts.max() == pytest.approx(0.2 * 20_000, rel=0.1), "all dropped are the same number"
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())


@pytest.mark.parametrize(
    ("mode", "numpys"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")]
)
def test_a_border_of_another_kind_is_that_of_numpy(rng, mode: str, numpys: str) -> None:
    x = rng.standard_normal((2, 1, 5, 6)).astype(np.float32)
    layer = nn.Conv2d(1, 2, 3, padding=(1, 2), padding_mode=mode)
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)), mode=numpys)
    expected = nn.functional.conv2d(chainrule.tensor(wide), layer.weight, layer.bias)
    y = layer(chainrule.tensor(x)).detach().numpy()
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    same = nn.Conv2d(1, 2, (3, 4), padding="same", padding_mode=mode)
    assert same(chainrule.tensor(x)).shape == (2, 2, 5, 6)
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 2)), mode=numpys)
    expected = nn.functional.conv2d(chainrule.tensor(wide), same.weight, same.bias)
    y = same(chainrule.tensor(x)).detach().numpy()
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_layers_of_sequences_are_their_functions(rng) -> None:
    x = chainrule.tensor(rng.standard_normal((2, 4, 9)).astype(np.float32))
    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), 3, -1)[..., ::2, :]
    np.testing.assert_array_equal(nn.MaxPool1d(3, 2)(x).numpy(), windows.max(-1))
    np.testing.assert_allclose(nn.AvgPool1d(3, 2)(x).numpy(), windows.mean(-1), rtol=1e-5)
    padded = nn.AvgPool1d(3, 3, padding=1, count_include_pad=False)(x).numpy()
    np.testing.assert_allclose(padded[..., 0], x.numpy()[..., :2].mean(-1), rtol=1e-5)
    thirds = x.numpy().reshape(2, 4, 3, 3).mean(-1)
    np.testing.assert_allclose(nn.AdaptiveAvgPool1d(3)(x).numpy(), thirds, rtol=1e-5, atol=1e-7)


def test_a_transposed_convolution_of_sequences_spreads_its_kernel() -> None:
    layer = nn.ConvTranspose1d(1, 1, 3, stride=2, bias=False)
    with chainrule.no_grad():
        layer.weight.copy_(chainrule.tensor([[[1.0, 2.0, 3.0]]]))
    y = layer(chainrule.tensor([[[1.0, 10.0]]]))
    assert y.tolist() == [[[1, 2, 13, 20, 30]]]
    assert layer(chainrule.ones(1, 1, 2), output_size=(6,)).shape == (1, 1, 6)


def test_norms_without_statistics_or_parameters_have_nothing_to_reset(rng) -> None:
    layer = nn.BatchNorm1d(3, affine=False, track_running_stats=False)
    layer.reset_parameters()
    assert list(layer.state_dict()) == []
    x = rng.standard_normal((8, 3)).astype(np.float32)
    y = layer.eval()(chainrule.tensor(x)).numpy()  # statistics of the batch, there being no others
    np.testing.assert_allclose(y, (x - x.mean(0)) / x.std(0), rtol=1e-3, atol=1e-4)
