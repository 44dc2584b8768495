"""An op's formula and derivative rules, as its own documentation states them.

Every op's docstring begins with what it computes and how its derivative goes:

    y = a b.    dy/da = b,  dy/db = a

Here that text is taken apart, and numbers are put in for its symbols.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from chainrule.core.coarse import CoarseOp
from chainrule.core.families import Elementwise
from chainrule.core.op import Op

__all__ = ["Formula", "formula_of", "number", "right_side", "substitute"]

_RULE = re.compile(r"^(?:dy/d(\w+)|(\w+)_bar(?:\[[^\]]*\])?)\s*=\s*(.+)$")
_LETTER = r"[^\W\d_²³ᵀ]"
_SYMBOL = re.compile(rf"(?<!{_LETTER})(?<!_)({_LETTER})(?!{_LETTER})(?!_)(?![\[(])")
_MENTIONED = re.compile(rf"(?<!{_LETTER})({_LETTER})(?:_bar)?(?!{_LETTER})")
_NAMELESS = ("x1", "x2")
"""What inputs are called that the op's code gives no name."""

_SECTION = re.compile(r"\n\s*(?:Attributes|Shapes|Args|Note):\n")


@dataclass(frozen=True, slots=True)
class Formula:
    """What an op's documentation says.

    Attributes:
        meaning: what it computes: `y = a b`.
        rules: the derivative rule for each input that has one, by its position: `dy/da = b`.
        derivative: all of the documentation's derivative lines, as they stand there.
        operands: what each input is called in the op's own code, as far as it has names.
        symbols: what each is called in the formula.
        constants: the op's parameters as the formula calls them: `n = 2`.
        note: where a derivative that was found by hand is derived, in the documentation.
    """

    meaning: str
    rules: dict[int, str]
    derivative: tuple[str, ...]
    operands: tuple[str, ...]
    symbols: tuple[str, ...]
    constants: dict[str, Any]
    note: str = ""


def formula_of(op: Op, inputs: int) -> Formula:
    """The formula of an op that was given so many inputs.

    >>> from chainrule.ops.arithmetic import Mul
    >>> formula_of(Mul(), 2).rules
    {0: 'dy/da = b', 1: 'dy/db = a'}
    """
    meaning, lines = _documented(type(op), getattr(op, "function", None))
    operands = _operands(op, inputs)
    symbols = _symbols(operands, meaning, lines, isinstance(op, Elementwise))
    rules: dict[int, str] = {}
    for line in lines:
        for piece in re.split(r"[,;]\s\s+", line):
            found = _RULE.match(piece.strip())
            symbol = found and (found[1] or found[2])
            if symbol in symbols:
                rules.setdefault(symbols.index(symbol), piece.strip())
    meaning = meaning or f"y = {op.name}({', '.join(symbols)})"
    return Formula(meaning, rules, lines, operands, symbols, _constants(op), _note(op))


@cache
def _documented(kind: type[Op], function: type[Any] | None) -> tuple[str, tuple[str, ...]]:
    """The formula and the lines about the derivative, of an op's (or a `Function`'s) docstring."""
    doc = (function or kind).__doc__ or ""
    if function is None and kind.__doc__ is Op.__doc__:
        doc = ""
    text = inspect.cleandoc(_SECTION.split(doc, maxsplit=1)[0])
    head, _, rest = text.partition("\n")
    meaning, *more = re.split(r"\s{3,}", head)
    lines = [*more, *(line.strip() for line in rest.splitlines())]
    telling = [line for line in lines if re.search(r"_bar\b|dy/d\w", line) and "=" in line]
    return meaning.strip().rstrip(".,"), tuple(line.rstrip(".") for line in telling)


