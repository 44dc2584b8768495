"""Write `src/chainrule/tensor_methods.pyi`: what type checkers know of the methods of `Tensor`.

The functions of `chainrule.ops` whose first parameter is called `input` become methods when the
package loads. A type checker can't see that, so this script writes it down, from their signatures.

    python tools/write_stubs.py           writes the file
    python tools/write_stubs.py --check   exits with 1 if the file is out of date
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "chainrule"
TARGET = PACKAGE / "tensor_methods.pyi"
HEADER = '''"""The methods that ops give to `Tensor`. Written by tools/write_stubs.py."""

# ruff: noqa: E501, I001
'''
BUILTIN = {
    "int",
    "float",
    "bool",
    "str",
    "tuple",
    "list",
    "dict",
    "object",
    "slice",
    "type",
    "None",
}


# What the package itself attaches (FUNCTIONAL_METHODS in `chainrule/__init__.py`).
FROM_FUNCTIONAL = [
    "    def relu(self) -> Tensor: ...",
    "    def relu_(self) -> Tensor: ...",
    "    def softmax(self, dim: builtins.int, dtype: DType | None = ...) -> Tensor: ...",
    "    def log_softmax(self, dim: builtins.int, dtype: DType | None = ...) -> Tensor: ...",
]


def families() -> list[str]:
    """The modules that `ops/__init__.py` lists in FAMILIES."""
    tree = ast.parse((PACKAGE / "ops" / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "FAMILIES":
            assert isinstance(node.value, ast.Tuple)
            return [ast.unparse(element) for element in node.value.elts]
    raise SystemExit("ops/__init__.py: no FAMILIES found")


def names_of(tree: ast.Module, variable: str) -> list[str]:
    """The strings in a top-level list or tuple of names."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(ast.unparse(target) == variable for target in targets) and node.value:
                return [str(name) for name in ast.literal_eval(node.value)]
    return []


def imports_of(tree: ast.Module, module: str) -> dict[str, str]:
    """For every name a module can use in an annotation: the line that imports it."""
    lines: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                lines[alias.asname or alias.name] = f"from {node.module} import {alias.name}"
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            lines[ast.unparse(target)] = f"from {module} import {ast.unparse(target)}"
        elif isinstance(node, ast.ClassDef):
            lines[node.name] = f"from {module} import {node.name}"
    return lines


class _Builtins(ast.NodeTransformer):
    """`builtins.float` for `float`: inside the class, `float` is a method."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = node.id in BUILTIN and node.id != "None"
        return ast.parse(f"builtins.{node.id}", mode="eval").body if known else node


def annotation_names(function: ast.FunctionDef) -> set[str]:
    """The names that a function's annotations use."""
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    listed += [each for each in (arguments.vararg, arguments.kwarg) if each]
    nodes = [each.annotation for each in listed[1:] if each.annotation]
    nodes += [function.returns] if function.returns else []
    return {
        name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)
    } - BUILTIN


def method_lines(function: ast.FunctionDef, *, in_place: bool) -> list[str]:
    """One method (or its overloads), with `self` for `input`."""
    function.args.args[0] = ast.arg("self")
    decorators = [f"    @{ast.unparse(each)}" for each in function.decorator_list]
    _Builtins().visit(function.args)
    if function.returns:
        function.returns = _Builtins().visit(function.returns)
    defaults = [ast.Constant(...) for _ in function.args.defaults]
    keyword = [None if each is None else ast.Constant(...) for each in function.args.kw_defaults]
    function.args.defaults, function.args.kw_defaults = list(defaults), list(keyword)
    returns = ast.unparse(function.returns) if function.returns else "Any"
    arguments = ast.unparse(function.args)
    lines = [*decorators, f"    def {function.name}({arguments}) -> {returns}: ..."]
    if in_place:
        lines += [f"    def {function.name}_({arguments}) -> Tensor: ..."]
    return lines


def stub() -> str:
    """The text of the stub."""
    imports = {
        "import builtins",
        "from chainrule.core.base import TensorBase",
        "from chainrule.tensor import Tensor",
    }
    body: list[str] = []
    for family in families():
        tree = ast.parse((PACKAGE / "ops" / f"{family}.py").read_text())
        known = imports_of(tree, f"chainrule.ops.{family}")
        public = names_of(tree, "__all__")
        methods, in_place = names_of(tree, "METHODS"), names_of(tree, "IN_PLACE")
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef) or node.name not in [*public, *methods]:
                continue
            if not node.args.args or node.args.args[0].arg != "input":
                continue
            used = annotation_names(node) | {ast.unparse(each) for each in node.decorator_list}
            imports |= {known[name] for name in used if name in known}
            overloaded = bool(node.decorator_list)
            body += method_lines(node, in_place=node.name in in_place and not overloaded)
    body += FROM_FUNCTIONAL
    text = HEADER + "\n" + "\n".join(sorted(imports)) + "\n\nclass TensorMethods(TensorBase):\n"
    return text + "\n".join(body) + "\n"


if __name__ == "__main__":
    text = stub()
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text() != text:
            raise SystemExit("tensor_methods.pyi is out of date: run `make stubs`")
    else:
        TARGET.write_text(text)
