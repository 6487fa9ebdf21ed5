"""Watches the engines and decides what follows when one is gone: it is started again, or the server ends.

Knows neither HTTP nor which engine it is. Searches of a dead engine end by themselves, with what they have.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from mcts.budget import Clock
from mcts.errors import EngineDead, StartupError
from server.backend import Backend

_log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
"""How often the engines are looked at."""

MOST_DEATHS = 5
"""Deaths, or starts that failed, within ``DEATHS_SECONDS`` that are one too many: what is wrong, no restart mends."""

DEATHS_SECONDS = 600.0


class Ward(Protocol):
    """What is told of the engines' fate."""

    def engine_down(self) -> None:
        """An engine is gone and will be started again."""

    def engine_up(self) -> None:
        """All engines answer again."""

    def engine_lost(self, error: EngineDead) -> None:
        """An engine is gone for good; the server must end."""


class Supervisor:
    """Watches one backend.

    Args:
        backend: Whose engines.
        policy: Whether a dead engine is started again or ends the server.
        ward: Who is told.
        sleep: How time passes.
        clock: Seconds, injected.
    """

    def __init__(
        self,
        backend: Backend,
        policy: Literal["restart", "exit"],
        ward: Ward,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Clock = time.monotonic,
    ) -> None:
        self._backend, self._policy, self._ward = backend, policy, ward
        self._sleep, self._clock = sleep, clock
        self._deaths: deque[float] = deque()

    async def watch(self) -> None:
        """Watches until an engine is lost for good, or it is cancelled."""
        while await self._alive():
            await self._sleep(POLL_SECONDS)

    async def _alive(self) -> bool:
        """Looks once; False when it is over."""
        if self._backend.healthy():
            return True
        if self._policy == "exit":
            self._ward.engine_lost(EngineDead("an engine died (on_engine_death is exit)"))
            return False
        if self._backend.revive is None:  # nothing to be done but to tell the truth
            return True
        if self._too_many():
            self._ward.engine_lost(EngineDead(f"engines died {MOST_DEATHS} times within {DEATHS_SECONDS:g} s"))
            return False
        self._ward.engine_down()
        await self._revive(self._backend.revive)
        return True

    async def _revive(self, revive: Callable[[], Awaitable[None]]) -> None:
        began = self._clock()
        try:
            await revive()
        except StartupError as error:
            _log.error("the engine does not start again: %s", error)
            return
        self._ward.engine_up()
        _log.warning("the engine was started again in %.1f s", self._clock() - began)

    def _too_many(self) -> bool:
        now = self._clock()
        self._deaths.append(now)
        while now - self._deaths[0] > DEATHS_SECONDS:
            self._deaths.popleft()
        return len(self._deaths) >= MOST_DEATHS
