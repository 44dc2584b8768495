"""Every op of the library against what must be true of any op: one suite, driven by the registry.

An op gets here by being defined. The oracles know nothing of it: central differences of its own
forward pass in float64, the inner product that ties vjp to jvp, differences of the gradient for
the second derivative, autodiff of its body for a derivative made by hand. The last tests give the
checks ops that are wrong on purpose, and see that they are caught.
"""

import importlib
import itertools
import pkgutil

import numpy as np
import pytest

import chainrule
from chainrule import eager
from chainrule.autograd import forward
from chainrule.core.coarse import CoarseOp
from chainrule.core.families import Binary, Elementwise, LinearOp, Unary
from chainrule.core.interpret import bind
from chainrule.core.op import Sample, Saves, registry
from chainrule.core.samples import binary_samples, samples_of, spread, unary_samples
from chainrule.core.types import TensorType
from chainrule.errors import OpError

STEP = 2e-4


def _load_every_room_with_ops():
    for room in ("chainrule.ops", "chainrule.autograd", "chainrule.nn.functional"):
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)


_load_every_room_with_ops()
OPS = sorted(registry)


def each_op(condition=lambda op: True):
    """Parametrise by the names of all ops for which the condition holds."""
    return pytest.mark.parametrize("name", [name for name in OPS if condition(registry[name])])


def is_differentiable(op):
    """An op class; where instances decide (a cast), the check decides sample by sample."""
    return op.differentiable is not False


# ---- how an op is run ------------------------------------------------------------------------


def outputs_of(result):
    return result if isinstance(result, tuple) else (result,)


def run(op, arrays, tracked=()):
    """The outputs, and the inputs as tensors, of which those in `tracked` require gradients."""
    inputs = [chainrule.from_numpy(array) for array in arrays]
    for index in tracked:
        inputs[index].requires_grad_()
    return outputs_of(bind(op, *inputs)), inputs


def differentiable_inputs(sample):
    """Positions of the inputs that the op claims a derivative for."""
    op = sample.op
    positions = [i for i, x in enumerate(sample.inputs) if x.dtype.kind == "f"]
    if isinstance(op, LinearOp) and op.linear_in is not None:
        return tuple(i for i in positions if i in op.linear_in)
    if isinstance(op, Elementwise):
        return tuple(i for i in positions if op._partials[i] is not None)
    return tuple(i for i in positions if i not in getattr(op, "constant_in", ()))


def subsets(positions):
    """Every non-empty set of inputs that may want a gradient; of many, only some."""
    if len(positions) > 3:
        return [positions, *((position,) for position in positions)]
    sizes = range(len(positions), 0, -1)
    return [each for size in sizes for each in itertools.combinations(positions, size)]


def samples(op):
    """What the op says to try it with; a NumPy scalar is an array of no dimensions."""
    return [
        Sample(each.op, tuple(map(np.asarray, each.inputs)), each.smooth) for each in samples_of(op)
    ]


def smooth_samples(op):
    return [
        sample
        for sample in samples(op)
        if sample.smooth and sample.op.differentiable and differentiable_inputs(sample)
    ]


