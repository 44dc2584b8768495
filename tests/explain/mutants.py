"""Wrong derivatives with known faults: the library's own, each with one change of its source.

A mutant is a subclass of a real op in which one method of its derivative was parsed, changed in one
place and compiled again. Its label is the kind of that change, written down before anybody looks at
what the mutant computes. A mutant that computes the same as the original is none.
"""

import __future__

import ast
import copy
import inspect
import linecache
import random
import textwrap
import zlib
from dataclasses import dataclass
from functools import partial

import numpy as np

from chainrule.core.op import registry
from chainrule.core.samples import samples_of
from chainrule.explain.subject import subject_of
from chainrule.explain.truth import FAILURES, cotangents, square_inputs
from chainrule.tensor import Tensor

# What is mutated: each op's methods that hold its derivative.
TARGETS = {
    "linear": ["backward"],
    "batch_norm": ["backward"],
    "fixed_norm": ["backward"],
    "layer_norm": ["backward"],
    "group_norm": ["backward"],
    "rms_norm": ["backward"],
    "softmax": ["backward"],
    "log_softmax": ["backward"],
    "attention": ["backward"],
    "conv1d": ["backward"],
    "conv2d": ["backward"],
    "conv_transpose1d": ["backward"],
    "conv_transpose2d": ["backward"],
    "max_pool1d": ["backward"],
    "max_pool2d": ["backward"],
    "avg_pool1d": ["backward", "_share"],
    "avg_pool2d": ["backward"],
    "bin_means": ["backward"],
    "dropout": ["backward"],
    "embedding": ["backward"],
    "cross_entropy": ["forward", "backward"],
    "cross_entropy_probabilities": ["backward"],
    "nll_loss": ["backward"],
    "kl_div": ["slope", "slope_target"],
    "mse_loss": ["slope"],
    "l1_loss": ["slope"],
    "smooth_l1_loss": ["slope"],
    "huber_loss": ["slope"],
    "binary_cross_entropy": ["slope", "slope_target"],
    "binary_cross_entropy_with_logits": ["backward"],
    "relu": ["partial_x"],
    "leaky_relu": ["partial_x"],
    "prelu": ["partial_x", "partial_weight"],
    "elu": ["partial_x"],
    "gelu": ["partial_x"],
    "silu": ["partial_x"],
    "mish": ["partial_x"],
    "softplus": ["partial_x"],
    "softsign": ["partial_x"],
    "hardswish": ["partial_x"],
    "hardsigmoid": ["partial_x"],
    "hardtanh": ["partial_x"],
    "softshrink": ["partial_x"],
    "tanhshrink": ["partial_x"],
    "threshold": ["partial_x"],
}

# Python numbers in those methods, which are constant factors; and numbers of elements.
NUMBERS = {
    "share",
    "rest",
    "scale_factor",
    "alpha",
    "beta",
    "delta",
    "negative_slope",
    "input_scale",
}
COUNTS = {"count", "classes"}


LOAD = ast.Load()
NUMBER = -1  # in place of a number of dimensions
KINDS_OF_NODES = (ast.BinOp, ast.Call, ast.Name, ast.Attribute, ast.Compare, ast.UnaryOp)


@dataclass(frozen=True)
class Mutant:
    """A wrong op.

    Attributes:
        op: its class.
        label: what was done to it.
        source: the text changed, before and after.
    """

    op: type
    label: str
    source: str


class _Places(ast.NodeVisitor):
    """The expressions of a method that hold tensors."""

    def __init__(self):
        self.found = []

    def visit(self, node):
        if isinstance(node, ast.If):
            for each in (*node.body, *node.orelse):
                self.visit(each)
            return
        if isinstance(node, (ast.IfExp)):
            self.visit(node.body)
            self.visit(node.orelse)
            return
        if isinstance(node, ast.Attribute) and node.attr in ("shape", "ndim", "dtype"):
            return
        if isinstance(node, ast.Compare):  # what is compared belongs to the inequality
            self.found.append(node)
            return
        if isinstance(node, KINDS_OF_NODES) and isinstance(getattr(node, "ctx", LOAD), ast.Load):
            self.found.append(node)
        self.generic_visit(node)


