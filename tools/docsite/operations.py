"""The table of every op with its derivative, as a page of Markdown, from the registry.

    python tools/docsite/operations.py        prints the page

Formulas and rules are the op's own documentation, as `chainrule.derivative` shows it.
"""

from __future__ import annotations

import html
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict

from chainrule.core.coarse import CoarseOp
from chainrule.core.families import BilinearOp, Elementwise, LinearOp
from chainrule.core.op import Op, registry
from chainrule.explain.derivation import Derivation, derivative, notes

__all__ = ["load_ops", "operations_page"]

ROOMS = ("chainrule.ops", "chainrule.autograd", "chainrule.nn.functional")

HEAD = """\
# Every operation and its derivative

{count} operations, each one class in one file. This page is made from the registry in which all of
them stand: formula and derivative are what the op's own documentation says, and
`chainrule.derivative(name)` shows the same with its source.

`y` is the output; `y_bar` is the cotangent of y, the derivative of the final scalar by y, and
`x_bar` is what the op makes of it for its input x. An elementwise op states its partial derivatives
`dy/dx`: `x_bar` is `y_bar` times that. `[c]` is 1 where c holds, else 0. The other symbols are on
[the notation page](notation.md).

| kind | what its derivative is | how many |
|---|---|--:|
{kinds}

"""

KINDS = {
    "elementwise": "the partial derivative of each element, times the cotangent",
    "linear": "itself; the cotangent goes back through its transpose",
    "bilinear": "linear in each of two inputs: the cotangent of one holds the other",
    "by hand": "a whole layer's mathematics, with a backward derived on paper",
    "own": "written for this op",
    "constant": "none: the output does not change with the input, or jumps",
}

AT_HOME = {
    "ops": "Fine operations",
    "functional": "Operations of neural networks",
    "autograd": "Of the tape",
}


def load_ops() -> dict[str, type[Op]]:
    """All ops, by name: every module that defines one is imported."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)
    own = {name: op for name, op in registry.items() if op.__module__.startswith("chainrule.")}
    return dict(sorted(own.items()))


def operations_page() -> str:
    """The page."""
    ops = load_ops()
    counts: dict[str, int] = defaultdict(int)
    files: dict[tuple[str, str], list[type[Op]]] = defaultdict(list)
    for op in ops.values():
        counts[_kind(op)] += 1
        room, _, file = op.__module__.removeprefix("chainrule.").rpartition(".")
        files[room.rpartition(".")[2], file].append(op)
    kinds = "\n".join(f"| {kind} | {what} | {counts[kind]} |" for kind, what in KINDS.items())
    parts = [HEAD.format(count=len(ops), kinds=kinds)]
    for room, title in AT_HOME.items():
        parts.append(f"## {title}\n")
        for (at, file), members in sorted(files.items()):
            if at == room:
                parts.append(_table(file, members))
    return "\n".join(parts)


def _kind(op: type[Op]) -> str:
    if op.differentiable is False:
        return "constant"
    families = {
        CoarseOp: "by hand",
        Elementwise: "elementwise",
        LinearOp: "linear",
        BilinearOp: "bilinear",
    }
    return next((kind for family, kind in families.items() if issubclass(op, family)), "own")


def _table(file: str, ops: list[type[Op]]) -> str:
    document = inspect.getdoc(inspect.getmodule(ops[0])) or ""
    about = document.partition("\n\n")[0].replace("\n", " ")
    rows = "\n".join(_row(op) for op in ops)
    return (
        f"### {file}\n\n{about}\n\n"
        f"| op | computes | derivative | kind |\n|---|---|---|---|\n{rows}\n"
    )


def _row(op: type[Op]) -> str:
    told = derivative(op)
    formula = _code(_formula(op, told).replace("`", ""))
    anchor = f'<a id="{op.name}"></a>'
    return f"| {anchor}`{op.name}` | {formula} | {_rules(op, told)} | {_kind(op)} |"


def _formula(op: type[Op], told: Derivation) -> str:
    """The formula; as a sentence, where it goes on in the documentation's next line."""
    if not told.formula.endswith(" with"):
        return told.formula.partition("\n")[0]
    return (inspect.getdoc(op) or "").partition("\n\n")[0].replace("\n", " ")


def _rules(op: type[Op], told: Derivation) -> str:
    if op.differentiable is False:
        return ""
    lines = [_code(re.sub(r"\s{3,}", "  ", rule)) for rule in told.rules]
    note = _note_name(told)
    if not lines and note:
        lines += [_in_cell(box) for box in re.findall(r"^> (.+)$", told.note, re.MULTILINE)]
    if note:
        lines.append(f"[derivation](derivations/{note}.md)")
    if not lines:
        lines.append(inspect.getdoc(op.transpose) or "" if issubclass(op, LinearOp) else told.about)
    return "<br>".join(lines)


def _note_name(told: Derivation) -> str:
    return next((name for name, text in notes().items() if told.note and text == told.note), "")


def _code(text: str) -> str:
    """Inline code that may stand in a cell of a table, where a bar would end it."""
    return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>"


def _in_cell(text: str) -> str:
    """Markdown that may stand in a cell of a table."""
    return (
        text.replace("|", "&#124;").replace("<", "&lt;").replace("[", "\\[").replace("](", "]&#40;")
    )


if __name__ == "__main__":
    print(operations_page())