def draw(shape, seed):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def gradients(op, arrays, tracked, y_bar, create_graph=False):
    """The tracked inputs and their gradients; zeros where the op says that there is none."""
    (y, *_), inputs = run(op, arrays, tracked)
    wanted = [inputs[index] for index in tracked]
    bars = chainrule.autograd.grad(
        y, wanted, y_bar, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return wanted, bars


def tangent(op, inputs, tangents):
    """The first output and its tangent, from those of the inputs."""
    with forward.dual_level():
        duals = [
            x if x_dot is None else forward.make_dual(x, x_dot)
            for x, x_dot in zip(inputs, tangents)
        ]
        return forward.unpack_dual(outputs_of(bind(op, *duals))[0])


def moved(arrays, directions, distance):
    return [
        np.asarray(array + distance * directions[i]) if i in directions else array
        for i, array in enumerate(arrays)
    ]


def slope(function, arrays, directions):
    """d function(arrays + t directions)/dt at 0: five-point central difference, and its noise."""
    near, far = (
        function(moved(arrays, directions, factor * STEP))
        - function(moved(arrays, directions, -factor * STEP))
        for factor in (1, 2)
    )
    return (8 * near - far) / (12 * STEP)


def assert_close(actual, expected, scale, message):
    tolerance = 1e-7 * max(abs(actual), abs(expected)) + 1e-9 * (1 + scale)
    assert abs(actual - expected) <= tolerance, f"{message}: {actual!r} and not {expected!r}"


def describe(sample, extra=""):
    shapes = ", ".join(f"{x.dtype}{list(x.shape)}" for x in sample.inputs)
    return f"{sample.op}({shapes}) {extra}"


# ---- what must be true of any op -------------------------------------------------------------


def check_type_rule(sample, dtype):
    arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in sample.inputs]
    outputs, inputs = run(sample.op, arrays)
    promised = outputs_of(sample.op.type_rule(*[x.type for x in inputs]))
    assert promised == tuple(y.type for y in outputs), describe(sample, str(dtype))
    if not isinstance(sample.op, CoarseOp):
        plain = outputs_of(sample.op.reference(*arrays))
        actual = tuple((np.shape(y), np.asarray(y).dtype) for y in plain)
        assert tuple((y.shape, y.dtype.numpy) for y in promised) == actual, describe(sample)


def check_first_order(sample):
    """vjp against the slope of <y_bar, f> along random directions, for each subset of inputs."""
    (y, *_), _ = run(sample.op, sample.inputs)
    y_bar = draw(y.shape, 1)

    def objective(arrays):
        return float(np.sum(y_bar * run(sample.op, arrays)[0][0].numpy()))

    scale = float(np.sum(np.abs(y_bar * y.numpy())))
    for tracked in subsets(differentiable_inputs(sample)):
        _, bars = gradients(sample.op, sample.inputs, tracked, chainrule.from_numpy(y_bar))
        for seed in (2, 3):
            directions = {i: draw(sample.inputs[i].shape, seed + 10 * i) for i in tracked}
            actual = sum(
                float(np.sum(bar.numpy() * directions[i])) for i, bar in zip(tracked, bars)
            )
            expected = slope(objective, sample.inputs, directions)
            assert_close(actual, expected, scale, describe(sample, f"vjp for inputs {tracked}"))


def check_adjoint(sample):
    """<y_bar, J x_dot> = <Jᵀ y_bar, x_dot>, exactly but for rounding."""
    for tracked in subsets(differentiable_inputs(sample)):
        inputs = [chainrule.from_numpy(array) for array in sample.inputs]
        tangents = [
            chainrule.from_numpy(draw(x.shape, 5 + i)) if i in tracked else None
            for i, x in enumerate(inputs)
        ]
        y, y_dot = tangent(sample.op, inputs, tangents)
        y_bar = draw(y.shape, 6)
        _, bars = gradients(sample.op, sample.inputs, tracked, chainrule.from_numpy(y_bar))
        forward = y_bar * (0 if y_dot is None else y_dot.numpy())
        backward = [bar.numpy() * tangents[i].numpy() for i, bar in zip(tracked, bars)]
        scale = np.sum(np.abs(forward)) + sum(np.sum(np.abs(each)) for each in backward)
        difference = float(np.sum(forward) - sum(np.sum(each) for each in backward))
        assert y_dot is None or y_dot.type == y.type, describe(sample, "type of the tangent")
        assert abs(difference) <= 1e-12 * (1 + scale), describe(sample, f"adjoint, {tracked}")


def check_second_order(sample):
    """The gradient of <w, gradient> against its slope."""
    tracked = differentiable_inputs(sample)
    (y, *_), _ = run(sample.op, sample.inputs)
    y_bar = draw(y.shape, 7)
    weights = {i: draw(sample.inputs[i].shape, 8 + i) for i in tracked}

    def inner(arrays, create_graph=False):
        bar = chainrule.from_numpy(y_bar)
        wanted, bars = gradients(sample.op, arrays, tracked, bar, create_graph)
        terms = [(chainrule.from_numpy(weights[i]) * x).sum() for i, x in zip(tracked, bars)]
        return wanted, sum(terms[1:], terms[0])

    wanted, value = inner(sample.inputs, create_graph=True)
    if value.requires_grad:
        bars = chainrule.autograd.grad(value, wanted, materialize_grads=True, allow_unused=True)
    else:
        bars = [x.detach().zeros_like() for x in wanted]
    directions = {i: draw(sample.inputs[i].shape, 30 + i) for i in tracked}
    actual = sum(float(np.sum(bar.numpy() * directions[i])) for i, bar in zip(tracked, bars))
    expected = slope(lambda arrays: inner(arrays)[1].item(), sample.inputs, directions)
    assert_close(actual, expected, 10 * abs(value.item()), describe(sample, "second order"))