def _source_of(node):
    return ast.unparse(node)


def _is_size(node):
    text = _source_of(node)
    return any(name in text for name in ("shape", "ndim", "prod(", "needs", "len(", "_places"))


def _is_number(node):
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float))
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id == "self"
    return isinstance(node, ast.Name) and (node.id in NUMBERS or node.id in COUNTS)


def _is_count(node):
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return (bool(names) and names <= COUNTS) or _source_of(node).startswith("self._places")


def _call(value, method, text=""):
    node = ast.parse(f"(_).{method}({text})", mode="eval").body
    node.func.value = value
    return node


def _of(template, value):
    """The expression of a template, `_` in it standing for a value."""
    tree = ast.parse(template, mode="eval").body

    class Put(ast.NodeTransformer):
        def visit_Name(self, node):
            return copy.deepcopy(value) if node.id == "_" else node

    return Put().visit(tree)


def changes(node, parameters, ndim, numbers):
    """Pairs of a label and what takes the place of an expression.

    Args:
        node: the expression.
        parameters: the names of the method's inputs.
        ndim: how many dimensions its value has, at least; None: it is no tensor of floats.
        numbers: the expressions whose values are Python's numbers.
    """
    if isinstance(node, ast.BinOp) and ndim is not None:
        yield from _of_operators(node, numbers)
    if isinstance(node, ast.Call):
        yield from _of_calls(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        opposite = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE}
        other = opposite.get(type(node.ops[0]))
        if other is not None:
            yield "mask", ast.Compare(node.left, [other()], node.comparators)
    if isinstance(node, ast.Attribute) and node.attr == "mT":
        yield "transposed", node.value
    if ndim is None:
        return
    if isinstance(node, ast.Name) and node.id in parameters:
        for other in parameters:
            if other == node.id or "y_bar" in (other, node.id):
                continue
            label = "wrong point" if "y" in (other, node.id) else "swapped inputs"
            yield label, ast.Name(other, LOAD)
    yield "sign", _of("-(_)", node)
    yield "factor", _of("(_) * 2", node)
    yield "factor", _of("(_) * 0.5", node)
    if ndim > 0:
        yield "extra sum", _of("(_).sum(0, keepdim=True).expand((_).shape)", node)
        yield "shift", _of("(_).roll(1, -1)", node)
        yield "flipped", _of("(_).flip(-1)", node)
    if ndim > 1:
        yield "extra sum", _of("(_).sum(-1, keepdim=True).expand((_).shape)", node)
        yield "transposed", _of("(_).mT", node)


def _of_operators(node, numbers):
    left, right, op = node.left, node.right, node.op
    if isinstance(op, (ast.Add, ast.Sub)) and not (_is_size(left) or _is_size(right)):
        swapped = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
        yield "sign", ast.BinOp(left, swapped, right)
        yield "missing term", left
        yield "missing term", right if isinstance(op, ast.Add) else _of("-(_)", right)
    if isinstance(op, ast.Mult):
        for gone, kept in ((left, right), (right, left)):
            if _is_count(gone):
                yield "sum for mean", kept
            elif _is_number(gone) or gone in numbers:
                yield "factor", kept
            elif not _is_number(kept) and not _is_size(gone):
                yield "missing factor", kept
    if isinstance(op, ast.Div) and _is_count(right):
        yield "sum for mean", left
    if isinstance(op, ast.MatMult):
        yield "transposed", ast.BinOp(_of("(_).mT", left), op, right)


