"""The project keeps its own promises: its documents, its public names, what an import costs."""

import ast
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import chainrule

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "chainrule"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MODULES = sorted(
    ["chainrule", *(m.name for m in pkgutil.walk_packages(chainrule.__path__, "chainrule."))]
)

# Everything from outside the standard library that the package may import, and the rooms that may.
EVERYWHERE = {""}
THIRD_PARTY = {
    "numpy": EVERYWHERE,
    "llvmlite": {"compile"},
    "safetensors": {"train", "interop"},
    "typer": {"cli"},
    "rich": {"cli", "explain", "train"},
    "matplotlib": {"cli"},
    "fast_sugiyama": {"explain"},
    "resvg_py": {"explain"},
    "PIL": {"cli", "data"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ---- the package -----------------------------------------------------------------------------


def test_the_version_is_the_same_in_the_package_and_its_metadata():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chainrule.__version__ == project["version"]


@pytest.mark.parametrize("name", [m for m in MODULES if not m.endswith("__main__")])
def test_a_module_says_what_is_public_and_has_it(name: str):
    """That `__all__` is sorted is ruff's to check (RUF022), and to mend."""
    module = importlib.import_module(name)
    defined = {n for n, value in vars(module).items() if getattr(value, "__module__", "") == name}
    public = getattr(module, "__all__", [])
    assert hasattr(module, "__all__") or all(n.startswith("_") for n in defined)
    assert len(set(public)) == len(public)
    assert [n for n in public if not hasattr(module, n)] == []


def test_every_folder_of_the_package_is_a_package():
    """Without its `__init__.py` a folder's modules would be imported twice, under two names."""
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert [relative(f) for f in sorted(folders) if not (f / "__init__.py").is_file()] == []


def imports(path: Path):
    """(line, dotted name) of every absolute import in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def test_third_party_packages_are_imported_only_in_their_rooms():
    strangers = []
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        for line, name in imports(path):
            package = name.partition(".")[0]
            if package in sys.stdlib_module_names or package == "chainrule":
                continue
            rooms = THIRD_PARTY.get(package, set())
            if rooms is not EVERYWHERE and room not in rooms:
                strangers.append(f"{relative(path)}:{line}: {name}")
    assert strangers == []


def test_functional_knows_no_module():
    """The rooms' contract (`make rooms`) sees `nn` as one room; inside it, this is the order."""
    found = [
        f"{relative(path)}:{line}: {name}"
        for path in (SOURCE / "nn" / "functional").rglob("*.py")
        for line, name in imports(path)
        if re.match(r"chainrule\.nn\b(?!\.functional\b)", name)
    ]
    assert found == []


def test_nothing_that_runs_code_from_a_file_is_imported():
    unsafe = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    found = [
        f"{relative(path)}:{line}: {name}"
        for path in SOURCE.rglob("*.py")
        for line, name in imports(path)
        if name.partition(".")[0] in unsafe
    ]
    assert found == []


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    script = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    """`import chainrule` is to cost little more than `import numpy`."""
    heavy = {
        "argparse", "asyncio", "gzip", "http.client", "llvmlite", "logging",
        "matplotlib", "multiprocessing", "PIL", "rich", "safetensors", "tomllib", "torch", "typer",
        "unittest", "urllib.request",
        "chainrule.cli", "chainrule.data", "chainrule.explain", "chainrule.nn", "chainrule.optim",
        "chainrule.train",
    }  # fmt: skip
    added = modules_after("import chainrule") - modules_after("import numpy")
    assert added & heavy == set()


# ---- the documents ---------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The names that a Markdown file's headings can be linked by."""
    titles = re.findall(r"^#+ +(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def is_made_by_the_site(target: Path) -> bool:
    """Pages that the documentation site makes while it is built; it checks links to them itself."""
    path = os.path.relpath(target, ROOT / "docs")
    return path in ("operations.md", "performance.md") or path.startswith("reference/")


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_inside_the_repository_lead_somewhere(document: Path):
    broken = []
    text = without_code(document.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if is_made_by_the_site(target):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_diff_in_contributing_is_the_code_as_it_is():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    diffs = re.findall(
        r"^```diff\n--- .*\n\+\+\+ b/(.+)\n((?:.*\n)*?)```", text, flags=re.MULTILINE
    )
    assert diffs
    for name, diff in diffs:
        code = (ROOT / name).read_text(encoding="utf-8")
        hunks = re.findall(r"(?:^\+.*\n)+", diff, flags=re.MULTILINE)
        added = [re.sub(r"^\+", "", hunk, flags=re.MULTILINE) for hunk in hunks]
        assert len(added) > 1
        assert [hunk for hunk in added if hunk.strip().rstrip(",") not in code] == []


# ---- the commands ----------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestMake:
    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True)

    def test_help_lists_every_command(self):
        makefile = (ROOT / "Makefile").read_text()
        commands = re.search(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
        assert commands
        listed = re.findall(r"^  make (\w+)", self.make().stdout, flags=re.MULTILINE)
        assert sorted(listed) == sorted(commands[1].split())

    def test_a_missing_python_is_said_in_a_sentence(self, tmp_path: Path):
        done = self.make("mnist", f"VENV={tmp_path / 'venv'}", f"PYTHON={tmp_path / 'nothing'}")
        assert done.returncode != 0
        assert "Install Python 3.11 or newer" in done.stderr

    def test_an_old_python_is_said_in_a_sentence(self, tmp_path: Path):
        old = tmp_path / "python3.8"
        old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.0 && exit\nexit 1\n')
        old.chmod(0o755)
        done = self.make("mnist", f"VENV={tmp_path / 'venv'}", f"PYTHON={old}")
        assert done.returncode != 0
        assert "needs Python 3.11 or newer" in done.stderr
        assert "Python 3.8.0" in done.stderr