def check_hand_derived_backward(sample):
    """A coarse op's backward against autodiff of its body, for each subset of inputs."""
    for tracked in subsets(differentiable_inputs(sample)):
        inputs = [chainrule.from_numpy(array) for array in sample.inputs]
        for index in tracked:
            inputs[index].requires_grad_()
        y, _ = sample.op.forward(*inputs)
        y_bar = chainrule.from_numpy(draw(y.shape, 9))
        wanted = [inputs[index] for index in tracked]
        if y.requires_grad:
            expected = chainrule.autograd.grad(
                y, wanted, y_bar, allow_unused=True, materialize_grads=True
            )
        else:
            expected = [x.detach().zeros_like() for x in wanted]
        _, actual = gradients(sample.op, sample.inputs, tracked, y_bar)
        for index, mine, true in zip(tracked, actual, expected):
            scale = 1 + np.max(np.abs(true.numpy()), initial=0)
            np.testing.assert_allclose(
                mine.numpy(),
                true.numpy(),
                rtol=1e-9,
                atol=1e-11 * scale,
                err_msg=describe(sample, f"input {index}, gradients wanted for {tracked}"),
            )


def check_recording(sample):
    """What is run from the second time on against what is run the first: the same bits."""
    for dtype in (np.float64, np.float32):
        arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in sample.inputs]
        eager.forget()
        first, *_, last = [everything(sample, arrays) for _ in range(3)]
        assert eager.NEVER not in eager._routines.values(), describe(sample, "can't be recorded")
        for plain, recorded in zip(first, last, strict=True):
            assert plain.dtype == recorded.dtype, describe(sample, str(dtype))
            np.testing.assert_array_equal(recorded, plain, describe(sample, str(dtype)))


def everything(sample, arrays):
    """The outputs, residuals too, and the gradients for every subset of the inputs."""
    outputs, inputs = run(sample.op, arrays)
    found = [y.numpy() for y in outputs]
    tracked = differentiable_inputs(sample) if sample.op.differentiable else ()
    for subset in subsets(tracked):
        (y, *_), inputs = run(sample.op, arrays, subset)
        if y.requires_grad:
            y.backward(chainrule.from_numpy(draw(y.shape, 13).astype(y.value.dtype)))
        found += [x.grad.numpy() for x in inputs if x.grad is not None]
    return found


def results(sample, arrays):
    """Outputs and gradients for one set of inputs, as arrays."""
    outputs, _ = run(sample.op, arrays)
    found = [y.numpy() for y in outputs]
    if sample.op.differentiable and differentiable_inputs(sample):
        y_bar = chainrule.from_numpy(draw(outputs[0].shape, 11))
        found += [
            bar.numpy()
            for bar in gradients(sample.op, arrays, differentiable_inputs(sample), y_bar)[1]
        ]
    return found


def in_other_memory(array):
    """The same numbers, laid out in memory in other ways."""
    if not array.ndim:
        return (array.copy(),) * 3
    wide = np.repeat(array, 2, axis=-1)[..., ::2]
    backwards = np.flip(np.flip(array).copy())
    return np.asfortranarray(array), wide, backwards


