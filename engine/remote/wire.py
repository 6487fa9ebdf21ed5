"""HTTP to the servers of a fleet. Whatever goes wrong on the way comes out as ``Lost``. Knows no endpoint's meaning."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import httpx

from engine.remote.addresses import Endpoint
from engine.remote.losses import Fault, Lost, garbage, lost_in_transit, status_error
from engine.remote.member import Member
from engine.remote.settings import FleetSettings
from mcts.errors import StartupError

KEEP_IDLE_SECONDS = 2.0
"""How long an idle connection is kept. Shorter than uvicorn keeps its own (5 s): a request must not meet its end."""

LARGEST_LINE = 16 * 2**20
"""Bytes of one event. A longer one is no reply but a fault."""

LARGEST_BODY = 256 * 2**20
"""Bytes of one reply that is not streamed."""

LARGEST_ERROR = 64 * 2**10
"""Bytes of an error that are read."""

DONE = b"[DONE]"


class Wire:
    """One HTTP client for all servers of a fleet.

    Args:
        settings: Timeouts, key and trusted authorities.
        transport: How requests travel; None is the network.

    Raises:
        StartupError: The file of certificates cannot be read.
    """

    def __init__(self, settings: FleetSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        key = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        self._client = httpx.AsyncClient(
            headers={**key, "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(settings.silence_seconds, connect=settings.connect_seconds),
            limits=httpx.Limits(keepalive_expiry=KEEP_IDLE_SECONDS),
            transport=transport,
            verify=_trusted(settings.ca_file),
            trust_env=False,  # a proxy of the environment is for the outside world, not for one's own engines
        )

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    async def fetch(
        self, endpoint: Endpoint, path: str, body: Mapping[str, Any] | None = None, seconds: float | None = None
    ) -> Any:
        """Gets, or posts with a body, and gives the JSON that comes back; None where nothing comes.

        Args:
            endpoint: Whom to ask.
            path: What for.
            body: What to post.
            seconds: Longest silence; None is as the settings say.

        Raises:
            Lost: The server cannot be reached, fails, or sends no JSON.
            InvalidRequest: It refuses the request.
        """
        async with self._open(endpoint, path, body, {}, seconds) as response:
            content = b"".join([chunk async for chunk in _capped(response, LARGEST_BODY)])
        try:
            return json.loads(content) if content.strip() else None
        except ValueError:
            raise garbage("something that is no JSON") from None

    async def reach(self, endpoint: Endpoint, path: str, seconds: float) -> None:
        """Gets a page and does not look at it.

        Raises:
            Lost: The server cannot be reached, or fails.
            InvalidRequest: It has no such page.
        """
        async with self._open(endpoint, path, None, {}, seconds) as response:
            async for _ in _capped(response, LARGEST_BODY):
                pass

    async def post(self, member: Member, path: str, body: Mapping[str, Any], request_id: str) -> Any:
        """Posts a call and gives its JSON. Ends at once when the server is found lost meanwhile.

        Raises:
            Lost: The server is lost, fails, or sends no JSON.
            InvalidRequest: It refuses the request.
        """
        async with member.tether(), self._open(member.endpoint, path, body, {"X-Request-Id": request_id}) as response:
            content = b"".join([chunk async for chunk in _capped(response, LARGEST_BODY)])
        try:
            return json.loads(content)
        except ValueError:
            raise garbage("something that is no JSON") from None

    async def events(
        self, member: Member, path: str, body: Mapping[str, Any], request_id: str
    ) -> AsyncGenerator[dict[str, Any]]:
        """Posts a call and gives the events of its stream. Closing it closes the connection, so that vLLM aborts.

        Raises:
            Lost: The server is lost, fails, breaks off, or sends something else than events.
            InvalidRequest: It refuses the request.
        """
        async with AsyncExitStack() as held:
            async with member.tether():
                posted = self._open(member.endpoint, path, body, {"X-Request-Id": request_id})
                response = await held.enter_async_context(posted)
            lines = await held.enter_async_context(aclosing(_lines(response)))
            while True:
                async with member.tether():
                    line = await anext(lines, None)
                if line is None:
                    raise Lost(Fault.GONE, "its stream broke off")
                if line == DONE:
                    return
                yield _event(line)

    @asynccontextmanager
    async def _open(
        self,
        endpoint: Endpoint,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        seconds: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """An open reply with status 200."""
        request = self._client.build_request(
            "GET" if body is None else "POST",
            endpoint.url + path,
            json=body,
            headers={**headers, **({"Host": endpoint.host} if endpoint.host else {})},
            extensions={"sni_hostname": endpoint.host.rpartition(":")[0]} if endpoint.host else {},
            timeout=httpx.USE_CLIENT_DEFAULT if seconds is None else seconds,
        )
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise lost_in_transit(error) from error
        try:
            if response.status_code != httpx.codes.OK:
                beginning = b"".join([chunk async for chunk in _capped(response, LARGEST_ERROR, cut=True)])
                raise status_error(response.status_code, beginning, self._settings.key_setting)
            yield response
        finally:
            await response.aclose()


async def _capped(response: httpx.Response, most: int, *, cut: bool = False) -> AsyncGenerator[bytes]:
    """The body as it comes.

    Raises:
        Lost: The connection breaks; or there is too much of it, unless it may be ``cut``.
    """
    size = 0
    try:
        async for chunk in response.aiter_raw():
            size += len(chunk)
            yield chunk
            if size > most:
                if cut:
                    return
                raise garbage("too much")
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise lost_in_transit(error) from error


async def _lines(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The data of server-sent events; comments and other fields are left out."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        raise garbage("no event stream")
    rest = b""
    async with aclosing(_capped(response, LARGEST_BODY)) as chunks:
        async for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if line.startswith(b"data:"):
                    yield line[5:].strip()
            if len(rest) > LARGEST_LINE:
                raise garbage("an endless line")


def _event(line: bytes) -> dict[str, Any]:
    """One event. An error in mid-stream has come with status 200 and tells its own.

    Raises:
        Lost: It is no event, or says that the server failed.
        InvalidRequest: It says that the request is wrong.
    """
    try:
        event = json.loads(line)
    except ValueError:
        raise garbage("an event that is no JSON") from None
    if not isinstance(event, dict):
        raise garbage("an event that is no object")
    if error := event.get("error"):
        code = str(error.get("code", "") if isinstance(error, dict) else "")
        raise status_error(int(code) if code.isdecimal() else 500, line, "its key")
    return event


def _trusted(ca_file: str) -> ssl.SSLContext | bool:
    """Whose certificates are believed: the usual authorities' and those of the file."""
    if not ca_file:
        return True
    context = httpx.create_ssl_context(trust_env=False)
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise StartupError(f"engine_ca_file: {ca_file!r} holds no certificates that can be read: {error}") from None
    return context
