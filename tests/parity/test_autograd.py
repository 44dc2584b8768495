"""Autograd against PyTorch: functional, func, hooks, higher orders, Function, checkpoint."""

import numpy as np
import pytest

import chainrule as cr

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch's own

LIBRARIES = (cr, torch)


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def leaf(library, values):
    return library.tensor(values, dtype=library.float64, requires_grad=True)


def plain(result):
    """Nested tuples of arrays."""
    if isinstance(result, tuple | list):
        return [plain(each) for each in result]
    return None if result is None else result.detach().numpy()


def agree(mine, theirs):
    if isinstance(theirs, list):
        assert isinstance(mine, list)
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs):
            agree(one, other)
    elif theirs is None:
        assert mine is None
    else:
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-14)


def both(scenario):
    """Run a scenario, written for either library, in both; the results must agree."""
    mine, theirs = (plain(scenario(library)) for library in LIBRARIES)
    agree(mine, theirs)


X, Y, W = array(3), array(2, seed=1), array(3, 3, seed=2)


def two(x, y):
    return x * y.sum(), (x[:2] * y).exp()


def one(x, y):
    return ((x.tanh() * x).sum() * y).exp().sum()


# ---- functional and func ---------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobian(strategy):
    extra = {torch: {"vectorize": strategy == "forward-mode"}, cr: {}}

    def scenario(t):
        inputs = leaf(t, X), leaf(t, Y)
        return t.autograd.functional.jacobian(two, inputs, strategy=strategy, **extra[t])

    both(scenario)


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_hessian(strategy):
    extra = {torch: {"vectorize": strategy == "forward-mode"}, cr: {}}

    def scenario(t):
        inputs = leaf(t, X), leaf(t, Y)
        return t.autograd.functional.hessian(
            one, inputs, outer_jacobian_strategy=strategy, **extra[t]
        )

    both(scenario)


@pytest.mark.parametrize("product", ["hvp", "vhp"])
def test_products_with_the_hessian(product):
    def scenario(t):
        v = t.tensor(Y), t.tensor(array(2, seed=5))
        inputs = leaf(t, X[:2]), leaf(t, Y)
        return getattr(t.autograd.functional, product)(one, inputs, v)

    both(scenario)


def test_vjp_and_jvp():
    def scenario(t):
        inputs, v = (leaf(t, X), leaf(t, Y)), (t.tensor(array(3, seed=7)), t.tensor(Y))
        f = t.autograd.functional
        return f.vjp(two, inputs, v), f.jvp(two, inputs, v)

    both(scenario)


def test_create_graph_through_a_jacobian():
    def scenario(t):
        x = leaf(t, X)
        J = t.autograd.functional.jacobian(lambda x: x.tanh() * x.sum(), x, create_graph=True)
        return t.autograd.grad((J * J).sum(), x)

    both(scenario)


def test_func_transforms():
    def scenario(t):
        func = cr.func if t is cr else torch.func
        x, y = t.tensor(X), t.tensor(Y)
        f = lambda x: (x.tanh() @ t.tensor(W) * x).sum()  # noqa: E731
        _, pull_back = func.vjp(two, x, y)
        return [
            func.grad(f)(x),
            func.grad(one, argnums=(0, 1))(x, y),
            func.grad_and_value(f)(x),
            func.grad(func.grad(lambda x: x.sin() * x**3))(x[0]),
            func.jacrev(two, argnums=(0, 1))(x, y),
            func.jacfwd(two, argnums=1)(x, y),
            func.hessian(f)(x),
            func.jvp(two, (x, y), (x * 2, y * 3)),
            func.jvp(func.grad(f), (x,), (x * 2,)),
            pull_back((x * 2, y * 3)),
            list(func.grad(lambda p: (p["a"] * p["b"]).sum())({"a": x, "b": x * 2}).values()),
        ]

    both(scenario)


# ---- hooks -----------------------------------------------------------------------------------


def test_the_order_of_hooks():
    def scenario(t):
        order, x = [], leaf(t, X)
        y = x * 2
        y.grad_fn.register_hook(lambda *_: order.append("node"))
        y.grad_fn.register_prehook(lambda *_: order.append("node before"))
        y.register_hook(lambda _: order.append("tensor"))
        y.retain_grad()
        y.register_hook(lambda g: (order.append("tensor again"), g * 3)[1])
        x.register_hook(lambda _: order.append("leaf"))
        x.register_post_accumulate_grad_hook(lambda _: order.append("accumulated"))
        y.sum().backward()
        orders[t] = order
        return y.grad, x.grad

    orders = {}
    both(scenario)
    assert orders[cr] == orders[torch]


def test_hooks_that_change_gradients():
    def scenario(t):
        x, z = leaf(t, X), leaf(t, X * 2)
        y = x * z
        y.register_hook(lambda g: g * 2)
        y.grad_fn.register_prehook(lambda g: (g[0] + 1,))
        y.grad_fn.register_hook(lambda x_bars, y_bars: (x_bars[0] * y_bars[0], x_bars[1]))
        x.register_hook(lambda g: g - 1)
        y.sum().backward()
        return x.grad, z.grad

    both(scenario)


def test_hooks_and_captures_in_the_middle():
    def scenario(t):
        x = leaf(t, X)
        y = x.exp()
        y.register_hook(lambda g: g * 2)
        z = y.sin().sum()
        by_y = t.autograd.grad(z, y, retain_graph=True)
        # Asked for both at once, PyTorch gives y's before its hooks; here it is always after them.
        return by_y, t.autograd.grad(z, x)

    both(scenario)