def check_memory_layouts(sample):
    expected = results(sample, sample.inputs)
    for variant in zip(*map(in_other_memory, sample.inputs)):
        for one, other in zip(expected, results(sample, list(variant)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12, err_msg=describe(sample))


def check_inputs_are_left_alone(sample):
    arrays = [np.array(x) for x in sample.inputs]
    for array in arrays:
        array.flags.writeable = False
    results(sample, arrays)
    for given, kept in zip(sample.inputs, arrays):
        np.testing.assert_array_equal(given, kept, err_msg=describe(sample))


# ---- every op --------------------------------------------------------------------------------


@each_op()
def test_op_says_what_it_is_and_what_to_try_it_with(name):
    op = registry[name]
    assert op.name == name
    assert op.__dict__.get("__doc__"), "an op says what it computes"
    if is_differentiable(op):
        assert "=" in op.__doc__, "an op's docstring has its formula: y = ..."
    assert samples(op), "an op says what to try it with"
    for sample in samples(op):
        assert type(sample.op) is op
        hash(sample.op)
        kinds = {x.dtype for x in sample.inputs}
        assert np.dtype(np.float32) not in kinds, "samples are in float64 (or integers, bools)"
    if op.differentiable is True:
        assert smooth_samples(op), "a differentiable op has a sample to differentiate at"


@each_op()
def test_type_rule_is_what_the_reference_gives(name):
    for sample in samples(registry[name]):
        check_type_rule(sample, np.float64)
        check_type_rule(sample, np.float32)


@each_op(is_differentiable)
def test_vjp_is_the_slope(name):
    for sample in smooth_samples(registry[name]):
        check_first_order(sample)


@each_op(is_differentiable)
def test_jvp_is_adjoint_to_vjp(name):
    for sample in smooth_samples(registry[name]):
        check_adjoint(sample)


@each_op(is_differentiable)
def test_gradient_of_the_gradient_is_its_slope(name):
    for sample in smooth_samples(registry[name]):
        check_second_order(sample)


@each_op(lambda op: issubclass(op, CoarseOp) and is_differentiable(op))
def test_hand_derived_backward_is_autodiff_of_the_body(name):
    for sample in samples(registry[name]):
        check_hand_derived_backward(sample)


@each_op()
def test_a_recording_gives_the_bits_of_what_it_records(name):
    for sample in samples(registry[name]):
        check_recording(sample)


@each_op()
def test_memory_layout_makes_no_difference(name):
    for sample in samples(registry[name]):
        check_memory_layouts(sample)


@each_op()
def test_inputs_are_left_alone(name):
    for sample in samples(registry[name]):
        check_inputs_are_left_alone(sample)


@each_op(lambda op: not op.aliases and not issubclass(op, CoarseOp))
def test_an_op_that_is_no_view_gives_memory_of_its_own(name):
    """Whoever runs it may write into the result, and would change the input otherwise."""
    for sample in samples(registry[name]):
        for y in outputs_of(sample.op.reference(*sample.inputs)):
            shared = [x for x in sample.inputs if np.may_share_memory(x, y)]
            assert not shared, describe(sample)


@each_op(lambda op: issubclass(op, Elementwise))
def test_elementwise_op_takes_scalars_nothing_and_broadcasts(name):
    op = registry[name]
    sample = next(each for each in samples(op) if all(x.size for x in each.inputs))
    scalars = tuple(x.reshape(-1)[0].reshape(()) for x in sample.inputs)
    row, column = (3,), (2, 1)
    shapes = [
        [()] * len(scalars),
        [(0, 3)] * len(scalars),
        [row if i % 2 else column for i in range(len(scalars))],
        [(0, 1) if i % 2 else row for i in range(len(scalars))],
    ]
    for chosen in shapes:
        inputs = tuple(np.broadcast_to(x, shape) for x, shape in zip(scalars, chosen))
        tried = Sample(sample.op, inputs)
        (y, *_), _ = run(sample.op, inputs)
        assert y.shape == np.broadcast_shapes(*chosen), describe(tried)
        check_type_rule(tried, np.float64)
        if sample.op.differentiable and differentiable_inputs(tried):
            check_adjoint(tried)


# ---- the checks catch what is wrong ----------------------------------------------------------


class Right(Binary):
    r"""y = a² b."""

    samples = binary_samples(low=-3, high=3)

    def reference(self, a, b):
        return a * a * b

    def partial_a(self, a, b):
        return 2 * a * b

    def partial_b(self, a):
        return a * a


class WrongFactor(Right):
    def partial_a(self, a, b):
        return a * b


class WrongSign(Right):
    def partial_b(self, a):
        return -(a * a)


class MissingSum(Right):
    def vjp(self, y_bar, y, *inputs, needs):
        bars = super().vjp(y_bar, y, *inputs, needs=needs)
        shape = y_bar.shape
        return tuple(
            None if bar is None else bar if bar.shape == shape else y_bar.sum_to_size(bar.shape)
            for bar in bars
        )


class WrongType(Right):
    def reference(self, a, b):
        return (a * a * b).astype(np.float64)


class ConstantDerivative(Unary):
    """Right once, and wrong when differentiated again."""

    samples = unary_samples(low=1, high=3)

    def reference(self, x):
        return x**3

    def partial_x(self, x):
        return 3 * x.detach() ** 2


class ForgetsToReadStrides(Unary):
    """Reads the memory as if it were contiguous."""

    samples = unary_samples(low=1, high=3)

    def reference(self, x):
        base = x if x.base is None or x.size == x.base.size else x.base
        return base.reshape(-1)[: x.size].reshape(x.shape) * 2.0

    def partial_x(self):
        return 2


class Scribbles(Unary):
    """Writes into its input."""

    samples = unary_samples(low=1, high=3)

    def reference(self, x):
        return np.multiply(x, 2, out=x)

    def partial_x(self):
        return 2


class WrongTranspose(LinearOp):
    r"""y = x Aᵀ for a fixed A, with a transpose that forgets to transpose."""

    matrix = spread((3, 3), -2, 2)

    @staticmethod
    def samples(op):
        yield Sample(op(), (spread((2, 3), -3, 3),))

    def type_rule(self, x: TensorType):
        return x

    def reference(self, x):
        return x @ self.matrix.T

    def transpose(self, y_bar, x, *, needs):
        return (y_bar @ chainrule.from_numpy(self.matrix.T.copy()),)


class CoarseScale(CoarseOp):
    """y = x s, whose backward is right for x only; and for s only if x's is wanted too."""

    mistake: str = ""
    saves = Saves((0, 1))

    @staticmethod
    def samples(op):
        for mistake in ("", "for s", "when alone"):
            yield Sample(op(mistake), (spread((2, 3), -3, 3), spread((3,), 1, 2)))

    def type_rule(self, x, s):
        return x

    def forward(self, x, s):
        return x * s, ()

    def backward(self, y_bar, y, residuals, x, s, *, needs):
        s_bar = (y_bar * x).sum_to_size(s.shape)
        if self.mistake == "for s" or (self.mistake == "when alone" and not needs[0]):
            s_bar = s_bar * 2
        return y_bar * s, s_bar


def passes(check, samples, *args):
    try:
        for sample in samples:
            check(sample, *args)
    except (AssertionError, OpError):
        return False
    return True


@pytest.mark.parametrize(
    ("op", "check", "extra"),
    [
        (WrongFactor, check_first_order, ()),
        (WrongSign, check_first_order, ()),
        (MissingSum, check_first_order, ()),
        (MissingSum, check_adjoint, ()),
        (WrongTranspose, check_first_order, ()),
        (WrongTranspose, check_adjoint, ()),
        (WrongType, check_type_rule, (np.float32,)),
        (ConstantDerivative, check_second_order, ()),
        (ForgetsToReadStrides, check_memory_layouts, ()),
        (Scribbles, check_inputs_are_left_alone, ()),
    ],
)
def test_a_wrong_op_is_caught(op, check, extra):
    right = CoarseScale if op is CoarseScale else Right
    assert passes(check, samples(right), *extra)
    assert not passes(check, samples(op), *extra)


@pytest.mark.parametrize("check", [check_hand_derived_backward, check_first_order, check_adjoint])
def test_a_wrong_hand_derived_backward_is_caught(check):
    right, for_s, when_alone = samples_of(CoarseScale)
    assert passes(check, [right])
    assert not passes(check, [for_s])
    assert not passes(check, [when_alone])


def test_ops_defined_in_tests_stay_out_of_the_registry():
    assert not {"right", "wrong_factor", "coarse_scale"} & set(registry)
