"""Where this library keeps what can be had again: downloads, and compiled programs.

A room of its own because a compiled program looks here at every start, and has no use for the rest
of what fetching data needs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Where downloads are kept: the platform's cache folder for this user.

    `$XDG_CACHE_HOME/chainrule` or `~/.cache/chainrule`, `~/Library/Caches/chainrule` on macOS,
    `%LOCALAPPDATA%/chainrule` on Windows.

    >>> cache_folder().name
    'chainrule'
    """
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = str(Path.home() / "Library" / "Caches")
    else:
        root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "chainrule"
