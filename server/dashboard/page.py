"""One trace as one page of HTML that needs nothing else: no network, no server. For bug reports.

Texts of a trace are others' words. They stand in the page as JSON in which no character means anything to HTML, the
view puts them on the page as text, and the page's own policy lets no script run but those written into it here.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from typing import Any

from server.dashboard.files import explorer_script, read

LIBRARY = "vendor/d3-hierarchy.min.js"

STYLES = ("theme.css", "explorer/explorer.css")

BEGIN = """
const trace = JSON.parse(document.getElementById("trace").textContent);
mountExplorer(document.getElementById("view"), trace, { level: 1 });
"""

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

GROUND = "main { max-width: 1400px; margin: 0 auto; padding: 1rem; }"


def trace_page(trace: dict[str, Any]) -> str:
    """The page.

    Args:
        trace: As ``SearchTrace``.
    """
    library, module = read(LIBRARY), explorer_script() + BEGIN
    styles = [*map(read, STYLES), GROUND]
    policy = {
        "default-src": "'none'",
        "script-src": f"{_digest(library)} {_digest(module)}",
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
        scripts=f'<script>{library}</script>\n<script type="module">{module}</script>',
    )


def inert_json(value: Any) -> str:
    """JSON in ASCII that can neither end the element it stands in nor begin another."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(content: str) -> str:
    """What a policy calls a script or style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
