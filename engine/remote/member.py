"""One server of a fleet: how much it has to do and whether it is in. Knows neither HTTP nor routing.

out ──passes a check──► in ──lost, three strikes or two missed checks──► out, for longer each time
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from engine.remote.addresses import Endpoint
from engine.remote.losses import STRIKES, Fault, Lost
from engine.remote.offers import Offer
from mcts.budget import Clock

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds until a server that was put out is looked at again; doubled each time that it is not well."""

STEADY_SECONDS = 60.0
"""How long a server must have been in for its next absence to begin with the first pause again."""

MISSES = 2
"""Checks in a row that time out before a server is taken for lost. One may be late on a busy machine."""


@dataclass(slots=True, eq=False)
class Member:
    """One server. New ones are out until they pass their first check."""

    endpoint: Endpoint
    clock: Clock
    offer: Offer | None = None

    load: int = 0  # open continuations, or prompts being scored
    leaving: bool = False  # its name no longer stands for it: open calls go on, new ones go elsewhere
    why: str = "not asked yet"  # why it is out
    unfit: bool = False  # it answers, but cannot do what is needed
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _since: float | None = None  # when it came in; None while it is out
    _strikes: int = 0
    _misses: int = 0
    _pause: float = FIRST_PAUSE
    _tethers: set[asyncio.Timeout] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Its URL."""
        return self.endpoint.url

    @property
    def serves(self) -> bool:
        """Whether new calls may go there."""
        return self._since is not None and not self.leaving

    @property
    def is_in(self) -> bool:
        """Whether it passed its last check."""
        return self._since is not None

    @contextmanager
    def carrying(self, weight: int) -> Iterator[None]:
        """Counts a call as its load."""
        self.load += weight
        try:
            yield
        finally:
            self.load -= weight

    @asynccontextmanager
    async def tether(self) -> AsyncIterator[None]:
        """What is awaited inside ends at once when the server is found lost meanwhile.

        Raises:
            Lost: It was.
        """
        try:
            async with asyncio.timeout(None) as limit:
                self._tethers.add(limit)
                try:
                    yield
                finally:
                    self._tethers.discard(limit)
        except TimeoutError:
            raise Lost(Fault.GONE, self.why) from None

    def admit(self, offer: Offer) -> None:
        """It passed a check while it was out."""
        self.offer, self._since, self.unfit, self.why = offer, self.clock(), False, ""
        self._strikes = self._misses = 0

    def well(self) -> None:
        """A call succeeded."""
        self._strikes = 0

    def checked(self) -> None:
        """It passed a check while it was in."""
        self._misses = 0

    def missed(self) -> bool:
        """A check timed out; whether that was one too many."""
        self._misses += 1
        return self._misses >= MISSES

    def blame(self, lost: Lost) -> bool:
        """A call was lost; whether that puts the server out."""
        if lost.fault is Fault.BUSY:
            return False
        self._strikes += 1
        return lost.fault is Fault.GONE or self._strikes >= STRIKES

    def eject(self, why: str, *, cut: bool = False) -> None:
        """Puts it out. With ``cut`` its open calls end now."""
        if self._since is not None:
            steady = self.clock() - self._since >= STEADY_SECONDS
            self._pause = FIRST_PAUSE if steady else self._pause
        self._since, self.why = None, why
        self.news.set()
        if cut:
            self.cut()

    def cut(self) -> None:
        """Ends its open calls, because nobody else would tell them that it is gone."""
        now = asyncio.get_running_loop().time()
        for limit in tuple(self._tethers):
            if not limit.expired():
                limit.reschedule(now)

    def pause(self) -> float:
        """Seconds until an absent server is to be looked at again. Each time longer."""
        pause, self._pause = self._pause, min(LONGEST_PAUSE, self._pause * 2)
        return pause
