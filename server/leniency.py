"""For clients that cannot be changed: unknown fields pass and are named in a header, where a setting allows it."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from server.middleware import with_header
from server.schemas.common import passed_over

HEADER = "X-Espalier-Ignored"

MOST_NAMES = 20
"""Names in one header; proxies refuse long ones."""

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Leniency:
    """Lets unknown top-level fields of a request pass, and says in the reply's header which they were."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        names: list[str] = []
        token = passed_over.set(names)
        try:
            await self._app(scope, receive, with_header(send, HEADER, lambda: header_value(names)))
        finally:
            passed_over.reset(token)


def header_value(names: list[str]) -> str:
    """The names, safe to print; one that is not is written ``?``, and those beyond the limit are counted."""
    told = [name if _SAFE.fullmatch(name) else "?" for name in names[:MOST_NAMES]]
    more = len(names) - MOST_NAMES
    return ", ".join([*told, f"and {more} more"] if more > 0 else told)
