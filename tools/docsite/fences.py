"""Docstrings as Markdown: their examples stand in fences, so that `>>>` is no quotation."""

from __future__ import annotations

__all__ = ["with_fences"]


def with_fences(text: str) -> str:
    """A docstring whose `>>>` examples, up to the next empty line, are fenced.

    >>> print(with_fences("One.\\n\\n>>> 1 + 1\\n2\\n\\nTwo."))
    One.
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    <BLANKLINE>
    Two.
    """
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if not inside and line.lstrip().startswith(">>> "):
            if lines and lines[-1].strip():
                lines.append("")
            lines.append("```pycon")
            inside = True
        elif inside and not line.strip():
            lines.append("```")
            inside = False
        lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)
