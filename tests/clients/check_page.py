"""The Python and JavaScript blocks of docs/clients.md, run as they stand there, on a started server's address."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from outcome import Check, run_checks

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
ADDRESS = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(python|js)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(url: str) -> list[tuple[str, str]]:
    """Language and text of each block, with a server's address in place of the usual one."""
    return [(found[1], found[2].replace(ADDRESS, url)) for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def running(language: str, text: str) -> Check:
    """A check that runs one block: it must end well and print something."""

    def run() -> None:
        # A module finds its packages beside its own file.
        where = os.environ["ESPALIER_NODE"] if language == "js" else None
        with tempfile.TemporaryDirectory(dir=where) as folder:
            script = Path(folder, "block.mjs" if language == "js" else "block.py")
            script.write_text(text, encoding="utf-8")
            command = ["node" if language == "js" else sys.executable, str(script)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.strip(), "nothing was printed"

    return run


if __name__ == "__main__":
    found = enumerate(blocks(os.environ["ESPALIER_URL"]), 1)
    checks = {f"block {number}, {language}": running(language, text) for number, (language, text) in found}
    asyncio.run(run_checks("docs/clients.md", "-", checks))
