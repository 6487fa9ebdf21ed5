"""All servers of one kind together: found, watched, chosen for each call, and passed over while they are lost.

Knows neither what a call asks nor what a server must be able to do: those are handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from engine.remote.addresses import Endpoint, Resolver, endpoints, read_address, resolve
from engine.remote.losses import Fault, Lost, may_be_late
from engine.remote.member import Member
from engine.remote.offers import Offer
from engine.remote.routing import choose
from engine.remote.settings import FleetSettings
from engine.remote.wire import Wire
from mcts.budget import Clock
from mcts.errors import (
    EngineCallFailed,
    EngineDead,
    InvalidRequest,
    RewardCallFailed,
    RewardDead,
    StartupError,
)

_log = logging.getLogger(__name__)

ATTEMPTS = 4
"""Tries of one call, on different servers where there are as many."""

PAUSE_SECONDS = 0.1
"""Pause before a call tries a server again; as many times as long as there were tries."""

Probe = Callable[[Wire, Endpoint], Awaitable[Offer]]
"""Looks whether a server can do what is needed.

Raises:
    Lost: It does not answer, or fails.
    StartupError: It cannot; the message says what is missing.
"""


@dataclass(frozen=True, slots=True)
class Names:
    """How errors call the servers of a fleet."""

    one: str
    dead: type[EngineDead | RewardDead]
    failed: type[EngineCallFailed | RewardCallFailed]


ENGINES = Names("engine", EngineDead, EngineCallFailed)
REWARD_ENGINES = Names("reward engine", RewardDead, RewardCallFailed)


@dataclass(slots=True, eq=False)
class Fleet:
    """Servers of one kind.

    Args:
        settings: Where they are and how they are watched.
        probe: Looks whether one can do what is needed, before anything is sent there.
        names: How errors call them.
        wire: Speaks with them.
        resolver: Finds the servers that a name stands for.
        clock: Seconds, injected.
    """

    settings: FleetSettings
    probe: Probe
    names: Names
    wire: Wire
    resolver: Resolver = resolve
    clock: Clock = time.monotonic

    failovers: int = 0
    """Tries that were lost and made again elsewhere, since the start."""
    members: dict[str, Member] = field(default_factory=dict)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether at least one server takes calls."""
        return any(member.serves for member in self.members.values())

    async def start(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Finds the servers and waits until one of them takes calls.

        Raises:
            StartupError: None did in time, or all that answer lack something; the message says which and what.
        """
        addresses = [read_address(text, self.settings.setting) for text in self.settings.addresses]
        await self._look_up()
        if any(address.dynamic for address in addresses):
            self._spawn("names", self._watch_names())
        began, told = self.clock(), ""
        while not self.healthy:
            self._give_up(self.clock() - began)
            if self.why() != told:
                told = self.why()
                report(f"waiting for {self.settings.setting}: {told}")
            await self._arrival(0.25)

    async def close(self) -> None:
        """Ends watching and every connection."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.wire.close()

    def why(self) -> str:
        """Why no server takes calls, one by one."""
        told = [f"{name}: {member.why}" for name, member in sorted(self.members.items()) if not member.serves]
        return "; ".join(told) or "no server is known"

    def call(self, key: str, weight: int) -> Call:
        """A call that belongs to ``key`` and asks for ``weight`` continuations."""
        return Call(self, key, weight)

    def lost(self, member: Member, lost: Lost) -> None:
        """A try was lost: the server may be put out."""
        if member.is_in and member.blame(lost):
            _log.warning("%s %s is out: %s", self.names.one, member.name, lost)
            member.eject(str(lost))

    async def pick(self, key: str, weight: int, tried: set[str]) -> Member:
        """The server for a try; those already tried only where there is no other. Waits a while where there is none.

        Raises:
            EngineDead, RewardDead: There is none.
        """
        deadline = self.clock() + self.settings.patience_seconds
        while not (serving := [member for member in self.members.values() if member.serves]):
            if self.clock() >= deadline:
                raise self.names.dead(f"No {self.names.one} answers: {self.why()}.")
            await self._arrival(deadline - self.clock())
        fresh = [member for member in serving if member.name not in tried] or serving
        loads = {member.name: member.load for member in fresh}
        return self.members[choose(key, loads, weight, self.settings.load_factor, self.settings.spill_from)]

    def _give_up(self, waited: float) -> None:
        """Ends a start that leads nowhere.

        Raises:
            StartupError: As ``start`` says.
        """
        known = self.members.values()
        if known and all(member.unfit for member in known):
            raise StartupError(f"{self.settings.setting}: {self.why()}")
        if waited >= self.settings.start_seconds:
            raise StartupError(f"{self.settings.setting}: no {self.names.one} answered in {waited:.0f} s: {self.why()}")

    async def _arrival(self, seconds: float) -> None:
        """Waits until a server comes in, or so long."""
        self._came.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._came.wait()

    async def _watch_names(self) -> None:
        while True:
            await asyncio.sleep(self.settings.resolve_seconds)
            await self._look_up()

    async def _look_up(self) -> None:
        """Takes in servers that are new and parts with those that are named no more.

        A name that cannot be resolved leaves its servers as they are: they outlive an outage of the DNS.
        """
        found: set[Endpoint] = set()
        sure = True
        for text in self.settings.addresses:
            address = read_address(text, self.settings.setting)
            try:
                found |= await endpoints(address, self.resolver)
            except OSError as error:
                sure = False
                _log.warning("%s: %s cannot be resolved: %s", self.settings.setting, address, error)
        for endpoint in found:
            self._welcome(endpoint)
        if sure:
            for name in set(self.members) - {endpoint.url for endpoint in found}:
                self._part_with(self.members[name])

    def _welcome(self, endpoint: Endpoint) -> None:
        known = self.members.get(endpoint.url)
        if known is not None:
            known.leaving = False
            return
        member = self.members[endpoint.url] = Member(endpoint, self.clock)
        self._spawn(endpoint.url, self._tend(member))

    def _part_with(self, member: Member) -> None:
        """Sends nothing more to a server; it is forgotten once its open calls have ended."""
        member.leaving = True
        if not member.load:
            del self.members[member.name]
            self._tasks.pop(member.name).cancel()

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[name] = asyncio.create_task(work, name=f"fleet {name}")

    async def _tend(self, member: Member) -> None:
        """Looks after one server for as long as it is known."""
        while True:
            pause = await (self._check(member) if member.is_in else self._ask_in(member))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await member.news.wait()
            if member.news.is_set():
                member.news.clear()
                await asyncio.sleep(member.pause())  # it was put out this moment

    async def _check(self, member: Member) -> float:
        """Looks at the health of a server that is in; seconds until the next look."""
        health = member.offer.health if member.offer else "/health"
        try:
            await self.wire.reach(member.endpoint, health, self.settings.check_timeout)
            member.checked()
        except (Lost, InvalidRequest) as error:
            if not may_be_late(error) or member.missed():
                _log.warning("%s %s is out: health check: %s", self.names.one, member.name, error)
                member.eject(f"health check: {error}", cut=True)
        return self.settings.check_seconds

    async def _ask_in(self, member: Member) -> float:
        """Looks whether a server that is out can come in; seconds until the next look.

        One that a call put out may have others open, which know nothing of it: they end if it is not there any more.
        """
        try:
            if member.offer:
                await self.wire.reach(member.endpoint, member.offer.health, self.settings.check_timeout)
            offer = await self.probe(self.wire, member.endpoint)
        except (Lost, InvalidRequest, StartupError) as error:
            if isinstance(error, Lost) and error.fault is Fault.GONE and (not may_be_late(error) or member.missed()):
                member.cut()
            member.unfit = not isinstance(error, Lost)
            if str(error) != member.why:
                _log.log(
                    logging.ERROR if member.unfit else logging.INFO, "%s %s: %s", self.names.one, member.name, error
                )
            member.why = str(error)
            return member.pause()
        member.admit(offer)
        self._came.set()
        _log.info("%s %s is in", self.names.one, member.name)
        for lack in offer.lacks:
            _log.warning("%s %s: %s", self.names.one, member.name, lack)
        return self.settings.check_seconds


@dataclass(slots=True, eq=False)
class Call:
    """One call and its tries: each on the server that ranks next for it."""

    fleet: Fleet
    key: str
    weight: int
    tried: set[str] = field(default_factory=set)
    tries: int = 0
    reason: str = ""

    async def next(self) -> Member:
        """The server for the next try.

        Raises:
            EngineDead, RewardDead: There is none.
            EngineCallFailed, RewardCallFailed: There were enough.
        """
        names = self.fleet.names
        if self.tries >= ATTEMPTS:
            raise names.failed(f"A call to the {names.one} failed {self.tries} times, the last time: {self.reason}.")
        member = await self.fleet.pick(self.key, self.weight, self.tried)
        if member.name in self.tried:
            await asyncio.sleep(PAUSE_SECONDS * self.tries)
        self.fleet.failovers += self.tries > 0
        self.tries += 1
        return member

    def lost(self, member: Member, lost: Lost) -> None:
        """The try was lost."""
        self.reason = f"{member.name}: {lost}"
        self.tried.add(member.name)
        self.fleet.lost(member, lost)
