"""Texts that were written for readers of the repository and of the code, as the site shows them."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

__all__ = ["MOUNTED", "docstring", "page_text"]

ROOT = Path(__file__).resolve().parents[2]

MOUNTED = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the repository's root that are pages, and where."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_APART = re.compile(
    r"(^ *```.*?^ *```[ ]*$|``.*?``|`[^`\n]+`|<!--.*?-->\n?)", re.MULTILINE | re.DOTALL
)


def page_text(text: str, path: str) -> str:
    """A page without its comments, and with the site's links.

    Args:
        text: the Markdown.
        path: where the page is in the site's sources: `tutorial/index.md`.

    >>> page_text("See [it](../../CONTRIBUTING.md#tests)<!-- really -->.", "guides/a.md")
    'See [it](../contributing.md#tests).'
    """
    pieces = _APART.split(text)
    return "".join(
        ("" if piece.startswith("<!--") else piece)
        if index % 2
        else _LINK.sub(lambda link: _bent(link, path), piece)
        for index, piece in enumerate(pieces)
    )


def _bent(link: re.Match[str], path: str) -> str:
    """A link as the site has it; one to a file that is no page, as its text alone."""
    label, target, anchor = link[1], link[2], link[3] or ""
    if re.match(r"[a-z]+:", target):
        return link[0]
    folder = "" if path in MOUNTED.values() else posixpath.join("docs", posixpath.dirname(path))
    full = posixpath.normpath(posixpath.join(folder, target))
    if full in MOUNTED:
        page = MOUNTED[full]
    elif full == "README.md":
        page = "index.md"
    elif full.startswith("docs/"):
        page = full.removeprefix("docs/")
        page = posixpath.join(page, "README.md") if (ROOT / full).is_dir() else page
    else:
        return label
    return f"[{label}]({posixpath.relpath(page, posixpath.dirname(path) or '.')}{anchor})"


def docstring(text: str) -> str:
    """A docstring, whose `>>>` examples are no quotations, nor a layer's parameters arguments.

    >>> print(docstring("One.\\n\\n>>> 1 + 1\\n2\\n\\nTwo."))
    One.
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    <BLANKLINE>
    Two.
    """
    text = re.sub(r"^Parameters:$", "Learnt parameters:", text, flags=re.MULTILINE)
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
