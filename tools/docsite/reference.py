"""The pages of the API reference: which names stand on which page. Their text is the docstrings'.

Everything that a public module lists in `__all__` is there, under the name that users give it; the
rooms that are loaded when first named are loaded here.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

import chainrule
from chainrule import nn, ops
from chainrule.cli.app import app

__all__ = ["LISTED", "OP_PAGES", "PAGES", "Page", "reference_pages"]

OP_PAGES = {
    "numbers": (
        "Numbers",
        "arithmetic division powers elementwise trigonometry special rounding bitwise",
    ),
    "comparing": ("Comparing", "compare bounds classify"),
    "along-dimensions": (
        "Along dimensions",
        "reduce variance norms extrema products scan order counting",
    ),
    "matrix-products": ("Products", "matmul einsum"),
    "shape": (
        "Shape and order",
        "movement broadcasting rearrange joining splitting triangles windows description",
    ),
    "indexing": ("Indexing", "indexing gathering"),
    "making-tensors": ("Making tensors", "create sequences from_data filling conversion"),
    "chance": ("Chance", "generator random sampling"),
    "second-names": ("Second names", "aliases"),
}
"""The functions of `chainrule.ops`, by what they are about: file name, title, families."""


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        title: its heading.
        about: what is said before the names.
        modules: the public modules whose `__all__` it shows, and by which name users know each.
    """

    title: str
    about: str
    modules: tuple[tuple[str, str], ...]


PAGES = {
    "autograd": Page(
        "Autograd",
        "The tape, modes, functions of your own, checks; derivatives as functions of functions.",
        (
            ("chainrule.autograd", "chainrule.autograd"),
            ("chainrule.func", "chainrule.func"),
            ("chainrule.autograd.functional", "chainrule.autograd.functional"),
            ("chainrule.autograd.forward", "chainrule.autograd.forward_ad"),
            ("chainrule.autograd.checkpoint", "chainrule.autograd.checkpoint"),
        ),
    ),
    "nn": Page(
        "Layers",
        "Modules: parameters, and one call into [the functions](nn-functional.md).",
        (("chainrule.nn", "chainrule.nn"),),
    ),
    "nn-functional": Page(
        "Functions of neural networks",
        "`from chainrule.nn import functional as F`.",
        (("chainrule.nn.functional", "chainrule.nn.functional"),),
    ),
    "nn-init": Page(
        "Initialisation", "Drawn in place.", (("chainrule.nn.init", "chainrule.nn.init"),)
    ),
    "optim": Page(
        "Optimizers and schedules",
        "Rules that move parameters, and how their learning rates go.",
        (
            ("chainrule.optim", "chainrule.optim"),
            ("chainrule.optim.lr_scheduler", "chainrule.optim.lr_scheduler"),
        ),
    ),
    "data": Page(
        "Data", "Data sets, loaders, transforms, files.", (("chainrule.data", "chainrule.data"),)
    ),
    "train": Page(
        "Training runs",
        "What `chainrule train` is made of.",
        (("chainrule.train", "chainrule.train"),),
    ),
    "explain": Page(
        "Explanations",
        "Stories of computations; derivatives: how each was made, and its judges; runs as pages.",
        (
            ("chainrule.explain", "chainrule.explain"),
            ("chainrule.explain.derivation", "chainrule.explain.derivation"),
            ("chainrule.explain.check", "chainrule.explain.check"),
            ("chainrule.explain.story", "chainrule.explain.story"),
            ("chainrule.explain.graph", "chainrule.explain.graph"),
            ("chainrule.explain.run", "chainrule.explain.run"),
        ),
    ),
    "compile": Page(
        "Compiling",
        "A function as one native program.",
        (("chainrule.compile", "chainrule.compile"),),
    ),
    "errors": Page(
        "Errors",
        "Every exception that is raised on purpose.",
        (("chainrule.errors", "chainrule.errors"),),
    ),
    "writing-ops": Page(
        "For those who write an op",
        "What an operation is: see [the guide](../guides/write-an-op.md).",
        (
            ("chainrule.core.op", "chainrule.core.op"),
            ("chainrule.core.families", "chainrule.core.families"),
            ("chainrule.core.coarse", "chainrule.core.coarse"),
            ("chainrule.core.samples", "chainrule.core.samples"),
            ("chainrule.core.types", "chainrule.core.types"),
            ("chainrule.core.interpret", "chainrule.core.interpret"),
        ),
    ),
    "ir": Page(
        "The two languages of the compiler",
        "The graph of ops, and the loop nests below it.",
        (
            ("chainrule.ir.graph", "chainrule.ir.graph"),
            ("chainrule.ir.graph_text", "chainrule.ir.graph_text"),
            ("chainrule.ir.nest", "chainrule.ir.nest"),
            ("chainrule.ir.nest_text", "chainrule.ir.nest_text"),
            ("chainrule.ir.verify", "chainrule.ir.verify"),
            ("chainrule.ir.evaluate", "chainrule.ir.evaluate"),
        ),
    ),
}

