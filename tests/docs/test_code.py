"""All code of the documents runs, and prints what they say; their pictures are what it draws."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tools.docsite.code_blocks import blocks_of, has_code

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "tools" / "docsite" / "code_blocks.py"
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in DOCUMENTS if has_code(page.read_text(encoding="utf-8"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The page's code in an interpreter of its own, on one thread, warnings being errors."""
    command = [sys.executable, "-W", "error", str(RUNNER), str(page)]
    environment = {**os.environ, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(each for each in sys.path if each)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_code_of_a_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path):
    text = page.read_text(encoding="utf-8")
    if re.search(r"\b(?:cr|chainrule|torch)\.compile\b", text):
        pytest.importorskip("llvmlite", reason="there is no llvmlite for this platform")
    if "chainrule.explain()" in text:
        pytest.importorskip("fast_sugiyama", reason="the extra `explain` is not installed")
        pytest.importorskip("resvg_py", reason="the extra `explain` is not installed")
    done = run(page, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for picture in pictures_of(page):
        made = tmp_path / picture.name
        assert made.exists(), f"the page shows {picture.name}, and its code doesn't write it"
        assert words(made) == words(picture), (
            f"{picture.name} is not what the code draws: python tools/docsite/pictures.py"
        )


def pictures_of(page: Path) -> list[Path]:
    """The drawings that a page shows, which lie in docs/pictures."""
    found = re.findall(r"!\[[^\]]*\]\(([^)\s]*pictures/[^)\s]+\.svg)\)", page.read_text("utf-8"))
    return [(page.parent / name).resolve() for name in found]


def words(drawing: Path) -> list[str]:
    """What a drawing says, but for places: in the picture, and of lines in the page."""
    text = drawing.read_text(encoding="utf-8").partition("</style>")[2]
    return re.findall(r">([^<>\s][^<>]*)<", re.sub(r"\bline \d+", "line", text))


def test_every_drawing_is_shown():
    shown = {picture for page in DOCUMENTS for picture in pictures_of(page)}
    assert set((ROOT / "docs" / "pictures").glob("*.svg")) == shown


def test_what_is_not_run_says_why_and_is_little():
    steered = [
        (relative(page), block.reason)
        for page in DOCUMENTS
        for block in blocks_of(page.read_text(encoding="utf-8"))
        if block.steered == "not run"
    ]
    assert [page for page, reason in steered if len(reason) < 10] == []
    assert len(steered) <= 8


# ---- the runner itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("```python\nprint(1 + 1)  # 2\n```\n", "", id="as-told"),
        pytest.param(
            "```python\nprint(1 + 1)  # 3\n```\n", "says '3', and it prints '2", id="another-number"
        ),
        pytest.param("```python\nprint(\n    1\n)  # 1\n```\n", "", id="a-call-of-several-lines"),
        pytest.param("```python\nprint(1)\n```\n", "doesn't say", id="nothing-is-told"),
        pytest.param(
            '```python\nprint(1)\n```\n\n```text title="Output"\n1\n```\n',
            "",
            id="a-block-of-output",
        ),
        pytest.param(
            '```python\nprint(1)\n```\n\n```text title="Output"\n2\n```\n',
            "otherwise",
            id="another-block",
        ),
        pytest.param(
            '```python\nprint(1.25)\n```\n\n```text title="Output"\n1...\n```\n', "", id="dots"
        ),
        pytest.param("```pycon\n>>> 1 + 1\n2\n```\n", "", id="examples"),
        pytest.param("```pycon\n>>> 1 + 1\n3\n```\n", "Expected", id="wrong-examples"),
        pytest.param("<!-- setup\nx = 1\n-->\n```python\nprint(x)  # 1\n```\n", "", id="a-setup"),
        pytest.param("<!-- not run: it would fail -->\n```python\n1 / 0\n```\n", "", id="left-out"),
        pytest.param(
            "- in a list\n\n  ```python\n  print(1)  # 2\n  ```\n", "says '2'", id="in-a-list"
        ),
        pytest.param("```python\n1 / 0\n```\n", "ZeroDivisionError", id="an-error"),
        pytest.param(
            "```python\nx = 1\n```\n\n```python\nprint(x)  # 1\n```\n", "", id="one-program"
        ),
    ],
)
def test_the_runner_sees_what_is_wrong(text: str, problem: str, tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(text)
    done = run(page, tmp_path)
    assert problem in done.stdout + done.stderr
    assert (done.returncode != 0) == bool(problem)
