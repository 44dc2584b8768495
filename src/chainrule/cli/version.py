"""`chainrule version`: what is needed to reproduce a run, or to report a mistake."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Annotated, Any

import typer

__all__ = ["version"]


def version(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the versions of this program, Python, NumPy, its BLAS, and the platform.

    [bold]Examples[/bold]

      chainrule version

      chainrule version --json
    """
    import numpy as np

    import chainrule

    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    facts = {
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
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name:<12} {value}")


def _installed(package: str) -> str:
    try:
        return version_of(package)
    except PackageNotFoundError:
        return "not installed"


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
