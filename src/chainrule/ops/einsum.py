"""`einsum`: read the equation, then make it matrix products, two operands at a time.

There is no op for it: an equation comes to sums, permutations and `matmul`, each of which has its
derivative. So the gradient of an einsum is made of einsums, as it should be.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn

from chainrule.core.base import is_tensor
from chainrule.core.location import user_location
from chainrule.errors import ShapeError
from chainrule.ops.matmul import matmul
from chainrule.ops.promotion import promote

if TYPE_CHECKING:
    from chainrule.tensor import Tensor

__all__ = ["einsum"]

Labels = tuple[str, ...]
"""The label of each dimension; those that an ellipsis stands for are `"...0"`, `"...1"`, ..."""


def _fail(equation: str, problem: str, cure: str) -> NoReturn:
    raise ShapeError(
        f'einsum: "{equation}": {problem}',
        cure=cure,
        location=str(user_location() or ""),
        op="einsum",
        equation=equation,
    )


# ---- reading the equation --------------------------------------------------------------------


def _labels(equation: str, term: str, batch: int) -> Labels:
    """The labels of one term, with its ellipsis spelled out as the last `batch` of all of them."""
    before, dots, after = term.partition("...")
    for each in before + after:
        if not (each.isascii() and each.isalpha()):
            _fail(
                equation,
                f'"{each}" is no label',
                "labels are letters; terms are separated by commas, the output by ->",
            )
    middle = [f"...{index}" for index in reversed(range(batch))] if dots else []
    return (*before, *middle, *after)


def _operand_labels(equation: str, terms: list[str], operands: tuple[Tensor, ...]) -> list[Labels]:
    if len(terms) != len(operands):
        _fail(
            equation,
            f"has {len(terms)} terms for {len(operands)} operands",
            "one term per operand, separated by commas",
        )
    result: list[Labels] = []
    for term, operand in zip(terms, operands):
        named = len(term.replace("...", "", 1))
        spare = operand.ndim - named
        if spare < 0 or (spare > 0 and "..." not in term):
            _fail(
                equation,
                f'"{term}" names {named} dimensions, the operand is {operand.type}',
                "name every dimension, or put ... for the rest",
            )
        result.append(_labels(equation, term, spare))
    return result


def _implicit_output(terms: list[Labels]) -> Labels:
    """What an ellipsis stands for, then the labels that occur once, in order of the alphabet."""
    everything = [label for labels in terms for label in labels]
    batch = sorted({label for label in everything if len(label) > 1}, key=lambda d: -int(d[3:]))
    once = sorted(label for label in everything if len(label) == 1 and everything.count(label) == 1)
    return (*batch, *once)


def _parse(equation: str, operands: tuple[Tensor, ...]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the output."""
    text = "".join(equation.split())
    inputs, arrow, output = text.partition("->")
    terms = _operand_labels(equation, inputs.split(","), operands)
    if not arrow:
        return terms, _implicit_output(terms)
    known = {label for labels in terms for label in labels}
    batch = sum(len(label) > 1 for label in known)
    labels = _labels(equation, output, batch)
    for label in labels:
        if label not in known:
            _fail(equation, f'the output has "{label}", no operand does', "label one with it")
    if len(set(labels)) < len(labels):
        _fail(equation, "the output names a label twice", "name each once")
    return terms, labels


def _sizes(equation: str, terms: list[Labels], operands: tuple[Tensor, ...]) -> dict[str, int]:
    """The size of each label; 1 gives way to any other, as in broadcasting."""
    sizes: dict[str, int] = {}
    for labels, operand in zip(terms, operands):
        for label, size in zip(labels, operand.shape):
            known = sizes.get(label, 1)
            if known != 1 and size not in (1, known):
                _fail(
                    equation,
                    f'"{label}" is {known} in one place and {size} in another (operand '
                    f"{operand.type})",
                    "a label has one size everywhere",
                )
            sizes[label] = size if known == 1 else known
    return sizes


# ---- carrying it out -------------------------------------------------------------------------


class _Term:
    """A tensor with its labels, each of them once."""

    def __init__(self, tensor: Tensor, labels: Labels) -> None:
        self.tensor = tensor
        self.labels = labels

    def without_repeats(self) -> _Term:
        """A label that comes twice takes the diagonal."""
        tensor, labels = self.tensor, list(self.labels)
        for label in dict.fromkeys(labels):
            while labels.count(label) > 1:
                first = labels.index(label)
                second = labels.index(label, first + 1)
                tensor = tensor.diagonal(0, first, second)
                del labels[second], labels[first]
                labels.append(label)
        return _Term(tensor, tuple(labels))

    def summed(self, wanted: set[str]) -> _Term:
        """The labels that nobody else asks for, summed over."""
        gone = tuple(dim for dim, label in enumerate(self.labels) if label not in wanted)
        if not gone:
            return self
        kept = tuple(label for label in self.labels if label in wanted)
        return _Term(self.tensor.sum(gone, dtype=self.tensor.dtype), kept)

    def without_ones(self, sizes: dict[str, int]) -> _Term:
        """Dimensions of size 1 that stand for larger ones go: they broadcast."""
        shape = self.tensor.shape
        kept = [d for d, label in enumerate(self.labels) if shape[d] == sizes[label]]
        if len(kept) == len(shape):
            return self
        tensor = self.tensor.reshape([shape[dim] for dim in kept])
        return _Term(tensor, tuple(self.labels[dim] for dim in kept))

    def ordered(self, labels: Labels) -> Tensor:
        """The tensor with its dimensions in the order of these labels."""
        if labels == self.labels:
            return self.tensor
        return self.tensor.permute([self.labels.index(label) for label in labels])