def _of_calls(node):
    if isinstance(node.func, ast.Name) and node.func.id == "bind" and len(node.args) > 1:
        first = _source_of(node.args[0])
        if first == "_SWAP":
            yield "transposed", node.args[1]
        if first == "_SUM_ROWS":
            yield "mean for sum", _call(node.args[1], "mean", "0")
            yield "wrong axis", _call(node.args[1], "sum", "1")
            yield "missing sum", _of("(_).narrow(0, 0, 1).sum(0)", node.args[1])
        return
    if not isinstance(node.func, ast.Attribute):
        return
    name, receiver = node.func.attr, node.func.value
    arguments = ", ".join(map(_source_of, [*node.args])) + "".join(
        f", {each.arg}={_source_of(each.value)}" for each in node.keywords
    )
    if name in ("sum", "mean"):
        other = "mean" if name == "sum" else "sum"
        yield f"{other} for {name}", _call(receiver, other, arguments)
        if node.args and _source_of(node.args[0]) in ("self.dim", "dim", "0", "1", "-1"):
            rest = arguments[len(_source_of(node.args[0])) :]
            for axis in ("0", "1", "-1"):
                yield "wrong axis", _call(receiver, name, axis + rest)
        if "keepdim=True" in arguments and name == "sum":
            yield "missing sum", receiver
        elif name == "sum":
            yield "missing sum", _of(f"(_).narrow(0, 0, 1).sum({arguments})", receiver)
    if name == "sum_to_size":
        yield "missing sum", _of(f"(_).narrow(0, 0, 1).sum_to_size({arguments})", receiver)
    if name in ("exp", "sigmoid", "tanh", "rsqrt", "log", "sign", "sqrt"):
        yield "wrong function", receiver
    if name == "keep_where" or (name == "where" and arguments.endswith(", 0")):
        yield "mask", receiver
    if name in ("where", "keep_where") and node.args:
        flipped = copy.deepcopy(node)
        flipped.args[0] = _of("~(_)", node.args[0])
        yield "mask", flipped
    if name == "clamp":
        yield "mask", receiver


def mutants_of(name):
    """All mutants of an op, in the order of its source: pairs of a label and what makes them."""
    op = registry[name]
    for method in TARGETS[name]:
        function = getattr(op, method, None)
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        parameters = _inputs_of(tree.body[0])
        dimensions = _dimensions(op, method, function, tree)
        nodes = _places(tree.body[0])
        numbers = {node for index, node in enumerate(nodes) if dimensions.get(index) == NUMBER}
        asked = {  # of these a helper asks the shape, or what is no tensor of floats
            each
            for index, node in enumerate(nodes)
            if isinstance(node, ast.Call) and dimensions.get(index) is None
            for each in node.args
        }
        for index, node in enumerate(nodes):
            if node in asked:
                continue
            ndim = None if node in numbers else dimensions.get(index)
            for label, changed in changes(node, parameters, ndim, numbers):
                yield label, partial(_mutant, op, method, function, tree, index, label, changed)


def _dimensions(op, method, function, tree):
    """How many dimensions the tensors have that a method's expressions give, at the least."""
    seen, others = {}, set()

    def probe(index, value):
        if isinstance(value, Tensor) and value.value.dtype.kind == "f":
            seen[index] = min(seen.get(index, 99), value.value.ndim)
        elif isinstance(value, (int, float)):
            seen[index] = NUMBER
        else:
            others.add(index)
        return value

    watched = copy.deepcopy(tree)
    places = {id(node): index for index, node in enumerate(_places(watched.body[0]))}

    class Wrap(ast.NodeTransformer):
        def visit(self, node):
            index = places.get(id(node))
            node = self.generic_visit(node)
            if index is None:
                return node
            return ast.Call(ast.Name("_probe", LOAD), [ast.Constant(index), node], [])

    watched.body[0].body = [Wrap().visit(each) for each in watched.body[0].body]
    kind = _subclass(op, method, function, watched, {"_probe": probe})
    for sample in _smooth(kind):
        subject = subject_of(sample.op, sample.inputs)
        subject.given(subject.arrays, cotangents(subject.run(subject.arrays)))
    return {index: ndim for index, ndim in seen.items() if index not in others}


def _smooth(op):
    return [each for each in samples_of(op) if each.smooth and all(x.size for x in each.inputs)]


