"""Ends searches from outside before their own deadline: each gives its best answer so far. Knows no signals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Curfew:
    """A deadline that many searches share and that is not known before it comes, such as a server's end.

    Used in one event loop. Searches that begin after it have no time at all.
    """

    def __init__(self) -> None:
        self._limits: set[asyncio.Timeout] = set()
        self._come = False

    @property
    def come(self) -> bool:
        """Whether it has come."""
        return self._come

    def call(self) -> None:
        """The deadline of every search is now. Calling it again does nothing."""
        self._come = True
        for limit in self._limits:
            _end(limit)

    @asynccontextmanager
    async def over(self, limit: asyncio.Timeout) -> AsyncIterator[None]:
        """While inside, the curfew ends a time limit that has been entered."""
        self._limits.add(limit)
        if self._come:
            _end(limit)
        try:
            yield
        finally:
            self._limits.discard(limit)


def _end(limit: asyncio.Timeout) -> None:
    if not limit.expired():
        limit.reschedule(asyncio.get_running_loop().time())
