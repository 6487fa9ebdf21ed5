"""What one check of a client found, as the scripts of all clients print it: one JSON object a line."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable

Check = Callable[[], object | Awaitable[object]]
"""Raises when the client did not get what it should have got."""


async def run_checks(client: str, version: str, checks: Mapping[str, Check]) -> None:
    """Runs checks one after the other and prints what became of each."""
    for name, check in checks.items():
        began, detail = time.monotonic(), ""
        try:
            done = check()
            if isawaitable(done):
                await done
        except Exception:  # noqa: BLE001 - whatever a client raises is what is looked for
            detail = traceback.format_exc(limit=-3)
        tell(client, version, name, detail, time.monotonic() - began)


def tell(client: str, version: str, check: str, detail: str, seconds: float) -> None:
    """Prints one outcome; an empty detail is a success."""
    told = {"client": client, "version": version, "check": check, "detail": detail, "seconds": round(seconds, 2)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
