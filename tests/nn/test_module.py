"""What a module is: registration, names, state, hooks, text."""

import copy
import pickle
import traceback
from collections import OrderedDict

import numpy as np
import pytest

import chainrule
from chainrule import nn
from chainrule.errors import AutogradError, ChainruleError, ConfigError, ModuleError, StateDictError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.scale = nn.Parameter(chainrule.ones(4))
        self.register_buffer("offset", chainrule.zeros(4))
        self.register_buffer("scratch", chainrule.zeros(1), persistent=False)

    def forward(self, x):
        return self.norm(self.first(x)) * self.scale + self.offset


NAMES = ["scale", "first.weight", "first.bias", "norm.weight", "norm.bias"]


def test_parameters_are_listed_by_dotted_name_own_ones_first() -> None:
    assert [name for name, _ in Net().named_parameters()] == NAMES
    assert [name for name, _ in Net().named_buffers()] == [
        "offset",
        "scratch",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]
    assert [name for name, _ in Net().named_modules()] == ["", "first", "norm"]
    assert [name for name, _ in Net().named_children()] == ["first", "norm"]


def test_state_has_persistent_buffers_only() -> None:
    state = Net().state_dict()
    assert "offset" in state
    assert "scratch" not in state
    assert not any(each.requires_grad for each in state.values())
    model = Net()
    assert model.state_dict(keep_vars=True)["scale"] is model.scale
    assert next(iter(model.state_dict(prefix="a."))) == "a.scale"


def test_shared_parameters_are_listed_once_and_saved_twice() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    assert len(list(model.parameters())) == 3
    assert len(list(model.named_parameters(remove_duplicate=False))) == 4
    assert "1.weight" in model.state_dict()
    shared = nn.ReLU()
    assert len(list(nn.Sequential(shared, shared).modules())) == 2


