"""`derivative`: how the derivative of an op, a layer or a function was made.

What is shown is what the library says of itself: the formula and the derivative rules from the
op's documentation, the source of its backward, and the derivation on paper from the notes that
come with the package.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from chainrule.autograd.function import Function
from chainrule.core.coarse import CoarseOp
from chainrule.core.families import Elementwise, LinearOp
from chainrule.core.op import Op, registry
from chainrule.core.samples import samples_of
from chainrule.errors import ConfigError
from chainrule.nn.module import Module

__all__ = ["Derivation", "derivative", "notes"]


@dataclass(frozen=True)
class Derivation:
    """How one derivative was made.

    Attributes:
        name: of the op or the function.
        formula: what it computes, from its documentation.
        rules: its derivative, from its documentation.
        about: where the derivative comes from, in a sentence.
        source: the text of the derivative.
        note: the derivation on paper, in Markdown; empty where there is none.
        parts: the derivations of the ops it is made of, of what is no op itself.

    >>> from chainrule.ops.trigonometry import Tanh
    >>> found = derivative(Tanh)
    >>> found.formula, found.rules
    ('y = tanh x', ('dy/dx = 1 - y²',))
    """

    name: str
    formula: str
    rules: tuple[str, ...] = ()
    about: str = ""
    source: str = ""
    note: str = ""
    parts: tuple[Derivation, ...] = ()

    @property
    def markdown(self) -> str:
        """All of it."""
        pieces = [f"## {self.name}"]
        lines = [each for each in (self.formula, *self.rules) if each]
        if lines:
            pieces.append("```text\n" + "\n".join(lines) + "\n```")
        pieces.append(self.about)
        if self.source:
            pieces.append(f"```python\n{self.source}\n```")
        pieces += [part.markdown.replace("\n## ", "\n### ") for part in self.parts]
        if self.note:
            pieces += ["---", _one_deeper(self.note)]
        return "\n\n".join(each for each in pieces if each)

    def _repr_markdown_(self) -> str:
        return self.markdown

    def __str__(self) -> str:
        return self.markdown

    def __repr__(self) -> str:
        return self.markdown

    def __rich__(self) -> Any:
        from rich.markdown import Markdown

        return Markdown(self.markdown)


def derivative(target: Any) -> Derivation:
    """How the derivative of an op, layer, function or `autograd.Function` was made.

    It prints in a terminal (`rich.print` makes it pretty) and shows itself in a notebook.

    Args:
        target: an op or its class, its name, a layer or its class, a function of this library such
            as `F.linear` or `chainrule.matmul`, or a subclass of `autograd.Function`.

    Raises:
        ConfigError: there is no derivative known for it.

    >>> import chainrule
    >>> found = chainrule.derivative(chainrule.nn.Linear)
    >>> print(found.formula)
    y = x Wᵀ + b
    >>> print(found.rules[0])
    x_bar = y_bar W,  W_bar = y_barᵀ x,  b_bar = Σ y_bar over the rows
    """
    if isinstance(target, str):
        return _of_name(target)
    if isinstance(target, Op):
        return _of_op(type(target))
    if isinstance(target, type):
        if issubclass(target, Op):
            return _of_op(target)
        if issubclass(target, Function):
            return _of_function(target)
    return _of_made(target)


# -- ops ---------------------------------------------------------------------------------------


def _of_name(name: str) -> Derivation:
    _load_all()
    if name.lower() in registry:
        return _of_op(registry[name.lower()])
    import difflib

    from chainrule import nn

    found: Any = getattr(nn, name, None) or getattr(nn.functional, name, None)
    if found is not None:
        return derivative(found)
    near = difflib.get_close_matches(name.lower(), registry, n=1)
    raise ConfigError(
        f"derivative: there is no op called {name!r}",
        cure=f"did you mean {near[0]!r}?" if near else "`chainrule gradcheck --all` lists them",
    )


def _load_all() -> None:
    """Every module that defines an op."""
    import importlib
    import pkgutil

    for room in ("chainrule.ops", "chainrule.nn.functional"):
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)


def _of_op(op: type[Op]) -> Derivation:
    from chainrule.explain.formulas import formula_of

    samples = samples_of(op)
    said = formula_of(samples[0].op, len(samples[0].inputs)) if samples else None
    formula, rules = (said.meaning, said.derivative) if said else (inspect.getdoc(op) or "", ())
    if op.differentiable is False:
        return Derivation(op.name, formula, (), "It has no derivative: its output is constant.")
    about, methods = _ways(op)
    texts = [_source(getattr(op, each)) for each in methods if callable(getattr(op, each, None))]
    own = [text for text in texts if text]
    return Derivation(op.name, formula, rules, about, "\n\n".join(own), _note_of(op))


def _ways(op: type[Op]) -> tuple[str, tuple[str, ...]]:
    """How an op of its family comes by its derivative, and the methods that say it."""
    if issubclass(op, CoarseOp):
        about = "The backward was derived by hand, and is checked against autodiff of its body."
        return about, ("forward", "backward", "slope", "slope_target")
    if issubclass(op, Elementwise):
        about = "Elementwise: the cotangent is multiplied by the partial derivative."
        return about, tuple(f"partial_{each}" for each in op.operands)
    if issubclass(op, LinearOp):
        about = "Linear: its derivative is itself, and the cotangent goes back by its transpose."
        return about, ("transpose",)
    if callable(getattr(op, "transpose_a", None)):
        about = "Bilinear: linear in each input, and so the cotangent of each holds the other."
        return about, ("transpose_a", "transpose_b")
    return "The derivative is the op's own.", ("vjp",)


def _source(function: Callable[..., Any]) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        return ""


# -- what is made of ops -----------------------------------------------------------------------


def _of_function(function: type[Function]) -> Derivation:
    formula = inspect.getdoc(function) or ""
    about = "A Function of your own: its backward is what you say. `chainrule.check` judges it."
    formula = "" if formula == inspect.getdoc(Function) else formula.partition("\n\n")[0]
    text = "\n\n".join(filter(None, (_source(function.forward), _source(function.backward))))
    return Derivation(function.__name__, formula, (), about, text)


def _kind_of(target: object) -> Any:
    """A layer's class; a function or a class as it is."""
    return target if inspect.isclass(target) or inspect.isroutine(target) else type(target)


