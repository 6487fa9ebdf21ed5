"""One trace as one page of HTML that needs nothing else: no network, no server. For bug reports.

Texts of a trace are others' words. They stand in the page as JSON in which no character means anything to HTML, the
view puts them on the page as text, and the page's own policy lets no script run but those written into it here.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

SCRIPTS = ("vendor/d3-hierarchy.min.js", "growth.js", "tree-view.js", "trace-view.js")
"""In the order in which they need each other."""

STYLES = ("trace-view.css",)

BEGIN = (
    'EspalierTrace.mount(document.getElementById("view"), JSON.parse(document.getElementById("trace").textContent));'
)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{title}</title>
{styles}
</head>
<body>
<main id="view"><noscript>This page draws its search with scripts, which are turned off here.</noscript></main>
<script type="application/json" id="trace">{trace}</script>
{scripts}
</body>
</html>
"""

GROUND = (
    "body { margin: 0; background: #ffffff; } @media (prefers-color-scheme: dark) { body { background: #14171a; } }"
)


def trace_page(trace: dict[str, Any]) -> str:
    """The page.

    Args:
        trace: As ``SearchTrace``.
    """
    scripts = [*((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS), BEGIN]
    styles = [*((FOLDER / name).read_text(encoding="utf-8") for name in STYLES), GROUND]
    policy = {
        "default-src": "'none'",
        "script-src": " ".join(map(_digest, scripts)),
        "style-src": " ".join(map(_digest, styles)),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return PAGE.format(
        policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        title=html.escape(f"Search {trace['id']}").encode("utf-8", "replace").decode(),  # halves of surrogate pairs
        styles="\n".join(f"<style>{style}</style>" for style in styles),
        trace=inert_json(trace),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def inert_json(value: Any) -> str:
    """JSON in ASCII that can neither end the element it stands in nor begin another."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(content: str) -> str:
    """What a policy calls a script or style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
