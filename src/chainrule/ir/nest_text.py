"""Nests as text, and back: what listings show, and tests read.

    nest linear(n: 128, o: 10 | k: 784):
      reads %b f32, %w f32, %x f32
      %y[10 n + o] = add(sum[k](mul(%x[784 n + k], %w[784 o + k])), %b[o])

A literal is `f32(0.5)`, the place along an axis `i64[n]`, a place found at run time `%w[k; 64
%i[n]]`: the stride, and what is multiplied by it. `in turn p` names the axes whose steps come one
after the other. A call's dtype follows from its last argument's;
where it does not, it is said: `cast:f32(%i[n])`. What is used more than once is written once, on a
line of its own, `$1 = ...`: expressions share their parts, and spelled out they could be endless.
"""

from __future__ import annotations

import itertools
import re
from typing import NoReturn

from chainrule.core.dtypes import ALL, BOOL, DType, bool_
from chainrule.errors import ChainruleError
from chainrule.ir.nest import (
    Affine,
    Axis,
    Call,
    Expr,
    Iota,
    Literal,
    Load,
    Nest,
    Reduce,
    Store,
    subexpressions,
)
from chainrule.ir.primitives import PRIMITIVES, result_dtype

__all__ = ["format_nest", "parse_nest"]

_DEEP = 20  # deeper expressions go on a line of their own: for the reader, and for the parser
_BY_SHORT = {dtype.short: dtype for dtype in ALL}


def format_nest(nest: Nest) -> str:
    """A nest as text; `parse_nest` reads it.

    >>> text = "nest twice(n: 4):\\n  reads %x f32\\n  $1 = exp(%x[n])\\n  %y[n] = add($1, $1)"
    >>> format_nest(parse_nest(text)) == text
    True
    """
    writer = _Writer()
    roots = [writer.number(store.expr) for store in nest.stores]
    indices = [[writer.number(part) for part, _ in store.index] for store in nest.stores]
    texts = writer.write([*roots, *itertools.chain(*indices)])
    maps = ", ".join([f"{axis.name}: {axis.size}" for axis in nest.maps])
    reduces = ", ".join([f"{axis.name}: {axis.size}" for axis in nest.reduces])
    axes = f"{maps} | {reduces}" if maps and reduces else f"| {reduces}" if reduces else maps
    lines = [f"nest {nest.name}({axes}):"]
    if writer.dtypes:
        each = [f"%{name} {dtype.short}" for name, dtype in sorted(writer.dtypes.items())]
        lines.append(f"  reads {', '.join(each)}")
    if nest.sequential:
        lines.append(f"  in turn {', '.join(nest.sequential)}")
    lines += writer.lines
    for store, root, index in zip(nest.stores, roots, indices):
        place = _place(store, [texts[number] for number in index])
        lines.append(f"  %{store.buffer}[{place}] = {texts[root]}")
    return "\n".join(lines)


