"""A checkpoint's weights go to PyTorch: the same names, the same network, the same answers."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import chainrule
from chainrule.train import TrainConfig, build_model
from chainrule.train.checkpoint import Checkpoint, write_checkpoint


class Mlp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(784, 128)
        self.fc2 = torch.nn.Linear(128, 10)

    def forward(self, x):
        return self.fc2(self.fc1(x.flatten(1)).relu())


class Lenet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = torch.nn.Conv2d(6, 16, 5)
        self.fc1 = torch.nn.Linear(400, 120)
        self.fc2 = torch.nn.Linear(120, 84)
        self.fc3 = torch.nn.Linear(84, 10)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(self.conv1(x).relu(), 2)
        x = torch.nn.functional.max_pool2d(self.conv2(x).relu(), 2)
        return self.fc3(self.fc2(self.fc1(x.flatten(1)).relu()).relu())


class Cnn(torch.nn.Module):
    """The network of PyTorch's own MNIST example."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 32, 3, 1)
        self.conv2 = torch.nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = torch.nn.Dropout(0.25)
        self.dropout2 = torch.nn.Dropout(0.5)
        self.fc1 = torch.nn.Linear(9216, 128)
        self.fc2 = torch.nn.Linear(128, 10)

    def forward(self, x):
        x = self.conv2(self.conv1(x).relu()).relu()
        x = self.dropout1(torch.nn.functional.max_pool2d(x, 2))
        return self.fc2(self.dropout2(self.fc1(x.flatten(1)).relu()))


@pytest.mark.parametrize(("name", "theirs"), [("mlp", Mlp), ("lenet", Lenet), ("cnn", Cnn)])
def test_weights_load_into_pytorch_by_name(tmp_path, rng, name, theirs):
    assert TrainConfig.of("mnist", name).model == name
    model = build_model(name).eval()
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    folder = write_checkpoint(tmp_path, Checkpoint(3, weights, {}, {}))
    twin = theirs().eval()
    twin.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    x = rng.standard_normal((4, 1, 28, 28)).astype(np.float32)
    with chainrule.no_grad(), torch.no_grad():
        mine = model(chainrule.from_numpy(x)).numpy()
        expected = twin(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(mine, expected, rtol=2e-4, atol=2e-5)