def _of_made(target: Any) -> Derivation:
    """Of a layer or a function: the derivations of the ops that its source names."""
    made = _kind_of(target)
    layer = inspect.isclass(made) and Module in made.__mro__
    if not layer and not hasattr(inspect.unwrap(made), "__code__"):
        raise ConfigError(
            f"derivative: {target!r} is no op, layer or function",
            cure="pass an op, a layer or a function of this library, or an autograd.Function",
        )
    name = made.__name__
    ops = _ops_of(made)
    if len(ops) == 1:
        return _of_op(ops[0])
    members: Mapping[str, Any] = vars(made)
    by_hand = layer and callable(members.get("backward"))
    methods = ("forward", "backward") if by_hand else ("forward",)
    text = "\n\n".join(_source(members[m]) for m in methods if m in members)
    text = text or _source(made)
    about = "The chain rule over the ops it is made of, the last first."
    if by_hand:
        about = "Derived by hand. `chainrule.check` judges it."
    formula = (inspect.getdoc(made) or "").partition("\n")[0]
    parts = tuple(map(_of_op, ops))
    shared = {part.note for part in parts}
    note = shared.pop() if len(shared) == 1 else ""
    if note:
        parts = tuple(replace(part, note="") for part in parts)
    return Derivation(name, formula, (), about, text, note, parts)


def _ops_of(made: Any) -> list[type[Op]]:
    """The ops named in the source of a function, or of a layer's `forward`; else by its name."""
    _load_all()
    found: list[type[Op]] = []
    start = getattr(made, "forward", made) if isinstance(made, type) else made
    for function in _reached(start):
        space: dict[str, Any] = getattr(function, "__globals__", {})
        for name in _names_in(function):
            op = _as_op(space.get(name))
            if op is not None and op not in found:
                found.append(op)
    own = [op for op in found if op.__module__.startswith("chainrule.nn.functional")]
    same = registry.get(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", made.__name__).lower())
    return [same] if same is not None else own or found


def _as_op(each: Any) -> type[Op] | None:
    """The class of an op, of its instance, or of a cache of its instances."""
    inner: object = getattr(each, "__wrapped__", each)
    kind = type(inner) if isinstance(inner, Op) else inner
    known = isinstance(kind, type) and issubclass(kind, Op) and kind.name in registry
    return kind if known and isinstance(kind, type) and issubclass(kind, Op) else None


def _reached(start: Any, depth: int = 3) -> Iterator[Any]:
    """A function, and those of the library's functions that it calls by name."""
    seen: list[Any] = []
    waiting = [(start, depth)]
    while waiting:
        function, left = waiting.pop(0)
        function = inspect.unwrap(function)
        if function in seen or not hasattr(function, "__code__"):
            continue
        seen.append(function)
        yield function
        if left == 0:
            continue
        space: dict[str, Any] = function.__globals__
        for name in _names_in(function):
            for each in (space.get(name), getattr(space.get("F"), name, None)):
                called = inspect.isfunction(each)
                if called and each.__module__.startswith("chainrule.nn."):
                    waiting.append((each, left - 1))


def _names_in(function: Any) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return code.co_names if code is not None else ()


# -- the notes ---------------------------------------------------------------------------------


def notes() -> dict[str, str]:
    """The derivations on paper, by the name of the file that they belong to.

    They are part of the package where it is installed; in a checkout they are in
    `docs/derivations`.
    """
    shipped = resources.files("chainrule") / "derivations"
    folder: Any = shipped
    if not shipped.is_dir():
        folder = Path(__file__).resolve().parents[3] / "docs" / "derivations"
    if not folder.is_dir():
        return {}
    return {
        each.name.removesuffix(".md"): each.read_text(encoding="utf-8")
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(".md") and each.name != "README.md"
    }


def _note_of(op: type[Op]) -> str:
    """The note of the file that an op stands in; the activations share one."""
    if not op.__module__.startswith("chainrule.nn.functional."):
        return ""
    known = notes()
    file = op.__module__.rpartition(".")[2]
    if file in known:
        return known[file]
    document = inspect.getdoc(inspect.getmodule(op)) or ""
    named = re.search(r"docs/derivations/(\w+)\.md", document)
    return known.get(named[1], "") if named else known.get("activations", "")


def _one_deeper(note: str) -> str:
    return re.sub(r"^#", "##", note, flags=re.M).strip()