def _subclass(op, method, function, tree, more=None):
    text = ast.unparse(ast.fix_missing_locations(tree))
    filename = f"<{op.name}.{method} {zlib.crc32(text.encode())}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    space = {**function.__globals__, **(more or {})}
    exec(compile(text, filename, "exec", __future__.annotations.compiler_flag), space)
    body = {
        method: space[method],
        "name": op.name,
        "__module__": "tests.explain",
        "__doc__": op.__doc__,
    }
    return type(op.__name__, (op,), body)


def _places(definition):
    visitor = _Places()
    for statement in definition.body[1:] if ast.get_docstring(definition) else definition.body:
        visitor.visit(statement)
    return visitor.found


def _inputs_of(definition):
    names = [each.arg for each in definition.args.args]
    return [each for each in names if each not in ("self", "residuals", "bias", "index", "state")]


def _mutant(op, method, function, tree, index, label, changed):
    other = copy.deepcopy(tree)
    target = _places(other.body[0])[index]
    before = _source_of(target)

    class Put(ast.NodeTransformer):
        def visit(self, node):
            return copy.deepcopy(changed) if node is target else self.generic_visit(node)

    other = Put().visit(other)
    after = _source_of(changed)
    if label == "wrong point" and method.startswith("partial"):
        named = other.body[0].args.args
        if after not in [each.arg for each in named]:
            named.append(ast.arg(after))
    try:
        kind = _subclass(op, method, function, other)
    except SyntaxError:
        return None
    return Mutant(kind, label, f"{op.name}.{method}: {before} -> {after}")


def is_wrong(mutant):
    """Whether it computes the same values, and another gradient.

    What raises at every sample, as a transpose does where the sizes differ, is tried at inputs all
    of whose sizes are equal.
    """
    pairs = [
        (subject_of(a.op, a.inputs), subject_of(b.op, b.inputs))
        for a, b in list(zip(_smooth(registry[mutant.op.name]), _smooth(mutant.op)))[:5]
    ]
    found = []
    for right, wrong in pairs:
        found.append(_compare(right, wrong, right.arrays))
        if found[-1] in (True, "other"):
            break
    if all(each is None for each in found) and mutant.label in ("transposed", "wrong axis"):
        found = [_compare(right, wrong, square_inputs(right, 3)) for right, wrong in pairs[:3]]
    return True in found and "other" not in found


def _compare(right, wrong, arrays):
    """Whether a gradient is another; None where it can't be told, "other": a value is."""
    try:
        y = right.run(arrays)
        bars = cotangents(y)
        true = _gradients(right, arrays, bars)
    except FAILURES:
        return None
    try:
        if not all(map(np.array_equal, y, wrong.run(arrays))):
            return "other"
        found = _gradients(wrong, arrays, bars)
    except (*FAILURES, AttributeError):
        return None
    if any(a.shape != b.shape or not np.all(np.isfinite(b)) for a, b in zip(true, found)):
        return None
    return not all(np.allclose(a, b, rtol=1e-9, atol=1e-11) for a, b in zip(true, found))


def _gradients(subject, arrays, bars):
    program = subject.given(arrays, bars)
    zeros = [np.zeros(arrays[i].shape) for i in subject.wanted]
    keys = [program.results[i] for i in subject.wanted]
    return [zero if key is None else program.values[key] for key, zero in zip(keys, zeros)]


def drawn(each, seed=0, names=None):
    """Mutants drawn at random: up to so many of each label, of as many ops as there are."""
    generator = random.Random(seed)
    by_label = {}
    for name in names or TARGETS:
        for label, make in mutants_of(name):
            by_label.setdefault(label, {}).setdefault(name, []).append(make)
    chosen = []
    for label in sorted(by_label):
        piles = list(by_label[label].values())
        for pile in piles:
            generator.shuffle(pile)
        generator.shuffle(piles)
        wanted = each
        while wanted and any(piles):
            for pile in piles:
                while wanted and pile:
                    mutant = pile.pop()()
                    if mutant is not None and is_wrong(mutant):
                        chosen.append(mutant)
                        wanted -= 1
                        break
    return chosen
