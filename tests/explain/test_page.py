"""The page on derivatives: its program runs, and prints what it says."""

import contextlib
import io
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "derivatives.md"


def test_the_program_of_the_page_prints_what_stands_there():
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S))
    expected = re.findall(r"^print\(.*\)  # (.*)$", program, re.M)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, str(PAGE), "exec"), {"__name__": "__main__"})
    assert printed.getvalue().splitlines() == expected
    assert len(expected) > 5
