"""The trials in which something is killed in the middle of many searches: an engine, or the server itself."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

import httpx

from benchmarks.torture.asking import CLEAR, Outcome, ask, fixed_search, many
from benchmarks.torture.report import Point, seconds, tally
from benchmarks.torture.target import client, metric, target
from benchmarks.torture.trials import GAUGES, Size

RECOVERY_SECONDS = 180.0
DRAIN_SECONDS = 3.0


async def engine_killed(flags: tuple[str, ...], size: Size, chance: random.Random) -> list[Point]:
    """SIGKILL of the engine that writes."""
    return await _killed("generation", flags, size, chance)


async def reward_killed(flags: tuple[str, ...], size: Size, chance: random.Random) -> list[Point]:
    """SIGKILL of the engine that scores."""
    return await _killed("reward", flags, size, chance)


async def _killed(role: str, flags: tuple[str, ...], size: Size, chance: random.Random) -> list[Point]:
    name = f"SIGKILL of the {role} engine"
    async with target(*flags, "--max-searches", str(size.searches)) as running, client(running) as asker:
        victims = running.engine_pids(role)
        search = {"search": {"strategy": "uct", "reward": "prm", "budget": {"simulations": 200}}, "max_tokens": 160}
        asked = await many(asker, size.searches, **search)
        await _until(asker, "mcts_searches_running", size.searches)
        await _until(asker, "mcts_time_to_first_answer_seconds_count", size.searches // 2)  # half have an answer
        await asyncio.sleep(chance.uniform(0, 0.5))
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        killed = time.perf_counter()
        told = await asyncio.gather(*asked)
        last = time.perf_counter() - killed
        unready = (await asker.get("/health/ready")).status_code
        back = await _until_ready(asker)
        after = await ask(asker, **fixed_search(2, 16))
        left = sum([await metric(asker, gauge) for gauge in GAUGES])
    return [
        Point(name, f"{size.searches} searches", _outcomes(told), "an answer or a clear error each", _clear(told)),
        Point(name, "last of them told after", seconds(last)),
        Point(name, "readiness then", str(unready), "503", unready == 503),
        Point(name, "ready again after", seconds(back), f"within {RECOVERY_SECONDS:g} s", back < RECOVERY_SECONDS),
        Point(name, "the next search", after.what, "answer", after.what == "answer"),
        Point(name, "calls and places left", f"{left:.0f}", "0", left == 0),
    ]


async def stopped(flags: tuple[str, ...], size: Size, _: random.Random) -> list[Point]:
    """SIGTERM while searches run and wait."""
    places = max(1, size.searches // 2)
    own = ("--max-searches", str(places), "--drain-seconds", str(DRAIN_SECONDS))
    async with target(*flags, *own) as running, client(running) as asker:
        asked = await many(asker, size.searches, **fixed_search(16, size.long))
        await _until(asker, "mcts_searches_running", places)
        running.process.send_signal(signal.SIGTERM)
        began = time.perf_counter()
        await asyncio.sleep(0.15)
        unready = (await asker.get("/health/ready")).status_code
        refused = await ask(asker, **fixed_search(1, 8))
        told = await asyncio.gather(*asked)
        code = await running.ended(60)
        took = time.perf_counter() - began
    return [
        Point("SIGTERM under load", f"{size.searches} searches", _outcomes(told), "an answer or a clear error each",
              _clear(told)),
        Point("SIGTERM under load", "readiness 150 ms later", str(unready), "503", unready == 503),
        Point("SIGTERM under load", "a new search", refused.what, "not_ready", refused.what == "not_ready"),
        Point("SIGTERM under load", "exit code", str(code), "0", code == 0),
        Point("SIGTERM under load", f"ended after (drain {DRAIN_SECONDS:g} s)", seconds(took)),
    ]  # fmt: skip


async def _until(asker: httpx.AsyncClient, name: str, value: float) -> None:
    """Waits until a metric has a value, at most a minute."""
    ends = time.perf_counter() + 60
    while await metric(asker, name) < value and time.perf_counter() < ends:  # noqa: ASYNC110 - another process counts
        await asyncio.sleep(0.05)


async def _until_ready(asker: httpx.AsyncClient) -> float:
    began = time.perf_counter()
    while time.perf_counter() - began < RECOVERY_SECONDS:
        if (await asker.get("/health/ready")).status_code == 200:
            return time.perf_counter() - began
        await asyncio.sleep(0.1)
    return RECOVERY_SECONDS


def _outcomes(told: list[Outcome]) -> str:
    return tally(f"{each.what} ({each.stop_reason})" if each.stop_reason else each.what for each in told)


def _clear(told: list[Outcome]) -> bool:
    return {each.what for each in told} <= CLEAR
