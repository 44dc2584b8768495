"""What happens while mkdocs builds the site: pages that are made, and links that lead out of docs/.

mkdocs calls the functions below by their names (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path

from mkdocs.exceptions import PluginError  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402
from tools.docsite.markdown import MOUNTED, page_text  # noqa: E402
from tools.docsite.operations import operations_page  # noqa: E402
from tools.docsite.reference import reference_pages  # noqa: E402


def on_config(config: Any) -> Any:
    """In the navigation, `folder/*` stands for the pages of a folder, its README first."""
    config.nav = _opened(config.nav)
    return config


def _opened(entry: Any) -> Any:
    if isinstance(entry, list):
        opened: list[Any] = []
        for each in entry:
            listed = isinstance(each, str) and each.endswith("/*")
            opened += _pages_of(each.removesuffix("/*")) if listed else [_opened(each)]
        return opened
    if isinstance(entry, dict):
        return {title: _opened(inner) for title, inner in entry.items()}
    return entry


def _pages_of(folder: str) -> list[Any]:
    files = sorted((ROOT / "docs" / folder).glob("*.md"), key=lambda each: each.name)
    named = [each for each in files if each.name != "README.md"]
    return [f"{folder}/README.md", *({_title(each): f"{folder}/{each.name}"} for each in named)]


def _title(page: Path) -> str:
    """A page's heading; where it says no more than the file's name, that."""
    heading = page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").replace("`", "")
    return heading if re.match(r"\d+", heading) else page.stem


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    made = {"operations.md": operations_page(), **reference_pages()}
    for source, page in MOUNTED.items():
        made[page] = (ROOT / source).read_text(encoding="utf-8")
    if files.get_file_from_path("performance.md") is None:
        made["performance.md"] = _measured()
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def _measured() -> str:
    """What the README has measured, where there is no page of its own."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## Measured\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    measured = re.sub(r"^###", "##", section[1] if section else "", flags=re.MULTILINE)
    return "# Performance\n" + measured.replace("](docs/", "](")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Leave comments out, and bend the links that are meant for readers of the repository."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]
    return page_text(markdown, page.file.src_uri)


def on_post_build(config: Any) -> None:
    """Refuse a site whose pages would ask another machine for something."""
    asks = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(https?:)?//"""
        r"""|<link(?![^>]*canonical)[^>]*\shref=["']?(https?:)?//|url\(["']?https?:"""
    )
    site = Path(config.site_dir)
    for page in [*site.rglob("*.html"), *site.rglob("*.css")]:
        if asks.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page.relative_to(site)} would load something from elsewhere")
