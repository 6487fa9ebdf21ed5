"""Work that ends when something else happens first: the client goes away, the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed its connection; nobody reads a reply."""


async def disconnected(receive: Receive) -> None:
    """Returns once the client has gone. The request's body must have been read.

    ``Request.is_disconnected`` would poll and fails behind some middleware; ``receive`` simply waits.
    """
    while (await receive())["type"] != "http.disconnect":
        pass


async def interrupted_by(work: Coroutine[Any, Any, T], signal: Coroutine[Any, Any, object], error: Exception) -> T:
    """Runs ``work`` unless ``signal`` ends first: then work is cancelled, waited for, and ``error`` raised.

    Whichever way it ends (cancellation of the caller included), nothing keeps running.
    """
    task, waiter = asyncio.ensure_future(work), asyncio.ensure_future(signal)
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise error
    finally:
        task.cancel()
        waiter.cancel()
        await asyncio.gather(task, waiter, return_exceptions=True)
