"""The pages that the site makes have everything in them: each op, each public name."""

import importlib
import re
from pathlib import Path

import pytest
from tools.docsite.markdown import docstring, page_text
from tools.docsite.operations import load_ops, operations_page
from tools.docsite.reference import AT_TOP, LISTED, OP_PAGES, PAGES, reference_pages

import chainrule
from chainrule.core.op import registry
from chainrule.explain.derivation import derivative

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def table() -> str:
    return operations_page()


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    return reference_pages()


def rows(table: str) -> dict[str, str]:
    """The lines of the table, by the name of the op."""
    return dict(re.findall(r'^\| <a id="(\w+)"></a>(.+)$', table, flags=re.MULTILINE))


def test_the_table_has_every_op_once(table: str):
    ops = load_ops()
    own = {name for name, op in registry.items() if op.__module__.startswith("chainrule.")}
    assert set(rows(table)) == set(ops) == own
    assert len(re.findall(r'<a id="', table)) == len(ops)
    assert f"{len(ops)} operations" in table


def test_a_row_has_what_the_op_says_of_itself(table: str):
    found = rows(table)
    for name, op in load_ops().items():
        told = derivative(op)
        line = found[name].replace("&#124;", "|").replace("&lt;", "<").replace("&gt;", ">")
        line = line.replace("&amp;", "&")
        assert told.formula.partition("\n")[0].replace("`", "") in line
        for rule in told.rules:
            assert re.sub(r"\s{3,}", "  ", rule) in line
        if op.differentiable is not False:
            cells = re.split(r"(?<!\\) \| ", found[name].strip(" |"))
            assert len(cells) == 4
            assert cells[2].strip(), f"{name} is differentiable, and the table doesn't say how"


def test_the_rule_of_multiplication_is_there(table: str):
    assert "<code>dy/da = b,  dy/db = a</code>" in rows(table)["mul"]
    assert "derivations/layer_norm.md" in rows(table)["layer_norm"]


def test_every_function_of_the_ops_has_a_page():
    listed = [family for _, families in OP_PAGES.values() for family in families.split()]
    assert len(listed) == len(set(listed))
    offering = {family for family in chainrule.ops.FAMILIES if family.__all__}
    named = {f"chainrule.ops.{family}" for family in listed}
    assert {family.__name__ for family in offering} <= named


def test_every_public_name_is_in_the_reference(reference: dict[str, str]):
    text = "\n".join(reference.values())
    modules = {name: target for page in PAGES.values() for target, name in page.modules}
    wanted = {
        AT_TOP.get(f"{name}.{each}", f"{name}.{each}")
        for name, target in modules.items()
        for each in importlib.import_module(target).__all__
        if not re.match(r"<module", repr(getattr(importlib.import_module(target), each)))
    }
    wanted |= {f"chainrule.{each}" for each in chainrule.__all__ if each not in LISTED}
    wanted -= {"chainrule.autograd"}
    headings = set(re.findall(r"heading: (\S+)|^#+ (\S+) \{", text, flags=re.MULTILINE))
    there = {each for pair in headings for each in pair if each}
    there |= set(re.findall(r"`(chainrule\.\w+)`", reference["reference/tensor.md"]))
    assert wanted - there == set()


def test_the_reference_says_what_is_loaded_late(reference: dict[str, str]):
    assert "::: chainrule.compile.compiled.compile\n" in reference["reference/compile.md"]
    assert "::: chainrule.explain.block.explain\n" in reference["reference/explain.md"]
    assert "::: chainrule.data.loader.DataLoader\n" in reference["reference/data.md"]


def test_every_command_says_what_it_takes(reference: dict[str, str]):
    page = reference["reference/command-line.md"]
    for command in ("train", "serve", "data fetch", "cache clear"):
        assert f"## chainrule {command}\n" in page
        assert f"Usage: chainrule {command} [OPTIONS]" in page


def test_every_made_page_is_in_the_navigation(reference: dict[str, str]):
    """What the build would refuse, seen without it."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    assert [page for page in [*reference, "operations.md"] if page not in navigation] == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    folders = re.findall(r"- (\S+)/\*$", navigation, flags=re.MULTILINE)
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert [
        page.as_posix()
        for page in pages
        if page.as_posix() not in navigation and page.parent.as_posix() not in folders
    ] == []
    named = re.findall(r"(?:: |- )([\w/-]+\.md)$", navigation, flags=re.MULTILINE)
    made = re.compile(r"reference/|operations|performance|contributing|changelog")
    assert [
        page for page in named if not made.match(page) and not (ROOT / "docs" / page).exists()
    ] == []


# ---- texts as the site has them --------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "path", "there"),
    [
        ("[a](notation.md)", "architecture.md", "[a](notation.md)"),
        ("[a](../notation.md#words)", "derivations/conv.md", "[a](../notation.md#words)"),
        ("[a](docs/notation.md)", "contributing.md", "[a](notation.md)"),
        ("[a](docs/decisions/)", "contributing.md", "[a](decisions/README.md)"),
        ("[a](CONTRIBUTING.md)", "changelog.md", "[a](contributing.md)"),
        ("[a](../../README.md)", "guides/a.md", "[a](../index.md)"),
        ("[a](../src/chainrule/tensor.py)", "architecture.md", "a"),
        ("[a](https://example.org/a.md)", "architecture.md", "[a](https://example.org/a.md)"),
        ("[a](#here)", "architecture.md", "[a](#here)"),
        ("`[a](../b.md)`", "architecture.md", "`[a](../b.md)`"),
        ("```text\n[a](../b.md)\n```", "architecture.md", "```text\n[a](../b.md)\n```"),
        ("![a](pictures/b.svg)", "architecture.md", "![a](pictures/b.svg)"),
        ("one<!-- two -->\nthree", "architecture.md", "onethree"),
        ("`<!-- shown -->`", "architecture.md", "`<!-- shown -->`"),
    ],
)
def test_links_are_bent_to_the_site(link: str, path: str, there: str):
    assert page_text(link, path) == there


def test_a_layer_s_parameters_are_no_arguments():
    assert docstring("A.\n\nParameters:\n    weight: (3).") == (
        "A.\n\nLearnt parameters:\n    weight: (3)."
    )
    assert docstring(">>> 1\n1") == "```pycon\n>>> 1\n1\n```"
