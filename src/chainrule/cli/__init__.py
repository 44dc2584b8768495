"""The command line: `chainrule train mnist`, and what belongs to it.

`main` is what is installed as `chainrule` and runs as `python -m chainrule`. Each command has a
file of its own, and imports what it needs when it is called: `chainrule version` loads no layer.
"""

from chainrule.cli.app import main

__all__ = ["main"]
