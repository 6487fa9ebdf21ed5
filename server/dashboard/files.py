"""The files that run in the browser, and the explorer of them joined into one script, for a page that stands alone."""

from __future__ import annotations

import re
from pathlib import Path

WEB = Path(__file__).parent / "web"

EXPLORER = (
    "dom",
    "colours",
    "growth",
    "layout",
    "camera",
    "painting",
    "picture",
    "outline",
    "replay",
    "legend",
    "results",
    "head",
    "details",
    "explorer",
)
"""The modules of the explorer, each after those that it imports."""

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, by the endings of files; licences and notes beside them are not."""

_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./[\w-]+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=function |const |class )", re.MULTILINE)


def read(name: str) -> str:
    """The text of a file."""
    return (WEB / name).read_text(encoding="utf-8")


def served() -> list[str]:
    """The names of all files that are served."""
    files = (file for file in sorted(WEB.rglob("*")) if file.suffix in KINDS)
    return [file.relative_to(WEB).as_posix() for file in files]


def explorer_script() -> str:
    """The explorer as one module that imports nothing; its modules share one scope, so no name may stand in two."""
    modules = (read(f"explorer/{name}.js") for name in EXPLORER)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", module)) for module in modules)
