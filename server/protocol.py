"""HTTP/1.1 with limits on a request: uvicorn's own protocol takes headers without end and waits for ever.

What is refused here has not reached the app, so the error's one shape is written by hand.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.errors import body

MOST_HEADERS = 128
"""Headers of one request. h11 takes 256; browsers and SDKs send about 20."""

HEAD_SECONDS = 30.0
"""How long a request's line and headers may take to arrive."""

BODY_SECONDS = 60.0
"""How long a request's body may take to arrive, after its headers."""

REASONS = {
    400: ("invalid_request", b"Bad Request", "This is not HTTP/1.1 as it is understood here."),
    408: ("request_timeout", b"Request Timeout", "The request's headers or its body did not arrive in time."),
    431: ("headers_too_large", b"Request Header Fields Too Large", "The request's line and headers are too large."),
}


class LimitedProtocol(HttpToolsProtocol):
    """One connection. A head that is too large gets 431 at once; a head or a body without end, 408."""

    most_bytes = 32 * 1024
    """Of the request line and the headers; a class made by ``limited`` has its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._size = self._pending = 0  # bytes of the head's parts that are whole, and of what came since
        self._late: asyncio.TimerHandle | None = None
        self._refused = 0

    def connection_made(self, transport: Any) -> None:
        """A client is there; its head is awaited."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._await(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads what arrived. A part of a head is not told by the parser before it is whole, so bytes are counted."""
        began = self._in_head
        super().data_received(data)
        if began and self._in_head and not self._refused:
            self._pending += len(data)
            if self._pending > self.most_bytes:
                self._refuse(431)

    def on_message_begin(self) -> None:
        """A request begins, on a new connection or on one that was kept."""
        super().on_message_begin()
        self._size = self._pending = 0
        self._await_head()

    def on_url(self, url: bytes) -> None:
        """A piece of the request line."""
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header."""
        self._grow(len(name) + len(value) + 4)  # the colon, a blank and the line's end
        if len(self.headers) >= MOST_HEADERS:
            self._grow(self.most_bytes)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: the app takes over, and the body is awaited."""
        self._in_head = False
        self._await(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._await(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """Called by uvicorn for whatever the parser, or one of the methods above, refused."""
        self._refuse(self._refused or 400)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self.most_bytes:
            self._refused = 431
            raise ValueError("the head is too large")  # the parser stops, and uvicorn calls send_400_response

    def _await_head(self) -> None:
        self._in_head = True
        self._await(HEAD_SECONDS)

    def _await(self, seconds: float | None) -> None:
        """Gives what comes next a time limit, or none."""
        if self._late:
            self._late.cancel()
        self._late = None if seconds is None else self.loop.call_later(seconds, self._is_late, seconds)

    def _is_late(self, seconds: float) -> None:
        if self.transport.is_closing():
            return
        if self._answers_another():  # nothing may be written between the pieces of its reply
            self._await(seconds)
        elif not self._in_head and self.cycle.response_started:  # refused already, by what had come of the body
            self.transport.close()
        else:
            self._refuse(408)

    def _answers_another(self) -> bool:
        """Whether an earlier request on this connection still has its reply to come."""
        if self._in_head:
            return self.cycle is not None and not self.cycle.response_complete
        return bool(self.pipeline)

    def _refuse(self, status: int) -> None:
        self._refused = status
        self._in_head = False
        self._await(None)
        code, phrase, message = REASONS[status]
        content = json.dumps(body(message, "invalid_request_error", code)).encode()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, phrase, len(content)) + content)
        self.transport.close()


def limited(most_bytes: int) -> type[LimitedProtocol]:
    """A protocol whose heads are at most so many bytes long."""
    return type("Limited", (LimitedProtocol,), {"most_bytes": most_bytes})
