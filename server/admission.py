"""Who may search now: so many at once, so many waiting in order of arrival, and the rest are turned away at once.

Whole searches are admitted, never single engine calls: a search that has begun is never starved of its own calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcts.budget import Clock
from mcts.errors import Overloaded
from server.metrics import Metrics


class Admission:
    """Places for searches.

    Args:
        places: Searches that run at once, at least 1.
        queue: Searches that may wait, at least 0.
        wait_seconds: Longest wait, above 0.
        metrics: Where running, waiting and turned-away searches are counted.
        clock: Time, injected.
    """

    def __init__(
        self, places: int, queue: int, wait_seconds: float, metrics: Metrics, clock: Clock = time.monotonic
    ) -> None:
        self._places = asyncio.Semaphore(places)  # hands out places in order of arrival
        self._queue, self._wait_seconds = queue, wait_seconds
        self._metrics, self._clock = metrics, clock
        self._running = self._waiting = 0

    @property
    def running(self) -> int:
        """Searches that run now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Searches that wait for a place."""
        return self._waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Holds a place; waits for one if need be.

        Raises:
            Overloaded: The queue is full, or the wait took too long.
        """
        await self._take()
        try:
            yield
        finally:
            self._count(running=-1)
            self._places.release()

    async def _take(self) -> None:
        if self._places.locked() and self._waiting >= self._queue:
            raise self._turned_away("all places are taken and the queue is full")
        began = self._clock()
        self._count(waiting=1)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise self._turned_away(f"no place became free within {self._wait_seconds:g} s") from None
        finally:
            self._count(waiting=-1)
        self._count(running=1)
        self._metrics.queue.observe(self._clock() - began)

    def _turned_away(self, why: str) -> Overloaded:
        self._metrics.turned_away.inc()
        return Overloaded(f"Too many searches: {why}.", retry_after=max(1.0, self._wait_seconds / 10))

    def _count(self, running: int = 0, waiting: int = 0) -> None:
        self._running += running
        self._waiting += waiting
        self._metrics.running.set(self._running)
        self._metrics.waiting.set(self._waiting)
