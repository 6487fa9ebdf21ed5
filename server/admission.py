"""Who may search now: so many at once, so many waiting in line, and the rest are turned away at once.

Whole searches are admitted, never single engine calls. Who waits is ranked by the time of arrival plus a handicap that
grows with the search's expected cost, up to half of the longest wait: of those that came together the shortest goes
first, and nobody is passed by who comes later than that. So short searches do not wait for long ones, and long ones are
not starved by a stream of short ones.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mcts.budget import Clock
from mcts.errors import Overloaded
from server.metrics import Metrics

HALF_COST = 20_000
"""Expected tokens of a search whose handicap is half of the largest. Higher tells long searches apart better."""

MOST_RETRY_SECONDS = 60.0
"""Longest time after which a client is told to come back; SDKs ignore values above 120."""

MEMORY = 0.1
"""Weight of the latest search in the mean time that a place is held."""


@dataclass(slots=True, eq=False)
class _Waiter:
    rank: float
    called: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Admission:
    """Places for searches.

    Args:
        places: Searches that run at once, at least 1.
        queue: Searches that may wait, at least 0.
        wait_seconds: Longest wait, above 0.
        metrics: Where running, waiting and turned-away searches are counted.
        clock: Time, injected.
        per_key: Searches that one key may have running and waiting, at least 1; None is no limit.
    """

    def __init__(
        self,
        places: int,
        queue: int,
        wait_seconds: float,
        metrics: Metrics,
        clock: Clock = time.monotonic,
        per_key: int | None = None,
    ) -> None:
        self._places, self._queue, self._wait_seconds, self._per_key = places, queue, wait_seconds, per_key
        self._metrics, self._clock = metrics, clock
        self._running = 0
        self._line: list[_Waiter] = []  # by rank; at most ``queue`` of them
        self._keys: Counter[str] = Counter()
        self._held_seconds = 1.0  # mean time that a place is held, a guess at first

    @property
    def running(self) -> int:
        """Searches that run now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Searches that wait for a place."""
        return len(self._line)

    @asynccontextmanager
    async def place(self, cost: int = 0, key: str = "") -> AsyncIterator[float]:
        """Holds a place; waits for one if need be. Gives the seconds waited.

        Args:
            cost: Tokens that the search may generate at most; decides its place in the line.
            key: Whose search it is; empty where there are no keys.

        Raises:
            Overloaded: The queue is full, the wait took too long, or the key has too many searches.
        """
        with_limit = bool(key) and self._per_key is not None
        if with_limit and self._keys[key] >= (self._per_key or 0):
            raise self._turned_away("key_limit", f"this key may have {self._per_key} at a time")
        self._keys[key] += with_limit
        try:
            waited = await self._take(cost)
            began = self._clock()
            try:
                yield waited
            finally:
                self._held_seconds += MEMORY * (self._clock() - began - self._held_seconds)
                self._leave()
        finally:
            self._keys[key] -= with_limit
            if not self._keys[key]:
                del self._keys[key]

    def handicap(self, cost: int) -> float:
        """Seconds that a search of so many expected tokens stands behind one that costs nothing."""
        return self._wait_seconds / 2 * cost / (cost + HALF_COST)

    async def _take(self, cost: int) -> float:
        if self._running < self._places and not self._line:
            self._enter()
            self._metrics.queue.observe(0)
            return 0.0
        if len(self._line) >= self._queue:
            raise self._turned_away("queue_full", "all places are taken and the queue is full")
        began = self._clock()
        await self._wait(_Waiter(began + self.handicap(cost)))
        waited = self._clock() - began
        self._metrics.queue.observe(waited)
        return waited

    async def _wait(self, waiter: _Waiter) -> None:
        bisect.insort(self._line, waiter, key=lambda each: each.rank)  # behind those of equal rank
        self._tell()
        try:
            async with asyncio.timeout(self._wait_seconds):
                await waiter.called
        except BaseException as error:
            if waiter in self._line:
                self._line.remove(waiter)
                self._tell()
            else:  # it was called at the very moment: its place goes to the next
                self._leave()
            if isinstance(error, TimeoutError):
                raise self._turned_away("timeout", f"no place became free within {self._wait_seconds:g} s") from None
            raise

    def _enter(self) -> None:
        self._running += 1
        self._tell()

    def _leave(self) -> None:
        """Gives a place back, and to the first in line if there is one."""
        self._running -= 1
        if self._line:
            waiter = self._line.pop(0)
            if not waiter.called.done():  # else it is leaving the line, having been cancelled a moment ago
                waiter.called.set_result(None)
            self._running += 1
        self._tell()

    def _turned_away(self, reason: str, why: str) -> Overloaded:
        self._metrics.turned_away.labels(reason).inc()
        expected = self._held_seconds * (len(self._line) + 1) / self._places
        return Overloaded(f"Too many searches: {why}.", retry_after=min(MOST_RETRY_SECONDS, max(1.0, expected)))

    def _tell(self) -> None:
        self._metrics.running.set(self._running)
        self._metrics.waiting.set(len(self._line))
