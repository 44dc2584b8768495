"""Draw the pictures of the documents anew: each is what the code of its page writes.

python tools/docsite/pictures.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run the pages that show pictures, and keep these."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        names = re.findall(r"!\[[^\]]*\]\([^)\s]*pictures/([^)\s]+\.svg)\)", text)
        if not names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            runner = Path(__file__).with_name("code_blocks.py")
            command = [sys.executable, str(runner), str(page)]
            subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONUTF8": "1"}, check=True)
            for name in names:
                drawn = Path(folder, name).read_text(encoding="utf-8")
                (ROOT / "docs" / "pictures" / name).write_text(drawn, encoding="utf-8")
                print(f"docs/pictures/{name}")


if __name__ == "__main__":
    main()
