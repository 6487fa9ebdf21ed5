"""``python -m benchmarks.fleet``: as root, with dnsmasq and nginx. Prints what became of every request.

Two gateways, three engines and a reward engine, all real, each on a host of its own in a network of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from pathlib import Path

import httpx

from benchmarks.fleet.fleet import Fleet, fleet
from benchmarks.fleet.load import Load, steady
from benchmarks.fleet.network import go_inside, missing
from benchmarks.fleet.report import plot, table
from benchmarks.fleet.trials import faults, rolling
from benchmarks.torture.target import metric
from evals.provenance import machine, versions

TRIALS = {"faults": faults, "rolling": rolling}


def main() -> int:
    """Measures; 1 when a request failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--only", choices=TRIALS, help="one trial instead of all")
    parser.add_argument("--engines", type=int, default=3)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--rate", type=float, default=4.0, help="requests per second")
    parser.add_argument("--quiet", type=float, default=45.0, help="seconds between events")
    parser.add_argument("--plot", type=Path, help="draw it there")
    given = parser.parse_args()
    if given.engines < 2 or given.gateways < 2:
        parser.error("two engines are broken and one gateway ends: there must be others, so at least 2 of each")
    if reason := missing():
        parser.error(reason)
    go_inside("benchmarks.fleet")
    print(f"command: python -m benchmarks.fleet {' '.join(sys.argv[1:])}")
    print(f"{machine()}, Python {platform.python_version()}, {', '.join(versions())}")
    print(f"load average before: {os.getloadavg()[0]:.1f}", flush=True)
    loads = asyncio.run(_tried(given))
    if given.plot:
        plot(loads, given.plot)
    return int(any(asked.failed for load in loads.values() for asked in load.asked))


async def _tried(given: argparse.Namespace) -> dict[str, Load]:
    loads: dict[str, Load] = {}
    async with fleet(given.engines, given.gateways) as running:
        async with steady(given.rate) as load:  # what is compiled on first use is compiled now
            await asyncio.sleep(20)
        print(f"the fleet is ready; {len(load.asked)} requests to warm up, {_failed(load)} failed", flush=True)
        for name in [given.only] if given.only else TRIALS:
            print(f"{name}, {given.rate:g} requests per second:", flush=True)
            async with steady(given.rate) as loads[name]:
                await TRIALS[name](running, loads[name], given.quiet)
            print(f"\n{table(loads[name])}\n")
            print(f"{name}: {len(loads[name].asked)} requests, {_failed(loads[name])} failed")
            print(f"calls made again on another engine, by the gateways now running: {await _failovers(running)}")
            print(f"load average: {os.getloadavg()[0]:.1f}", flush=True)
    return loads


def _failed(load: Load) -> int:
    return sum(each.failed for each in load.asked)


async def _failovers(running: Fleet) -> list[int]:
    told = []
    for gateway in running.parts["gateway"]:
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=30) as asker:
            told.append(int(await metric(asker, "mcts_failovers_total")))
    return told


if __name__ == "__main__":
    sys.exit(main())
