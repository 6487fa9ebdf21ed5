"""How many engine calls may be open at once, and whose call is next: searches take turns, whatever their width."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Lets so many calls through at once. Of those that wait, each search's oldest goes in turn.

    A search that opens fifty calls thus holds up another's single call by one call at most, not by fifty.

    Args:
        most: Open calls, at least 1; None lets all through.
    """

    def __init__(self, most: int | None) -> None:
        self._left = most
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def passed(self, search_id: str) -> AsyncIterator[None]:
        """Holds one of the open calls; waits for it if need be."""
        if self._left is None:
            yield
            return
        await self._take(search_id)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, search_id: str) -> None:
        if self._left:  # nobody waits while one is left
            self._left -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(search_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(search_id, turn)
            else:  # its turn had just come
                self._give_back()
            raise

    def _forget(self, search_id: str, turn: asyncio.Future[None]) -> None:
        """Takes a cancelled call out of the line."""
        calls = self._waiting.get(search_id)
        if calls and turn in calls:
            calls.remove(turn)
            if not calls:
                del self._waiting[search_id]

    def _give_back(self) -> None:
        while self._waiting:
            search_id, calls = self._waiting.popitem(last=False)
            turn = calls.popleft()
            if calls:
                self._waiting[search_id] = calls  # behind the other searches
            if not turn.done():
                turn.set_result(None)
                return
        self._left = (self._left or 0) + 1