def test_assigning_before_init_says_what_is_missing() -> None:
    class Hasty(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(ModuleError, match=r"super\(\).__init__\(\) first"):
        Hasty()


def test_a_misspelled_attribute_gets_a_suggestion_and_stays_an_attribute_error() -> None:
    model = Net()
    with pytest.raises(AttributeError, match="did you mean 'first'"):
        _ = model.frist
    assert not hasattr(model, "frist")
    assert getattr(model, "frist", 7) == 7


def test_a_traceback_calls_a_misspelling_by_the_error_that_can_be_imported() -> None:
    with pytest.raises(ModuleError) as raised:
        _ = Net().frist
    text = "".join(traceback.format_exception_only(raised.value))
    assert text.startswith("chainrule.errors.ModuleError: Net has no attribute 'frist'")
    assert raised.type.__name__ == "ModuleError"
    assert type(pickle.loads(pickle.dumps(raised.value))) is ModuleError


def test_a_missing_forward_is_named() -> None:
    class Empty(nn.Module):
        pass

    with pytest.raises(ModuleError, match=r"Empty has no forward"):
        Empty()(1)


def test_a_parameter_keeps_its_place_from_other_values() -> None:
    model = Net()
    with pytest.raises(ModuleError, match="is a parameter"):
        model.scale = chainrule.ones(4)
    model.scale = None
    assert "scale" not in model.state_dict()
    model.scale = nn.Parameter(chainrule.zeros(4))
    assert model.get_parameter("scale") is model.scale
    model.offset = chainrule.ones(4)
    assert "offset" in dict(model.named_buffers())
    del model.offset
    assert not hasattr(model, "offset")
    assert "offset" not in dict(model.named_buffers())


@pytest.mark.parametrize("name", ["", "a.b", "forward_and_save", "train", 3])
def test_names_that_can_not_be(name) -> None:
    with pytest.raises(ModuleError):
        nn.Linear(1, 1).add_module(name, nn.ReLU())


def test_only_modules_parameters_and_tensors_are_registered() -> None:
    module = nn.Identity()
    for register in (module.add_module, module.register_parameter, module.register_buffer):
        with pytest.raises(ModuleError):
            register("thing", np.zeros(3))


def test_buffer_class_registers_itself() -> None:
    module = nn.Identity()
    module.a = nn.Buffer(chainrule.zeros(2))
    module.b = nn.Buffer(chainrule.zeros(2), persistent=False)
    assert list(module.state_dict()) == ["a"]
    assert [name for name, _ in module.named_buffers()] == ["a", "b"]


def test_train_and_eval_reach_all_below() -> None:
    model = nn.Sequential(nn.Sequential(nn.Dropout()))
    assert all(not each.training for each in model.eval().modules())
    assert all(each.training for each in model.train().modules())
    with pytest.raises(ConfigError):
        model.train(chainrule.ones(1))


def test_requires_grad_zero_grad_and_apply() -> None:
    model = Net()
    model(chainrule.ones(2, 3)).sum().backward()
    assert all(each.grad is not None for each in model.parameters())
    model.zero_grad(set_to_none=False)
    assert all((each.grad == 0).all() for each in model.parameters())
    model.zero_grad()
    assert all(each.grad is None for each in model.parameters())
    model.requires_grad_(False)
    assert not model(chainrule.ones(2, 3)).requires_grad
    seen: list[nn.Module] = []
    model.apply(seen.append)
    assert seen == [model.first, model.norm, model]


def test_dtype_conversion_keeps_the_objects_and_the_integers() -> None:
    model = Net()
    weight = model.first.weight
    model(chainrule.ones(2, 3)).sum().backward()
    assert model.double() is model
    assert model.first.weight is weight
    assert weight.dtype == chainrule.float64
    assert weight.grad.dtype == chainrule.float64
    assert model.norm.running_mean.dtype == chainrule.float64
    assert model.norm.num_batches_tracked.dtype == chainrule.int64
    assert model(chainrule.ones(2, 3, dtype=chainrule.float64)).dtype == chainrule.float64
    assert model.half().scale.dtype == chainrule.float16
    assert model.float().scale.dtype == chainrule.float32
    assert model.cpu() is model.to("cpu") is model
    assert model.scale.dtype == chainrule.float32
    assert model.to("cpu", chainrule.float32).scale.dtype == chainrule.float32
    assert model.to(chainrule.ones(1, dtype=chainrule.float64)).scale.dtype == chainrule.float64
    for wrong in ("cuda", chainrule.int64):
        with pytest.raises(ConfigError):
            model.to(wrong)


def test_state_travels_between_modules_bit_for_bit() -> None:
    one, other = Net(), Net()
    assert not np.array_equal(one.first.weight.detach(), other.first.weight.detach())
    assert repr(other.load_state_dict(one.state_dict())) == "<All keys matched successfully>"
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name].numpy(), value.numpy())
    assert other.first.weight is not one.first.weight
    assert other.first.weight.requires_grad


def test_arrays_load_too_converted_to_the_modules_dtype() -> None:
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": [3.0]})
    assert model.weight.tolist() == [[1.0, 2.0]]
    assert model.weight.dtype == chainrule.float32
    model.load_state_dict({"weight": np.ones((1, 2)), "bias": np.ones(1)}, assign=True)
    assert model.weight.dtype == chainrule.float64


def test_all_that_does_not_fit_is_in_one_error_and_nothing_is_loaded() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    wrong = {
        "0.weight": np.ones((4, 2), np.float32),
        "0.bias": np.ones(3, np.float32),
        "1.weight": np.ones((1, 5), np.float32),
        "extra": np.ones(1),
    }
    with pytest.raises(StateDictError) as raised:
        model.load_state_dict(wrong)
    text = str(raised.value)
    for part in ("0.weight: given f32[4,2], expected f32[3,2]", "1.weight", "1.bias", "extra"):
        assert part in text
    assert raised.value.facts["missing_keys"] == ("1.bias",)
    assert isinstance(raised.value, KeyError)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_loose_loading_returns_what_did_not_match() -> None:
    model = nn.Linear(2, 3)
    keys = model.load_state_dict({"bias": np.ones(3), "extra": np.ones(1)}, strict=False)
    assert keys.missing_keys == ["weight"]
    assert keys.unexpected_keys == ["extra"]
    assert model.bias.tolist() == [1, 1, 1]
    with pytest.raises(StateDictError):  # a shape that does not fit is never loose
        model.load_state_dict({"bias": np.ones(4)}, strict=False)