def _contract(a: _Term, b: _Term, wanted: set[str], sizes: dict[str, int]) -> _Term:
    """Two terms as one, summed over what only they share."""
    a, b = a.summed(wanted | {*b.labels}), b.summed(wanted | {*a.labels})
    shared = [label for label in a.labels if label in b.labels]
    batch = tuple(label for label in shared if label in wanted)
    inner = tuple(label for label in shared if label not in wanted)
    rows = tuple(label for label in a.labels if label not in shared)
    columns = tuple(label for label in b.labels if label not in shared)

    def shape(labels: Labels) -> list[int]:
        return [sizes[label] for label in labels]

    left, right = a.ordered((*batch, *rows, *inner)), b.ordered((*batch, *inner, *columns))
    if not inner:
        left = left.reshape(shape((*batch, *rows)) + [1] * len(columns))
        right = right.reshape(shape(batch) + [1] * len(rows) + shape(columns))
        return _Term(left * right, (*batch, *rows, *columns))
    depth = math.prod(shape(inner))
    height, width = math.prod(shape(rows)), math.prod(shape(columns))
    product = matmul(
        left.reshape([*shape(batch), height, depth]), right.reshape([*shape(batch), depth, width])
    )
    labels = (*batch, *rows, *columns)
    return _Term(product.reshape(shape(labels)), labels)


def _cheapest(terms: list[_Term], sizes: dict[str, int]) -> tuple[int, int]:
    """The pair whose product takes the fewest multiplications; of equals, the first."""
    pairs = [(i, j) for i in range(len(terms)) for j in range(i + 1, len(terms))]
    return min(
        pairs,
        key=lambda pair: math.prod(
            sizes[label] for label in {*terms[pair[0]].labels, *terms[pair[1]].labels}
        ),
    )


def _from_sublists(args: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """`einsum(a, [0, 1], b, [1, 2], [0, 2])` as an equation and operands."""

    def term(sublist: Any) -> str:
        return "".join("..." if each is Ellipsis else _LETTERS[each] for each in sublist)

    operands = [each for each in args if is_tensor(each)]
    lists = [term(each) for each in args if not is_tensor(each)]
    count = len(operands)
    equation = ",".join(lists[:count])
    return (f"{equation}->{lists[count]}" if len(lists) > count else equation), operands


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sums of products, by Einstein's convention: `einsum("ij,jk->ik", a, b)` is `a @ b`.

    A letter names a dimension. Operands that share one are multiplied along it; letters that the
    output leaves out are summed over. A letter twice in one operand takes the diagonal, `...`
    stands for dimensions that broadcast. Without `->`, the output is `...` and the letters that
    occur once, in order of the alphabet.

    Args:
        equation: `"ij,jk->ik"`; or tensors and lists of label numbers in turn:
            `einsum(a, [0, 1], b, [1, 2], [0, 2])`.
        operands: one tensor per term, or one list of them.

    Raises:
        ShapeError: the equation can't be read, or does not fit the operands.

    >>> import chainrule
    >>> x = chainrule.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> chainrule.einsum("ij->j", x)
    tensor([4., 6.])
    >>> chainrule.einsum("ii", x)
    tensor(5.)
    """
    if not isinstance(equation, str):
        equation, listed = _from_sublists((equation, *operands))
    else:
        many = len(operands) == 1 and type(operands[0]) in (list, tuple)
        listed = [*(operands[0] if many else operands)]
    if not listed:
        _fail(equation, "there are no operands", "pass one tensor per term")
    tensors = promote(*listed)
    labels, output = _parse(equation, tensors)
    sizes = _sizes(equation, labels, tensors)
    terms = [
        _Term(tensor, each).without_repeats().without_ones(sizes)
        for tensor, each in zip(tensors, labels)
    ]
    while len(terms) > 1:
        i, j = _cheapest(terms, sizes)
        b, a = terms.pop(j), terms.pop(i)
        wanted = {*output}.union(*[term.labels for term in terms])
        terms.insert(i, _contract(a, b, wanted, sizes))
    return terms[0].summed({*output}).ordered(output)