AT_TOP = {
    "chainrule.compile.compile": "chainrule.compile",
    "chainrule.explain.explain": "chainrule.explain",
    "chainrule.explain.check.check": "chainrule.check",
    "chainrule.explain.derivation.derivative": "chainrule.derivative",
}
"""What stands at the top of the package, and is described with its kin."""

LISTED = {
    "check": "explain",
    "derivative": "explain",
    "compile": "compile",
    "explain": "explain",
    **dict.fromkeys(chainrule.FUNCTIONAL, "nn-functional"),
}
"""Names at the top of the package that are described where they live."""


def reference_pages() -> dict[str, str]:
    """The Markdown of every page, by its path."""
    pages = {f"reference/{name}.md": _page(page) for name, page in PAGES.items()}
    for name, (title, families) in OP_PAGES.items():
        pages[f"reference/{name}.md"] = _op_page(title, families.split())
    pages["reference/tensor.md"] = _tensor_page()
    pages["reference/command-line.md"] = _command_line_page()
    pages["reference/index.md"] = _index_page()
    return pages


# ---- one name --------------------------------------------------------------------------------


def _entry(value: Any, name: str, level: int) -> str:
    """The docstring of a function or class, under the name that users give it."""
    target = f"{value.__module__}.{value.__qualname__}"
    name = AT_TOP.get(name, name)
    short = name.rpartition(".")[2]
    layer = inspect.isclass(value) and issubclass(value, nn.Module) and value is not nn.Layer
    said_by_class = (
        '      filters: ["!^_", "!^forward$", "!^extra_repr$"]\n'
        if layer and value is not nn.Module
        else ""
    )
    anchor = "" if target == name else f"[](){{ #{name} }}\n\n"
    return (
        f"{anchor}::: {target}\n    options:\n      heading: {name}\n      toc_label: {short}\n"
        f"      heading_level: {level}\n      show_root_heading: true\n{said_by_class}"
    )


