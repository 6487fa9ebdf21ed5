"""The fleet as an operator sees it: parts that are added, taken away, replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.fleet.network import Network, network
from benchmarks.fleet.parts import ENGINE, GATEWAY, REWARD, Part
from benchmarks.fleet.services import Services, services

Kind = Literal["engine", "reward", "gateway"]

COMMANDS: dict[Kind, tuple[str, ...]] = {"engine": ENGINE, "reward": REWARD, "gateway": GATEWAY}
NAMES: dict[Kind, str] = {"engine": "engines.fleet", "reward": "rewards.fleet"}
HEALTH: dict[Kind, str] = {"engine": "/health", "reward": "/health", "gateway": "/health/ready"}

LEAVE_SECONDS = 10.0
"""Between a part's leaving the names and its SIGTERM, as the manifests' preStop has it: everybody has heard by then."""


@dataclass(eq=False)
class Fleet:
    """What runs, by kind, oldest first."""

    net: Network
    services: Services
    parts: dict[Kind, list[Part]] = field(default_factory=lambda: {"engine": [], "reward": [], "gateway": []})
    _made: int = 0

    async def add(self, kind: Kind) -> Part:
        """Starts a part on a host of its own; it is known to the others once it is ready."""
        self._made += 1
        log = self.net.folder / f"{kind}-{self._made}.log"
        part = Part(await self.net.host(), COMMANDS[kind], HEALTH[kind], log)
        self.parts[kind].append(part)
        await part.start()
        await self._known(kind, part)
        return part

    async def remove(self, kind: Kind, part: Part) -> int:
        """Takes a part away as Kubernetes does: from the names, a while later SIGTERM; its exit code."""
        self.parts[kind].remove(part)
        if kind in NAMES:
            self.services.leave(NAMES[kind], part)
        else:
            await self.services.balance(self.parts["gateway"])
        await asyncio.sleep(LEAVE_SECONDS)
        return await part.stop()

    async def end(self) -> None:
        """Kills whatever runs."""
        await asyncio.gather(*(part.kill() for kind in self.parts.values() for part in kind))

    async def _known(self, kind: Kind, part: Part) -> None:
        if kind in NAMES:
            self.services.enter(NAMES[kind], part)
        else:
            await self.services.balance(self.parts["gateway"])


@asynccontextmanager
async def fleet(engines: int, gateways: int) -> AsyncIterator[Fleet]:
    """A fleet with one reward engine, ready."""
    async with AsyncExitStack() as held:
        net = await held.enter_async_context(network())
        made = Fleet(net, await held.enter_async_context(services(net.folder)))
        held.push_async_callback(made.end)
        for kind, count in (("engine", engines), ("reward", 1), ("gateway", gateways)):
            for _ in range(count):  # one after the other: together they would each take as long as all
                await made.add(kind)  # type: ignore[arg-type]
        yield made
