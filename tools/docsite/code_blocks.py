"""Run the code of a Markdown page, and hold the page to what it says of it.

    python tools/docsite/code_blocks.py docs/compiler.md

The Python blocks of a page are one program, in the order in which they stand. What is compared:

- `print(...)  # text`: that statement prints this text;
- a block ```` ```text title="Output" ````: all that the Python block before it prints, where `...`
  stands for anything, as in doctests;
- a block of `>>>` examples (`pycon`), as doctests.

What a top-level `print` says must be told in one of these ways. HTML comments steer:
`<!-- not run: reason -->` before a block leaves it out, `<!-- output not shown: reason -->` lets it
print what it likes, and `<!-- setup` opens code that is run and not shown, up to `-->`.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks_of", "has_code", "run_page"]

_PIECE = re.compile(
    r"^<!--\s*setup\n(?P<setup>.*?)^-->"
    r"|^(?P<indent> *)```(?P<language>\w+)(?P<title>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_STEERS = re.compile(r"<!--\s*(not run|output not shown): ([^<]*?)\s*-->\s*\Z")
_CHECKER = doctest.OutputChecker()


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes:
        language: as the fence names it; `setup` for what is not shown.
        title: what else stands on the fence's line.
        code: the text, without the fence's indentation.
        line: the page's line that its first line is.
        steered: `not run` or `output not shown`, if a comment before it says so.
        reason: the comment's.
    """

    language: str
    title: str
    code: str
    line: int
    steered: str = ""
    reason: str = ""

    @property
    def is_output(self) -> bool:
        """Whether it says what the block before it prints."""
        return 'title="Output"' in self.title


def blocks_of(text: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for found in _PIECE.finditer(text):
        shown = found["setup"] is None
        code, indent = (found["code"], found["indent"]) if shown else (found["setup"], "")
        start = found.start("code") if shown else found.start("setup")
        comment = _STEERS.search(text, 0, found.start())
        yield Block(
            found["language"] if shown else "setup",
            (found["title"] if shown else "").strip(),
            re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) if indent else code,
            text.count("\n", 0, start) + 1,
            comment[1] if comment else "",
            comment[2] if comment else "",
        )


def has_code(text: str) -> bool:
    """Whether there is anything on a page to run."""
    return any(_runs(block) for block in blocks_of(text))


def _runs(block: Block) -> bool:
    wanted = block.language in ("python", "setup") or _is_session(block)
    return wanted and block.steered != "not run"


def _is_session(block: Block) -> bool:
    return block.language == "pycon" or (
        block.language in ("console", "text") and block.code.lstrip().startswith(">>> ")
    )


def run_page(page: Path) -> list[str]:
    """Run the code of a page; in what it differs from what the page says of it."""
    module = types.ModuleType("page")
    sys.modules["page"] = module  # where dataclasses look for the names in annotations
    space = vars(module)
    blocks = list(blocks_of(page.read_text(encoding="utf-8")))
    problems: list[str] = []
    for index, block in enumerate(blocks):
        if not _runs(block):
            continue
        if _is_session(block):
            problems += _run_session(block, page, space)
            continue
        told = next((each for each in blocks[index + 1 : index + 2] if each.is_output), None)
        problems += _run_python(block, told, page, space)
    return problems


def _run_python(
    block: Block, told: Block | None, page: Path, space: dict[str, object]
) -> list[str]:
    tree = ast.parse("\n" * (block.line - 1) + block.code, filename=str(page))
    lines = block.code.splitlines()
    problems: list[str] = []
    printed: list[str] = []
    for statement in tree.body:
        code = compile(ast.Module([statement], []), str(page), "exec", dont_inherit=True)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, space)
        text = output.getvalue()
        printed.append(text)
        if block.language == "setup" or told or block.steered or not _is_print(statement):
            continue
        last = lines[(statement.end_lineno or statement.lineno) - block.line]
        promise = re.search(r"\)  # (.+)$", last)
        where = f"{page.name}:{statement.lineno}"
        if promise is None:
            problems.append(f"{where}: the page doesn't say that this prints\n{text}")
        elif text.strip() != promise[1].strip():
            problems.append(f"{where}: the page says {promise[1]!r}, and it prints {text!r}")
    if told:
        problems += _compare(told, "".join(printed), page)
    return problems


def _is_print(statement: ast.stmt) -> bool:
    called = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(called, ast.Call) and ast.unparse(called.func) == "print"


def _compare(told: Block, printed: str, page: Path) -> list[str]:
    want, got = (
        "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"
        for text in (told.code, printed)
    )
    if _CHECKER.check_output(want, got, doctest.ELLIPSIS):
        return []
    example = doctest.Example("", want)
    shown = _CHECKER.output_difference(example, got, doctest.ELLIPSIS | doctest.REPORT_NDIFF)
    return [f"{page.name}:{told.line}: the page says otherwise than what is printed\n{shown}"]


def _run_session(block: Block, page: Path, space: dict[str, object]) -> list[str]:
    test = doctest.DocTestParser().get_doctest(
        block.code, space, page.name, str(page), block.line - 1
    )
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    result = runner.run(test, out=said.write, clear_globs=False)
    space.update(test.globs)
    return [said.getvalue()] if result.failed else []


if __name__ == "__main__":
    found = [problem for name in sys.argv[1:] for problem in run_page(Path(name).resolve())]
    print("\n".join(found))
    sys.exit(bool(found))
