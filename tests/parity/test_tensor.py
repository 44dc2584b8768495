"""What a tensor does on its own, side by side with PyTorch; and memory shared between the two."""

import copy

import numpy as np
import pytest

import chainrule

torch = pytest.importorskip("torch")


def plain(result):
    """A result without its library: tensors as dtype, shape, numbers; dtypes by name."""
    if isinstance(result, chainrule.Tensor | torch.Tensor):
        dtype = str(result.dtype).rpartition(".")[2]
        return dtype, tuple(result.shape), result.tolist(), result.requires_grad
    if isinstance(result, tuple | list):
        return [plain(each) for each in result]
    return str(result).rpartition(".")[2] if "torch." in str(result) else result


def graph(t):
    x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    return x, x * 2


def hooked(t):
    x, y = graph(t)
    seen = []
    x.register_hook(lambda grad: grad * 10)
    y.retain_grad()
    y.register_hook(lambda grad: seen.append(grad.tolist()))
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    y.sum().backward()
    return x.grad, y.grad, seen, y.retains_grad, x.retains_grad


def copied(t):
    x, y = graph(t)
    y.sum().backward()
    z = copy.deepcopy(x)
    return z, z.grad, z.is_leaf, copy.copy(x)


def written(t):
    x = t.zeros(2, 3)
    x.copy_(t.tensor([1.9, 2.9, -3.9], dtype=t.float64))
    y = t.zeros(3, dtype=t.int64)
    y.copy_(x[0])
    return x, y, y.fill_(4), y.zero_(), x.fill_(t.tensor(2.5)), x.fill_(True)


def given_data(t):
    x, _ = graph(t)
    x.data.mul_(3)
    before = x.clone()
    x.data = t.zeros(5)
    return before.detach(), x


@pytest.mark.parametrize(
    "ask",
    [
        lambda t: tuple(t.zeros(2, 3).size()) + (t.zeros(2, 3).size(1), t.zeros(2, 3).size(-1)),
        lambda t: (t.zeros(2, 3).numel(), t.zeros(2, 3).shape.numel(), t.numel(t.ones(4))),
        lambda t: (t.zeros(2, 3).dim(), t.zeros(2).ndimension(), t.zeros(()).ndim),
        lambda t: (t.zeros(2).element_size(), t.zeros(2).nbytes, t.zeros(2).double().itemsize),
        lambda t: (t.ones(2).is_floating_point(), t.is_floating_point(t.ones(2).long())),
        lambda t: (t.ones(2).is_complex(), t.ones(2).byte().is_signed(), t.ones(1).is_nonzero()),
        lambda t: (t.zeros(2, 3).stride(), t.zeros(2, 3).T.is_contiguous()),
        lambda t: t.tensor([1.7, -1.7, 0.0]).to(t.int32),
        lambda t: t.tensor([1.7, -1.7, 0.0]).bool(),
        lambda t: t.tensor([300, -1]).byte(),
        lambda t: t.tensor([300, -1]).char(),
        lambda t: t.tensor([1, 2]).to(t.ones(1, dtype=t.float64)),
        lambda t: t.tensor([1, 2]).type_as(t.ones(1)),
        lambda t: t.tensor([True, False]).half(),
        lambda t: graph(t)[1].double(),
        lambda t: graph(t)[1].long(),
        lambda t: [each.tolist() for each in t.tensor([[1, 2], [3, 4]])],
        lambda t: (2.0 in t.tensor([1.0, 2.0]), 5 in t.tensor([1, 2])),
        lambda t: (len(t.zeros(4, 2)), bool(t.tensor([[1]])), [7, 8][t.tensor(1)]),
        lambda t: (int(t.tensor(2.7)), float(t.tensor([3])), t.tensor(True).item()),
        lambda t: graph(t)[1].detach(),
        lambda t: (graph(t)[0].is_leaf, graph(t)[1].is_leaf, graph(t)[1].requires_grad),
        lambda t: graph(t)[1].detach_(),
        lambda t: t.ones(2).requires_grad_().requires_grad_(False),
        hooked,
        copied,
        written,
        given_data,
    ],
)
def test_the_same_answers(ask):
    assert plain(ask(chainrule)) == plain(ask(torch))


@pytest.mark.parametrize(
    "ask",
    [
        lambda t: bool(t.ones(2)),
        lambda t: t.ones(2).item(),
        lambda t: len(t.tensor(1)),
        lambda t: list(t.tensor(1)),
        lambda t: [1][t.tensor(0.5)],
        lambda t: graph(t)[0].numpy(),
        lambda t: copy.deepcopy(graph(t)[1]),
        lambda t: t.ones(2).long().requires_grad_(),
        lambda t: graph(t)[1].requires_grad_(False),
        lambda t: setattr(graph(t)[0], "grad", t.ones(2)),
        lambda t: setattr(graph(t)[0], "grad", t.ones(3).double()),
        lambda t: setattr(graph(t)[0], "data", t.ones(3).long()),
        lambda t: t.ones(2).retain_grad(),
        lambda t: t.ones(2).register_hook(print),
        lambda t: graph(t)[1].register_post_accumulate_grad_hook(print),
        lambda t: t.zeros(2).copy_(t.ones(3)),
        lambda t: t.zeros(2).to("nowhere"),
    ],
)
def test_the_same_refusals(ask):
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)) as theirs:
        ask(torch)
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)) as ours:
        ask(chainrule)
    for kind in (TypeError, ValueError, IndexError):
        if type(theirs.value) is kind:
            assert isinstance(ours.value, kind)


DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_is_shared_with_pytorch_both_ways(dtype: str):
    ours = chainrule.zeros(3, 2, dtype=getattr(chainrule, dtype))
    theirs = torch.from_dlpack(ours)
    theirs[0, 0] = 1
    assert ours.tolist() == theirs.tolist()
    back = chainrule.from_dlpack(theirs.T)
    back[1, 2] = 1
    assert ours.tolist() == theirs.tolist()
    assert theirs[2, 1] == 1
    assert chainrule.as_tensor(theirs.numpy()).tolist() == theirs.tolist()
    assert torch.asarray(np.asarray(ours)).tolist() == ours.tolist()


def test_what_pytorch_does_not_hand_over_is_refused():
    with pytest.raises(chainrule.errors.DTypeError, match="can't be shared"):
        chainrule.from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises((chainrule.errors.ChainruleError, BufferError)):
        torch.from_dlpack(chainrule.ones(2, requires_grad=True))
