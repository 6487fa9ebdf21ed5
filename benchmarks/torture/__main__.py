"""``python -m benchmarks.torture``: every trial on a server of its own, and a table of what was demanded and found."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable

from rich.console import Console

from benchmarks.torture.faults import engine_killed, reward_killed, stopped
from benchmarks.torture.report import Point, print_points
from benchmarks.torture.trials import Size, deadlines, leaving, overload

Trial = Callable[[tuple[str, ...], Size, random.Random], Awaitable[list[Point]]]

TRIALS: dict[str, Trial] = {
    "overload": overload,
    "disconnects": leaving,
    "engine-killed": engine_killed,
    "reward-killed": reward_killed,
    "sigterm": stopped,
    "deadlines": deadlines,
}

REAL_ONLY = frozenset({"engine-killed", "reward-killed"})
"""Trials that need engines in processes of their own."""

FLAGS = {"vllm": ("--kv-cache-gib", "0.5"), "scripted": ("--engine", "scripted")}


def main() -> int:
    """Runs the trials that are asked for; 1 when a point fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=150.0, help="of overload; the rest takes about 8 minutes")
    parser.add_argument("--engine", choices=FLAGS, default="vllm")
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leavers", type=int, default=300, help="clients that disconnect")
    parser.add_argument("--per-deadline", type=int, default=40, help="requests per deadline")
    given = parser.parse_args()
    size = Size(seconds=given.seconds, leavers=given.leavers, per_deadline=given.per_deadline)
    if given.engine == "scripted":
        size = dataclasses.replace(size, long=32, tokens=16)  # the toy counts each token in Python
    names = [name for name in given.only if given.engine == "vllm" or name not in REAL_ONLY]
    work = run(names, FLAGS[given.engine], size, given.seed, Console(stderr=True))
    points = asyncio.run(until_told(work))
    print_points(points, Console())
    return int(any(point.holds is False for point in points))


async def run(names: list[str], flags: tuple[str, ...], size: Size, seed: int, console: Console) -> list[Point]:
    """Every point of the trials, one trial after the other. One that breaks off is a point that fails."""
    points: list[Point] = []
    for name in names:
        began = time.monotonic()
        console.print(f"{name} …", end=" ")
        try:
            found = await TRIALS[name](flags, size, random.Random(seed))
        except Exception as error:  # noqa: BLE001 - whatever broke off one trial, the others still tell something
            found = [Point(name, "broke off", f"{type(error).__name__}: {error}"[:300], "runs to its end", False)]
        console.print(f"{time.monotonic() - began:.0f} s")
        print_points(found, console)  # at once: the next one may never end
        points += found
    return points


async def until_told(work: Awaitable[list[Point]]) -> list[Point]:
    """Does the work; SIGTERM cancels it, so that no server is left behind."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())