def test_retain_grad_twice():
    def scenario(t):
        x = leaf(t, X)
        y = x.exp()
        y.retain_grad()
        z = (y * y).sum()
        z.backward(retain_graph=True)
        z.backward()
        return y.grad, x.grad

    both(scenario)


def test_backward_to_inputs():
    def scenario(t):
        x, w = leaf(t, X), leaf(t, X * 2)
        z = (x * w * w).sum()
        z.backward(inputs=[x])
        return x.grad, w.grad

    both(scenario)


# ---- higher orders ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["tanh", "sin", "exp", "sigmoid", "log1p", "rsqrt"])
def test_higher_derivatives(name, order):
    def scenario(t):
        x = leaf(t, np.abs(X) + 0.2)
        y = getattr(x, name)() * x
        for _ in range(order):
            (y,) = t.autograd.grad(y.sum(), x, create_graph=True)
        return y

    both(scenario)


def test_a_gradient_penalty():
    def scenario(t):
        x, w = leaf(t, array(4, 3)), leaf(t, W)
        out = (x @ w).tanh().sum()
        (g,) = t.autograd.grad(out, x, create_graph=True)
        ((g.norm(dim=1) - 1) ** 2).mean().backward()
        return x.grad, w.grad

    both(scenario)


# ---- Function and checkpoint -----------------------------------------------------------------


def cube(t):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, power, also):
            ctx.save_for_backward(x)
            ctx.power = power
            ctx.mark_non_differentiable(also)
            return x**power, also

        @staticmethod
        def backward(ctx, y_bar, also_bar):
            (x,) = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, False, False)
            return y_bar * ctx.power * x ** (ctx.power - 1), None, None

    return Cube


def test_function():
    def scenario(t):
        x = leaf(t, X)
        y, also = cube(t).apply(x, 3, t.tensor(Y))
        assert not also.requires_grad
        (first,) = t.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = t.autograd.grad((first * x).sum(), x)
        return y, first, second

    both(scenario)


@pytest.mark.parametrize("library", LIBRARIES)
def test_function_with_the_wrong_number_of_gradients(library):
    class Wrong(library.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, bar):
            return bar

    with pytest.raises(RuntimeError, match="Wrong"):
        Wrong.apply(leaf(library, X), 2.0).sum().backward()


def test_checkpoint():
    from torch.utils.checkpoint import checkpoint as theirs

    from chainrule.autograd.checkpoint import checkpoint as mine

    def scenario(t):
        checkpoint = {cr: mine, torch: theirs}[t]
        x, w = leaf(t, array(4, 3)), leaf(t, W)
        y = checkpoint(lambda x: (x @ w).tanh() * x, x, use_reentrant=False)
        (g,) = t.autograd.grad((y * y).sum(), x, create_graph=True)
        return t.autograd.grad((g * g).sum(), [x, w])

    both(scenario)


# ---- the same refusals -----------------------------------------------------------------------


def second_pass(t):
    x = leaf(t, X)
    y = (x * x).sum()
    y.backward()
    y.backward()


def second_pass_of_a_sum(t):
    x = leaf(t, X)
    y = (x + x).sum()
    y.backward()
    y.backward()


def no_scalar(t):
    leaf(t, X).exp().backward()


def unused(t):
    t.autograd.grad(leaf(t, X).sum(), leaf(t, X))


def changed_in_place(t):
    y = leaf(t, X) * 1
    z = y * y
    y.add_(1)
    z.sum().backward()


def changed_but_not_needed(t):
    y = leaf(t, X) * 1
    z = y + y
    y.add_(1)
    z.sum().backward()


def leaf_in_place(t):
    leaf(t, X).add_(1)


def saved_output_changed(t):
    y = leaf(t, X).exp()
    y.mul_(2)
    y.sum().backward()


def numpy_of_a_tracked_tensor(t):
    leaf(t, X).numpy()


def turned_off_in_the_middle(t):
    leaf(t, X).exp().requires_grad_(False)


def integers(t):
    t.tensor([1, 2], requires_grad=True)


def grad_of_a_tensor_without(t):
    t.autograd.grad(leaf(t, X).sum(), t.tensor(X))


def cotangent_of_another_shape(t):
    leaf(t, X).exp().backward(t.ones(4, dtype=t.float64))


def hook_without_gradient(t):
    t.tensor(X).register_hook(print)


def inference_tensor_saved(t):
    with t.inference_mode():
        y = t.tensor(X) * 2
    leaf(t, X) * y


@pytest.mark.parametrize(
    ("scenario", "refused"),
    [
        (second_pass, True),
        (second_pass_of_a_sum, False),
        (no_scalar, True),
        (unused, True),
        (changed_in_place, True),
        (changed_but_not_needed, False),
        (leaf_in_place, True),
        (saved_output_changed, True),
        (numpy_of_a_tracked_tensor, True),
        (turned_off_in_the_middle, True),
        (integers, True),
        (grad_of_a_tensor_without, True),
        (cotangent_of_another_shape, True),
        (hook_without_gradient, True),
        (inference_tensor_saved, True),
    ],
)
@pytest.mark.parametrize("library", LIBRARIES, ids=["chainrule", "torch"])
def test_what_is_refused(library, scenario, refused):
    if refused:
        with pytest.raises(RuntimeError):
            scenario(library)
    else:
        scenario(library)