def test_loading_hints_at_prefixes_and_refuses_what_is_no_mapping() -> None:
    model = nn.Linear(2, 3)
    given = {f"module.{name}": value for name, value in model.state_dict().items()}
    with pytest.raises(StateDictError, match=r"removeprefix\('module\.'\)"):
        model.load_state_dict(given)
    with pytest.raises(StateDictError, match="mapping"):
        model.load_state_dict([1, 2])
    with pytest.raises(StateDictError, match="given a str"):
        model.load_state_dict({"weight": "oops", "bias": np.ones(3)})


def test_a_state_without_the_count_of_batches_is_whole() -> None:
    model = nn.BatchNorm1d(2)
    state = model.state_dict()
    del state["num_batches_tracked"]
    result = model.load_state_dict(state)
    assert result.missing_keys == []
    assert result.unexpected_keys == []


def test_lookups_by_dotted_name() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(1, 2)), nn.BatchNorm1d(2))
    assert model.get_submodule("0.0") is model[0][0]
    assert model.get_submodule("") is model
    assert model.get_parameter("0.0.bias") is model[0][0].bias
    assert model.get_buffer("1.running_var") is model[1].running_var
    for lookup, name in (
        (model.get_submodule, "0.5"),
        (model.get_submodule, "1.weight"),
        (model.get_parameter, "1.running_var"),
        (model.get_buffer, "1.weight"),
    ):
        with pytest.raises(ModuleError):
            lookup(name)


def test_copies_and_pickles_stand_on_their_own() -> None:
    model = Net()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.first.weight is not model.first.weight
        assert twin.first.weight is dict(twin.named_parameters())["first.weight"]
        np.testing.assert_array_equal(twin.scale.detach(), model.scale.detach())
        with chainrule.no_grad():
            twin.scale.fill_(5)
        assert model.scale.tolist() == [1, 1, 1, 1]
        twin(chainrule.ones(2, 3)).sum().backward()
        assert model.scale.grad is None
    shared = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    shared[1].weight = shared[0].weight
    twin = copy.deepcopy(shared)
    assert twin[0].weight is twin[1].weight


def test_dir_lists_children() -> None:
    assert {"first", "scale", "offset", "forward"} <= set(dir(Net()))
    assert "0" not in dir(nn.Sequential(nn.ReLU()))


# ---- hooks -----------------------------------------------------------------------------------


def test_forward_hooks_see_and_replace() -> None:
    layer = nn.Identity()
    calls: list[str] = []
    pre = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    post = layer.register_forward_hook(lambda module, args, y: y * 10)
    layer.register_forward_hook(lambda *_: calls.append("last"))
    layer.register_forward_hook(lambda *_: calls.append("first"), prepend=True)
    assert layer(chainrule.tensor(1.0)).item() == 20
    assert calls == ["first", "last"]
    pre.remove()
    assert layer(chainrule.tensor(1.0)).item() == 10
    post.remove()
    assert layer(chainrule.tensor(1.0)).item() == 1


def test_hooks_with_keywords_and_always_called_ones() -> None:
    class Picky(nn.Module):
        def forward(self, x, *, factor=1):
            if factor == 0:
                raise ValueError("no")
            return x * factor

    module = Picky()
    seen: list[object] = []
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"factor": kwargs["factor"] * 2}), with_kwargs=True
    )
    module.register_forward_hook(
        lambda m, args, kwargs, y: seen.append(kwargs["factor"]), with_kwargs=True
    )
    module.register_forward_hook(lambda m, args, y: seen.append("always"), always_call=True)
    assert module(chainrule.tensor(1.0), factor=3).item() == 6
    assert seen == [6, "always"]
    seen.clear()
    with pytest.raises(ValueError, match="no"):
        module(chainrule.tensor(1.0), factor=0)
    assert seen == ["always"]


