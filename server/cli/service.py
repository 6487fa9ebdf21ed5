"""How commands talk to a running server: addresses, keys, and refusals in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import httpx
from rich.console import Console

from mcts.errors import StartupError
from server.cli.plain import plain

EXIT_NO_SERVER, EXIT_REFUSED = 3, 1

DEFAULT_URL = "http://127.0.0.1:8000"

SECONDS = 60.0
"""How long a reply may keep us waiting; the trace of a large tree takes a while to make."""


class Refused(Exception):
    """The server answered with an error, or not as Espalier does."""


def add_server_flags(parser: Any) -> None:
    """Adds ``--url`` and ``--api-key``."""
    parser.add_argument("--url", default=DEFAULT_URL, help="the server (default: %(default)s)")
    parser.add_argument(
        "--api-key", default=os.environ.get("ESPALIER_ASK_KEY"), help="key of the server, if it has any"
    )


def address(url: str, path: str) -> str:
    """The address of an endpoint, whether or not the server's ends in ``/v1``."""
    return url.rstrip("/").removesuffix("/v1") + path


def key_headers(api_key: str | None) -> dict[str, str]:
    """The headers that show a key."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def fetched(url: str, api_key: str | None, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Gets a JSON object.

    Raises:
        Refused: The server answered with an error, or with something else than a JSON object.
        StartupError: The address is malformed.
        httpx.TransportError: No server answers.
    """
    given = {name: value for name, value in (query or {}).items() if value is not None}
    try:
        reply = httpx.get(address(url, path), params=given, headers=key_headers(api_key), timeout=SECONDS)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise wrong_address(url) from None
    if reply.status_code != httpx.codes.OK:
        raise Refused(message_of(reply))
    try:
        found = json.loads(reply.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused("the server answered, but not as Espalier does")
    return found


def message_of(reply: httpx.Response) -> str:
    """What an error says, on one line."""
    try:
        return plain(str(reply.json()["error"]["message"]))
    except (ValueError, KeyError, TypeError):
        return f"the server answered {reply.status_code}, and not as Espalier does"


def wrong_address(url: str) -> StartupError:
    """The error for an address that is none."""
    return StartupError(f"--url {url!r} is no address such as {DEFAULT_URL}")


def no_server(url: str, error: httpx.TransportError) -> int:
    """Says that no server answers; the exit code."""
    return say(
        f"no server answers at {url} ({type(error).__name__}); start one with: espalier serve",
        EXIT_NO_SERVER,
    )


def say(message: str, code: int) -> int:
    """Says one line on standard error; the exit code."""
    Console(stderr=True, highlight=False).print(f"espalier: {message}", markup=False, soft_wrap=True)
    return code