def _operands(op: Op, inputs: int) -> tuple[str, ...]:
    """The names that the op's own code has for its inputs."""
    if isinstance(op, Elementwise):
        return op.operands[:inputs]
    for method in ("forward" if isinstance(op, CoarseOp) else "transpose", "type_rule"):
        function = getattr(op, method, None)
        if function is None:
            continue
        names: list[str] = []
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                many = inputs - len(names) > 1
                names += [f"x{i + 1}" if many else name for i in range(len(names), inputs)]
            elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name != "y_bar":
                names.append(name)
        if len(names) >= inputs:
            return tuple(names[:inputs])
    return tuple("x" if inputs == 1 else f"x{i + 1}" for i in range(inputs))


def _symbols(
    operands: tuple[str, ...], meaning: str, lines: tuple[str, ...], exact: bool
) -> tuple[str, ...]:
    """What the formula calls them: `weight` is W or w, if that stands in it."""
    if exact:
        return operands
    text = " ".join((meaning, *lines))
    known = dict.fromkeys(each[1] for each in _MENTIONED.finditer(text) if each[1] != "y")
    found: list[str] = []
    for name in operands:
        likely = (name, name[0].upper(), name[0], *([*known] if name in _NAMELESS else "x"))
        fresh = [each for each in likely if each in known and each not in found]
        found.append(fresh[0] if fresh else name)
    return tuple(found)


def _constants(op: Op) -> dict[str, Any]:
    """The op's parameters by the symbols that its documentation gives them."""
    constants: dict[str, Any] = {}
    for name in getattr(op, "__dataclass_fields__", {}):
        described = re.search(rf"^\s+{name}: ([^\W\d_]{{1,2}})[.;,]", type(op).__doc__ or "", re.M)
        if described is not None:
            constants[described[1]] = getattr(op, name)
    return constants


def right_side(meaning: str) -> str:
    """What y is, without the words after it; "" where the formula is for single elements.

    >>> right_side("y = x^n for a number n")
    'x^n'
    """
    left, _, right = re.split(r", (?!\d)| where | for |  ", meaning)[0].partition(" = ")
    return right if left == "y" else ""


def _note(op: Op) -> str:
    """The note on a coarse op of this package: it is called as the op's file."""
    if not isinstance(op, CoarseOp) or not op.pure:
        return ""
    return f"docs/derivations/{type(op).__module__.rpartition('.')[2]}.md"


def number(value: float, digits: int = 4) -> str:
    """A number as short as it can be read: at most so many digits that count.

    >>> [number(x) for x in (-12.0, 0.76159, 1.5e-9, 1e6, float("nan"))]
    ['-12', '0.7616', '1.5e-9', '1e6', 'nan']
    """
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e5:
        return str(int(value))
    text = f"{value:.{digits}g}"
    return re.sub(r"e([+-])0*(\d+)", lambda e: f"e{'-' if e[1] == '-' else ''}{e[2]}", text)


def substitute(text: str, values: Mapping[str, float | str]) -> str:
    """A formula with numbers (or names) in the place of its symbols.

    >>> substitute("a b", {"a": 3.0, "b": -4.0})
    '3 · (-4)'
    >>> substitute("n x^(n-1)", {"n": 2, "x": 5.0})
    '2 · 5^(2-1)'
    """

    def put(symbol: re.Match[str]) -> str:
        value = values.get(symbol[1])
        if value is None:
            return symbol[0]
        if isinstance(value, str):
            return f"\0({value})\0" if re.search(r"[^\w.\[\]]", value) else f"\0{value}\0"
        plain = number(value)
        return f"\0({plain})\0" if plain.startswith("-") else f"\0{plain}\0"

    done = _SYMBOL.sub(put, text)
    done = re.sub(r"(?<=\0) (?=[\0\w(√])|(?<=[\d)²³]) (?=\0)", " · ", done)
    done = re.sub(r"(?<=\d)\0(?=[\w(])(?<!\^\d\0)", "\0", done)
    done = re.sub(r"(?<![\d.\0])(\d+)\0(?=[\d(])", r"\1 · \0", done)
    if done.count("\0") == 2 and re.fullmatch(r"\0\([^\0]*\)\0", done):
        done = done[2:-2]
    done = done.replace("\0", "")
    return re.sub(r"^\((-[\d.e-]+)\)(?![\^²³])", r"\1", done)