class _Writer:
    """Numbers the different expressions, parts first; then writes them."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[object, ...], int] = {}
        self.expressions: list[tuple[Expr, tuple[int, ...]]] = []
        self.dtypes: dict[str, DType] = {}
        self.lines: list[str] = []

    def number(self, root: Expr) -> int:
        """The number of an expression; those that are alike have the same one."""
        by_id: dict[int, int] = {}
        for expr in subexpressions(root):
            if isinstance(expr, Load):
                self.dtypes.setdefault(expr.buffer, expr.dtype)
            parts = tuple([by_id[id(part)] for part in _parts(expr)])
            key = (_head(expr), expr.dtype, parts)
            if key not in self.numbers:
                self.numbers[key] = len(self.expressions)
                self.expressions.append((expr, parts))
            by_id[id(expr)] = self.numbers[key]
        return by_id[id(root)]

    def write(self, roots: list[int]) -> list[str]:
        """The text of each expression; those used twice get lines."""
        uses = [0] * len(self.expressions)
        for number in [*roots, *[part for _, parts in self.expressions for part in parts]]:
            uses[number] += 1
        texts: list[str] = []
        depths: list[int] = []
        for number, (expr, parts) in enumerate(self.expressions):
            text = self._text(expr, [texts[part] for part in parts])
            depth = 1 + max([depths[part] for part in parts], default=0)
            if parts and (uses[number] > 1 or depth > _DEEP):
                name = f"${len(self.lines) + 1}"
                self.lines.append(f"  {name} = {text}")
                text, depth = name, 0
            texts.append(text)
            depths.append(depth)
        return texts

    def _text(self, expr: Expr, parts: list[str]) -> str:
        short = expr.dtype.short
        if isinstance(expr, Literal):
            if expr.dtype.category == BOOL:
                return "true" if expr.value else "false"
            number = float(expr.value) if expr.dtype.is_floating_point else int(expr.value)
            return f"{short}({number})"
        if isinstance(expr, Iota):
            return f"{short}[{expr.axis}]"
        if isinstance(expr, Reduce):
            return f"{expr.kind}[{', '.join(expr.axes)}]({parts[0]})"
        if isinstance(expr, Load):
            suffix = "" if self.dtypes[expr.buffer] is expr.dtype else f":{short}"
            return f"%{expr.buffer}[{_place(expr, parts)}]{suffix}"
        known = (
            expr.name in PRIMITIVES
            and PRIMITIVES[expr.name].result != "cast"
            and expr.args
            and result_dtype(expr.name, expr.args[-1].dtype) is expr.dtype
        )
        return f"{expr.name}{'' if known else ':' + short}({', '.join(parts)})"


def _place(place: Load | Store, parts: list[str]) -> str:
    """What stands between the brackets."""
    found = ", ".join([f"{stride} {part}" for (_, stride), part in zip(place.index, parts)])
    return f"{place.at}; {found}" if found else f"{place.at}"


def _parts(expr: Expr) -> list[Expr]:
    if isinstance(expr, Call):
        return list(expr.args)
    if isinstance(expr, Reduce):
        return [expr.expr]
    return [index for index, _ in expr.index] if isinstance(expr, Load) else []


def _head(expr: Expr) -> tuple[object, ...]:
    """What an expression is but for its parts. (A literal by its text: -0.0 is not 0.0.)"""
    if isinstance(expr, Literal):
        return ("literal", repr(expr.value))
    if isinstance(expr, Iota):
        return ("iota", expr.axis)
    if isinstance(expr, Load):
        return ("load", expr.buffer, expr.at, tuple([stride for _, stride in expr.index]))
    if isinstance(expr, Reduce):
        return ("reduce", expr.kind, expr.axes)
    return ("call", expr.name)


# ---- reading ---------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"\s*(?:(-?(?:inf|nan)\b|-?\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![\w.]))|([%$]?\w[\w.]*)|(\S))"
)
_HEADER = re.compile(r"nest ([^\s(]+)\(([^|)]*)(?:\|([^)]*))?\):")


def parse_nest(text: str) -> Nest:
    """The nest that `format_nest` wrote.

    Raises:
        ChainruleError: the text is none, and at which line.

    >>> nest = parse_nest("nest fill(n: 4):\\n  %y[n] = f32(0.5)")
    >>> nest.maps, nest.stores[0].expr.value
    ((Axis(name='n', size=4),), 0.5)
    """
    lines = text.strip().splitlines()
    header = _HEADER.fullmatch(lines[0].strip()) if lines else None
    if header is None:
        raise ChainruleError(
            "parse_nest: the first line is not `nest name(n: 4 | k: 3):`", text=text
        )
    dtypes: dict[str, DType] = {}
    named: dict[str, Expr] = {}
    stores: list[Store] = []
    sequential: tuple[str, ...] = ()
    for line in lines[1:]:
        parser = _Parser(line, dtypes, named)
        if parser.peek() == "reads":
            parser.reads()
        elif parser.peek() == "in":
            sequential = parser.in_turn()
        elif parser.peek().startswith("$"):
            name = parser.take()
            parser.take("=")
            named[name] = parser.expression()
        else:
            stores.append(parser.store())
        parser.end()
    name, maps, reduces = header.groups()
    loops = _axes(maps, lines[0]), _axes(reduces or "", lines[0])
    return Nest(name, *loops, tuple(stores), sequential)


def _axes(text: str, line: str) -> tuple[Axis, ...]:
    axes: list[Axis] = []
    for each in filter(None, [part.strip() for part in text.split(",")]):
        found = re.fullmatch(r"(\w+): *(-?\d+)", each)
        if found is None:
            raise ChainruleError(f"parse_nest: {each!r} is no axis like `n: 4`", text=line)
        axes.append(Axis(found[1], int(found[2])))
    return tuple(axes)


class _Parser:
    """Reads one line, a token at a time."""

    def __init__(self, line: str, dtypes: dict[str, DType], named: dict[str, Expr]) -> None:
        self.line = line
        self.tokens = [found[1] or found[2] or found[3] for found in _TOKEN.finditer(line)]
        self.at = 0
        self.dtypes = dtypes
        self.named = named

    def peek(self) -> str:
        """The token to come, "" at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str = "") -> str:
        """The next token, which must be the expected one."""
        token = self.peek()
        if not token or (expected and token != expected):
            self.fail(f"{expected or 'something'!r} is missing")
        self.at += 1
        return token

    def fail(self, problem: str) -> NoReturn:
        """Raise the error."""
        got = f" before {self.peek()!r}" if self.peek() else " at the end"
        raise ChainruleError(
            f"parse_nest: {problem}{got} of the line\n    {self.line.strip()}", text=self.line
        )

    def end(self) -> None:
        """Nothing is left."""
        if self.peek():
            self.fail("nothing more is expected")

    def reads(self) -> None:
        """`reads %x f32, %y i64`."""
        separator = self.take("reads")
        while separator in ("reads", ","):
            name = self.buffer()
            self.dtypes[name] = self.dtype()
            separator = self.take() if self.peek() else ""

    def in_turn(self) -> tuple[str, ...]:
        """`in turn p, q`."""
        self.take("in")
        self.take("turn")
        names = [self.take()]
        while self.peek() == ",":
            self.take()
            names.append(self.take())
        return tuple(names)

    def store(self) -> Store:
        """`%y[n] = expression`."""
        buffer = self.buffer()
        at, index = self.place()
        self.take("=")
        return Store(buffer, at, self.expression(), index)

    def place(self) -> tuple[Affine, tuple[tuple[Expr, int], ...]]:
        """`[784 n + k; 64 %i[n]]`."""
        self.take("[")
        at = self.affine()
        index: list[tuple[Expr, int]] = []
        while self.peek() in (";", ","):
            self.take()
            stride = self.integer()
            index.append((self.expression(), stride))
        self.take("]")
        return at, tuple(index)

    def buffer(self) -> str:
        """`%name`, without the `%`."""
        if not self.peek().startswith("%"):
            self.fail("a buffer like %x is expected")
        return self.take()[1:]

    def dtype(self) -> DType:
        """A dtype's short name."""
        if self.peek() not in _BY_SHORT:
            self.fail("a dtype like f32 is expected")
        return _BY_SHORT[self.take()]

    def suffix(self) -> DType | None:
        """`:f32`, if it is there."""
        if self.peek() != ":":
            return None
        self.take()
        return self.dtype()

    def affine(self) -> Affine:
        """`784 n + k + 5`."""
        offset, strides, plus = 0, list[tuple[str, int]](), "+"
        while plus == "+":
            number = self.integer() if re.fullmatch(r"-?\d+", self.peek()) else None
            if re.fullmatch(r"[A-Za-z_]\w*", self.peek()):
                strides.append((self.take(), 1 if number is None else number))
            elif number is not None:
                offset += number
            else:
                self.fail("a place like 10 n + 3 is expected")
            plus = self.take() if self.peek() == "+" else ""
        return Affine(offset, tuple(strides))

    def integer(self) -> int:
        """A whole number."""
        if not re.fullmatch(r"-?\d+", self.peek()):
            self.fail("a whole number is expected")
        return int(self.take())

    def expression(self) -> Expr:
        """Any expression."""
        token = self.peek()
        if token.startswith("%"):
            return self.load()
        if token.startswith("$"):
            if token not in self.named:
                self.fail(f"{token} has not been named yet,")
            return self.named[self.take()]
        if token in ("true", "false"):
            return Literal(self.take() == "true", bool_)
        if token in _BY_SHORT:
            return self.leaf()
        name, dtype = self.take(), self.suffix()
        axes: list[str] = []
        if self.peek() == "[":
            self.take()
            axes.append(self.take())
            while self.peek() == ",":
                self.take()
                axes.append(self.take())
            self.take("]")
        args = self.arguments()
        if axes:
            return Reduce(name, args[0], tuple(axes))
        if dtype is None and name not in PRIMITIVES:
            self.fail(f"there is no primitive {name!r}; without its dtype it can't be read,")
        return Call(name, args, dtype or result_dtype(name, args[-1].dtype))

    def arguments(self) -> tuple[Expr, ...]:
        """`(a, b)`."""
        self.take("(")
        args = [self.expression()]
        while self.peek() == ",":
            self.take()
            args.append(self.expression())
        self.take(")")
        return tuple(args)

    def leaf(self) -> Expr:
        """`f32(0.5)` or `i64[n]`."""
        dtype = self.dtype()
        if self.peek() == "[":
            self.take()
            axis = self.take()
            self.take("]")
            return Iota(axis, dtype)
        self.take("(")
        try:
            number = float(self.peek()) if dtype.is_floating_point else int(self.peek())
        except ValueError:
            self.fail(f"a number of {dtype.name} is expected")
        self.take()
        self.take(")")
        return Literal(number, dtype)

    def load(self) -> Load:
        """`%x[784 n + k; 64 %i[n]]`."""
        buffer = self.buffer()
        at, index = self.place()
        dtype = self.suffix() or self.dtypes.get(buffer)
        if dtype is None:
            self.fail(f"`reads` does not say what %{buffer} holds,")
        return Load(buffer, at, dtype, index)
