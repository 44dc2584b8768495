"""The code of the guide runs, and prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

pytest.importorskip("fast_sugiyama", reason="the extra `explain` is not installed")
pytest.importorskip("resvg_py", reason="the extra `explain` is not installed")
GUIDE = Path(__file__).parents[2] / "docs" / "explain.md"


def test_the_guide_s_code_runs_and_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = GUIDE.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    promised = re.findall(r"^print\(.*\)  # (.+)$", code, flags=re.MULTILINE)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, str(GUIDE), "exec"), {"__name__": "guide"})
    printed = output.getvalue().splitlines()
    assert promised
    assert printed[-len(promised) :] == promised
    written = {each.name for each in tmp_path.iterdir()}
    assert written == {
        "graph.svg", "layers.html", "operations.svg", "small.png", "walk.html",
    }  # fmt: skip
