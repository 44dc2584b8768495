"""The command line: `chainrule train mnist`, and what belongs to it.

`main` is what is installed as `chainrule` and runs as `python -m chainrule`. Each command has a
file of its own, and imports what it needs when it is called: `chainrule version` loads no layer.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the process was started with, and exit."""
    if sys.argv[1:] == ["version"]:  # loading the parser of arguments takes longer than the answer
        from chainrule.cli.facts import facts_text

        print(facts_text())
        return
    try:
        from chainrule.cli.app import app
    except KeyboardInterrupt:  # loading takes long enough to change one's mind
        sys.exit(130)

    app()