def test_backward_hooks_see_both_gradients_and_replace_the_inputs() -> None:
    layer = nn.Linear(2, 1)
    seen: list[tuple[object, object]] = []

    def hook(module, grad_input, grad_output):
        seen.append((grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 0,)

    handle = layer.register_full_backward_hook(hook)
    layer.register_full_backward_pre_hook(lambda module, grad_output: (grad_output[0] * 2,))
    x = chainrule.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    np.testing.assert_allclose(seen[0][0], 2 * layer.weight.detach().numpy())
    assert seen[0][1] == [[2.0]]
    assert x.grad.tolist() == [[0, 0]]
    assert layer.bias.grad.tolist() == [2.0]
    handle.remove()
    layer(chainrule.ones(1, 2)).sum().backward()
    assert len(seen) == 1


class Halves(nn.Module):
    """Two inputs; a tuple or a list of two outputs."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x, y):
        return self.kind((x * 2, y * 3))


@pytest.mark.parametrize("kind", [tuple, list])
def test_backward_hooks_see_every_input_and_output(kind) -> None:
    module, seen = Halves(kind), []

    def hook(module, grad_input, grad_output):
        seen.append([[each.item() for each in grads] for grads in (grad_input, grad_output)])

    handle = module.register_full_backward_hook(hook)
    x, y = (chainrule.tensor(1.0, requires_grad=True) for _ in range(2))
    outputs = module(x, y)
    assert type(outputs) is kind
    (outputs[0] + outputs[1] * 10).backward()
    assert seen == [[[2, 30], [1, 10]]]
    handle.remove()
    module.register_full_backward_hook(lambda module, grad_input, grad_output: grad_input)
    outputs = module(x, y)
    with pytest.raises(AutogradError, match="hook of Halves returned 2 gradients") as raised:
        (outputs[0] + outputs[1]).backward()
    assert "return it, or None" in raised.value.cure


def test_backward_hook_of_a_module_whose_input_has_no_gradient() -> None:
    layer = nn.Linear(2, 1)
    seen: list[object] = []
    layer.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append(grad_in))
    layer(chainrule.ones(1, 2)).sum().backward()
    assert seen == [(None,)]


# ---- containers ------------------------------------------------------------------------------


def test_sequential_is_a_list_that_runs() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(model) == 3
    assert isinstance(model[-1], nn.Linear)
    assert isinstance(model[:2], nn.Sequential)
    assert model[1:][0] is model[1]
    model.append(nn.Tanh()).insert(1, nn.Identity())
    assert [type(each).__name__ for each in model] == [
        "Linear",
        "Identity",
        "ReLU",
        "Linear",
        "Tanh",
    ]
    del model[1]
    model.extend([nn.Sigmoid()])
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert isinstance(model.pop(4), nn.Sigmoid)
    model[1] = nn.GELU()
    assert isinstance(model[1], nn.GELU)
    assert len(model + nn.Sequential(nn.ReLU())) == 5
    for wrong in (4, -5):
        with pytest.raises(IndexError) as raised:
            _ = model[wrong]
        assert isinstance(raised.value, ChainruleError)


def test_sequential_takes_named_modules() -> None:
    model = nn.Sequential(OrderedDict(fc=nn.Linear(2, 3), act=nn.ReLU()))
    assert list(model.state_dict()) == ["fc.weight", "fc.bias"]
    assert model.fc is model[0]
    assert model(chainrule.ones(1, 2)).shape == (1, 3)


def test_a_module_that_stands_twice_runs_twice() -> None:
    layer = nn.Linear(2, 2)
    x = chainrule.ones(1, 2)
    np.testing.assert_array_equal(nn.Sequential(layer, layer)(x).detach(), layer(layer(x)).detach())


def test_a_function_where_a_module_was_meant_is_refused() -> None:
    with pytest.raises(ModuleError, match=r"nn.ReLU\(\)"):
        nn.Sequential(nn.Linear(1, 1), nn.functional.relu)


def test_module_list_and_dict() -> None:
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    layers += [nn.ReLU()]
    layers.insert(0, nn.Tanh())
    assert len(layers) == 5
    assert len(layers[1:3]) == 2
    assert isinstance(layers[1:3], nn.ModuleList)
    assert layers[-1] is layers[4]
    joined = layers + [nn.Tanh()]
    assert isinstance(joined, nn.ModuleList)
    assert [type(each).__name__ for each in joined][-2:] == ["ReLU", "Tanh"]
    assert len(layers) == 5
    assert isinstance(layers.pop(0), nn.Tanh)
    assert len(list(layers.parameters())) == 6
    with pytest.raises(ModuleError, match="no forward"):
        layers(chainrule.ones(1, 2))
    choices = nn.ModuleDict({"relu": nn.ReLU(), "linear": nn.Linear(1, 1)})
    choices["tanh"] = nn.Tanh()
    assert list(choices) == list(choices.keys()) == ["relu", "linear", "tanh"]
    assert "tanh" in choices
    assert dict(choices.items()) == {name: choices[name] for name in choices}
    assert [type(each).__name__ for each in choices.values()] == ["ReLU", "Linear", "Tanh"]
    assert isinstance(choices.pop("tanh"), nn.Tanh)
    assert list(choices.state_dict()) == ["linear.weight", "linear.bias"]
    with pytest.raises(KeyError):
        del choices["nothing"]
    choices.clear()
    assert len(choices) == 0


def test_parameter_list_and_dict() -> None:
    values = nn.ParameterList([chainrule.ones(2), nn.Parameter(chainrule.zeros(1))])
    assert [each.requires_grad for each in values] == [True, True]
    assert list(values.state_dict()) == ["0", "1"]
    values[0] = chainrule.zeros(3)
    assert values[0].shape == (3,)
    named = nn.ParameterDict({"a": chainrule.ones(2)})
    named["b"] = chainrule.ones(1)
    assert list(named.state_dict()) == list(named) == ["a", "b"]
    assert list(named.keys()) == ["a", "b"]
    assert [each.shape for each in named.values()] == [(2,), (1,)]
    assert all(named[name] is each for name, each in named.items())
    lines = ("(0): Parameter containing: [float32 of size 3]", "(1): Parameter containing: ")
    assert repr(values) == f"ParameterList(\n    {lines[0]}\n    {lines[1]}[float32 of size 1]\n)"
    assert repr(nn.ParameterList()) == "ParameterList()"
    del named["a"]
    assert "a" not in named
    assert len(named) == 1
    assert repr(named) == "ParameterDict(  (b): Parameter containing: [float32 of size 1])"


def test_repr_of_nested_modules() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), nn.Dropout(0.2))
    assert (
        repr(model)
        == """Sequential(
  (0): Sequential(
    (0): Linear(in_features=2, out_features=3, bias=True)
    (1): ReLU()
  )
  (1): Dropout(p=0.2, inplace=False)
)"""
    )
    assert "(0-2): 3 x ReLU()" in repr(nn.ModuleList(nn.ReLU() for _ in range(3)))
    assert repr(nn.Parameter(chainrule.ones(1))).startswith("Parameter containing:\ntensor([1.]")


def test_a_parameter_shares_memory_and_is_a_leaf() -> None:
    data = chainrule.ones(2)
    parameter = nn.Parameter(data)
    assert parameter.is_leaf
    assert np.shares_memory(parameter.detach().numpy(), data.numpy())
    assert type(parameter * 2) is chainrule.Tensor
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    with pytest.raises(ChainruleError):
        nn.Parameter(chainrule.tensor([1, 2]))


def test_a_scalar_saved_as_a_vector_of_one_is_loaded_as_a_scalar() -> None:
    module = nn.Module()
    module.scale = nn.Parameter(chainrule.tensor(1.0))
    module.load_state_dict({"scale": np.array([2.5], np.float32)})
    assert module.scale.shape == ()
    assert module.scale.item() == 2.5


def test_what_did_not_match_prints_and_tells_how_to_load_all_the_same() -> None:
    layer, part = nn.Linear(2, 1), {"weight": chainrule.ones(1, 2)}
    loaded = layer.load_state_dict(part, strict=False)
    assert repr(loaded) == "IncompatibleKeys(missing_keys=['bias'], unexpected_keys=[])"
    assert repr(layer.load_state_dict(layer.state_dict())) == "<All keys matched successfully>"
    with pytest.raises(StateDictError, match="missing: bias") as raised:
        layer.load_state_dict(part)
    assert "strict=False" in raised.value.cure


def test_an_error_about_a_misspelled_attribute_survives_pickling() -> None:
    with pytest.raises(ModuleError) as raised:
        nn.Linear(1, 1).wieght  # noqa: B018
    again = pickle.loads(pickle.dumps(raised.value))
    assert isinstance(again, ModuleError)
    assert again.problem == "Linear has no attribute 'wieght'"
    assert "'weight'" in again.cure