def _names(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name in sorted(module.__all__, key=lambda each: (each.lower(), each)):
        yield name, getattr(module, name)


def _entries(module: ModuleType, prefix: str, level: int) -> Iterator[str]:
    for name, value in _names(module):
        inner = inspect.unwrap(value) if callable(value) else value
        if inspect.isclass(inner) or inspect.isfunction(inner):
            known = inner.__name__
            full = f"{prefix}.{name}"
            if known != name:
                yield f"{'#' * level} {full} {{ #{full} }}\n\nThe same as `{known}`.\n"
            else:
                yield _entry(inner, full, level)
        elif not inspect.ismodule(value):
            kind = getattr(value, "type", None) or type(value).__name__
            yield f"{'#' * level} {prefix}.{name} {{ #{prefix}.{name} }}\n\nA `{kind}`.\n"


# ---- pages -----------------------------------------------------------------------------------


def _page(page: Page) -> str:
    parts = [f"# {page.title}\n\n{page.about}\n"]
    for target, name in page.modules:
        module = importlib.import_module(target)
        first = (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ")
        parts.append(f"## {name}\n\n{first}\n")
        parts += _entries(module, name, 3)
    return "\n".join(parts)


def _op_page(title: str, families: list[str]) -> str:
    methods = set(ops.methods())
    in_place = set(ops.in_place_methods())
    parts = [f"# {title}\n"]
    for family in families:
        module = importlib.import_module(f"chainrule.ops.{family}")
        first = (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ")
        parts.append(f"## {family}\n\n{first}\n")
        known = [name for name, _ in _names(module) if name in methods]
        known += [f"{name}_" for name, _ in _names(module) if f"{name}_" in in_place]
        if known:
            listed = ", ".join(f"`{name}`" for name in known)
            parts.append(f"Methods of a tensor as well: {listed}.\n")
        parts += _entries(module, "chainrule", 3)
    return "\n".join(parts)


def _tensor_page() -> str:
    dtypes = [
        (name, getattr(chainrule, name))
        for name in chainrule.OWN
        if isinstance(getattr(chainrule, name), chainrule.DType)
    ]
    rows = "\n".join(f"| `chainrule.{name}` | `{value}` |" for name, value in dtypes)
    shown = [
        (name, inspect.unwrap(getattr(chainrule, name))) for name in ("Tensor", *chainrule.OWN)
    ]
    made = {each for family in ops.FAMILIES for each in family.__all__}
    entries = "\n".join(
        _entry(value, f"chainrule.{name}", 2)
        for name, value in dict(shown).items()
        if name not in made
        and getattr(value, "__name__", "") == name
        and not inspect.ismodule(value)
    )
    methods = ", ".join(f"`{name}`" for name in sorted({*ops.methods(), *ops.in_place_methods()}))
    return (
        "# Tensors, dtypes and modes\n\n"
        f"| dtype | is |\n|---|---|\n{rows}\n\n"
        "`chainrule.dtype` is the class `DType`.\n\n"
        "Beside what is listed under `Tensor` below, the functions whose first parameter is "
        f"called `input` are its methods:\n\n{methods}.\n\n{entries}\n"
    )


def _command_line_page() -> str:
    """What each command says of itself."""
    parts = ["# The command line\n\nWhat `chainrule --help` says, and each command of itself.\n"]
    runner = CliRunner(env={"COLUMNS": "78", "TERM": "dumb", "NO_COLOR": "1"})
    for command in _commands(get_command(app)):
        done = runner.invoke(app, [*command.split(), "--help"], prog_name="chainrule")
        said = "\n".join(line.rstrip() for line in done.output.splitlines()).strip("\n")
        title = f"chainrule {command}".strip()
        parts.append(f"## {title}\n\n```text\n{said}\n```\n")
    return "\n".join(parts)


def _commands(group: Any, path: str = "") -> Iterator[str]:
    """Each command by its words, and then its own commands."""
    yield path
    for name, inner in getattr(group, "commands", {}).items():
        yield from _commands(inner, f"{path} {name}".strip())


def _index_page() -> str:
    rows = [
        (
            "tensor",
            "Tensors, dtypes and modes",
            "`Tensor`, and what decides how it is computed with",
        )
    ]
    rows += [
        (name, title, ", ".join(f"`{family}`" for family in families.split()))
        for name, (title, families) in OP_PAGES.items()
    ]
    rows += [
        (name, page.title, ", ".join(f"`{name}`" for _, name in page.modules))
        for name, page in PAGES.items()
    ]
    rows.append(("command-line", "The command line", "`chainrule`"))
    table = "\n".join(f"| [{title}]({name}.md) | {what} |" for name, title, what in rows)
    return (
        "# Reference\n\nEvery public name, with its docstring. All examples are run as tests.\n\n"
        f"| page | what is on it |\n|---|---|\n{table}\n"
    )
