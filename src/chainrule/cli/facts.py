"""What is installed here, as `chainrule version` prints it. Imports no typer: it is quick."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["facts", "facts_text"]


def facts() -> dict[str, str]:
    """The versions of this program, Python, NumPy, its BLAS, and the platform."""
    import numpy as np

    import chainrule

    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return {
        "chainrule": chainrule.__version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "numpy": np.__version__,
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        "safetensors": _installed("safetensors"),
        "pillow": _installed("pillow"),
        "platform": platform.platform(),
        "processor": f"{platform.machine()}, {_cores()} cores",
        "executable": sys.executable,
    }


def facts_text() -> str:
    """The facts, a line each."""
    return "\n".join(f"{name:<12} {value}" for name, value in facts().items())


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
