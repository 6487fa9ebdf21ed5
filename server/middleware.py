"""Pure ASGI layers around the app: metrics, request ids, keys, body size.

No ``BaseHTTPMiddleware``: it runs the app in another task, which hides a client's disconnect and buffers streams.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcts.errors import Unauthorized
from server.errors import error_response, http_error_response
from server.metrics import Metrics

OPEN_PATHS = frozenset({"/health", "/health/live", "/health/ready"})
"""Served without a key. Everything else is protected, paths that do not exist included."""

COUNTED = "counted_status"
"""Where a request's state has the status that it is counted under, if that is another than it was sent with."""

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def with_header(send: Send, name: str, value: Callable[[], str]) -> Send:
    """A ``send`` that gives the reply one more header.

    Args:
        send: Sends the reply.
        name: Of the header.
        value: Asked when the reply begins; an empty one adds nothing.
    """

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start" and (told := value()):
            MutableHeaders(scope=message)[name] = told
        await send(message)

    return named


class RequestMetrics:
    """Measures each request to its last byte. Labels: the route's template, never the path, and the status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._histogram = app, metrics.request_duration

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, outcome = time.perf_counter(), Outcome(scope)
        try:
            await outcome.of(self._app, receive, send)
        finally:
            self._histogram.labels(route_of(scope), str(outcome.status)).observe(time.perf_counter() - began)


class Outcome:
    """The status under which a request counts."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._sent = 499  # nginx's number for a client that left before the reply

    async def of(self, app: ASGIApp, receive: Receive, send: Send) -> None:
        """Passes the request on and watches what becomes of it."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._sent = message["status"]
            await send(message)

        try:
            await app(self._scope, receive, watched)
        except Exception:
            self._sent = 500
            raise

    @property
    def status(self) -> int:
        """That of the reply, 500 where the app failed, or what ``count_as`` said instead."""
        return int(self._scope.get("state", {}).get(COUNTED, self._sent))


def route_of(scope: Scope) -> str:
    """The template of the route that a request took: never its path, which clients choose."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def count_as(scope: Scope, status: int) -> None:
    """Has a request counted under another status than its reply began with: it failed after that."""
    scope.setdefault("state", {})[COUNTED] = status


class RequestId:
    """Names each request after its ``X-Request-Id``, when that is safe to print, else at random; echoes the name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        await self._app(scope, receive, with_header(send, "X-Request-Id", lambda: name))


class Keys:
    """Asks for a bearer token. Decides on the routed path alone; ``Host`` and the like have no say."""

    def __init__(
        self, app: ASGIApp, keys: Sequence[str], *, open_metrics: bool, open_files: frozenset[str] = frozenset()
    ) -> None:
        self._app = app
        self._digests = [_digest(key) for key in keys]
        self._open = OPEN_PATHS | open_files | ({"/metrics"} if open_metrics else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on or answers 401."""
        if scope["type"] == "http" and scope["path"] not in self._open:
            key = self._known(scope)
            if not key:
                error = Unauthorized("Send a valid key: Authorization: Bearer KEY.")
                await error_response(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["key"] = key
        await self._app(scope, receive, send)

    def _known(self, scope: Scope) -> str:
        """Which key was sent, by its number, as a name that is no secret; empty for none that is known."""
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        given = _digest(token.strip())
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]  # all of them, whichever fits
        return f"key-{matches.index(True)}" if scheme.lower() == "bearer" and any(matches) else ""


def key_of(scope: Scope) -> str:
    """Which of the server's keys a request came with, as a name that is no secret; empty where there are none."""
    return str(scope.get("state", {}).get("key", ""))


class BodyLimit:
    """Refuses bodies above a size, by their announced length and by what really arrives."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on or answers 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced[:20]) > self._most:
            await http_error_response(413, self._message)(scope, receive, send)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._most:
                raise HTTPException(413, self._message)
            return message

        await self._app(scope, counted, send)

    @property
    def _message(self) -> str:
        return f"The body is larger than {self._most} bytes."


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
