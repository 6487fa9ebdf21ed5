"""What is done to a fleet under load: parts are lost without warning, and everything is replaced in turn."""

from __future__ import annotations

import asyncio

from benchmarks.fleet.fleet import Fleet, Kind
from benchmarks.fleet.load import Load
from benchmarks.fleet.parts import Part

NEW_FIRST: tuple[Kind, ...] = ("reward", "gateway")


async def faults(fleet: Fleet, load: Load, quiet: float) -> None:
    """An engine is killed, another one cut off, a gateway restarted; after each the fleet has ``quiet`` seconds.

    Whoever is lost is known by name all along: that it is gone everybody has to find out for himself.
    """
    first, second = fleet.parts["engine"][:2]
    gateway = fleet.parts["gateway"][0]
    await asyncio.sleep(quiet)

    load.mark("SIGKILL of one engine")
    await first.kill()
    await asyncio.sleep(quiet)
    load.mark("that engine starts again")
    await first.start()
    load.mark("it is ready")
    await asyncio.sleep(quiet)

    load.mark("another engine is cut off")
    await second.host.cut_off()
    await asyncio.sleep(quiet)
    load.mark("its cable is in again")
    await second.host.reconnect()
    await asyncio.sleep(quiet)

    load.mark("SIGTERM of one gateway")
    code = await gateway.stop()
    load.mark(f"it has ended with {code} and starts again")
    await gateway.start()
    load.mark("it is ready")
    await asyncio.sleep(quiet)


async def rolling(fleet: Fleet, load: Load, quiet: float) -> None:
    """Every part is replaced by a new one, one at a time, in the ways of the manifests in ``k8s/overlays/fleet``.

    Engines: the old one first, the others bear its trees. The reward engine and gateways: the new one first.
    """
    await asyncio.sleep(quiet)
    for old in list(fleet.parts["engine"]):
        await _away(fleet, load, "engine", old)
        await _new(fleet, load, "engine")
    for kind in NEW_FIRST:
        for old in list(fleet.parts[kind]):
            await _new(fleet, load, kind)
            await _away(fleet, load, kind, old)
    await asyncio.sleep(quiet)


async def _away(fleet: Fleet, load: Load, kind: Kind, part: Part) -> None:
    load.mark(f"{kind} leaves")
    code = await fleet.remove(kind, part)
    load.mark(f"{kind} has ended with {code}")


async def _new(fleet: Fleet, load: Load, kind: Kind) -> None:
    load.mark(f"new {kind} starts")
    await fleet.add(kind)
    load.mark(f"new {kind} is ready")
