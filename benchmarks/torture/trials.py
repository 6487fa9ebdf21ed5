"""The trials that a healthy engine goes through: overload, clients that leave, deadlines."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass

import httpx

from benchmarks.torture.asking import CLEAR, Outcome, ask, fixed_search
from benchmarks.torture.report import Point, percentile, seconds, tally
from benchmarks.torture.target import CHATS, Target, client, metric, target

DEADLINES = (0.25, 0.5, 1.0, 2.0, 5.0)
IDLE_SECONDS = 0.2
GRACE_SECONDS = 0.1

GAUGES = (
    "mcts_engine_calls_in_flight",
    "mcts_engine_calls_waiting",
    "mcts_reward_calls_in_flight",
    "mcts_searches_running",
    "mcts_searches_waiting",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything.

    Args:
        seconds: Of overload.
        places: Searches at once in the overload.
        leavers: Clients that go away, in rounds of ``at_once``.
        at_once: Clients of one round.
        searches: Searches under way when an engine is killed or the server told to stop.
        per_deadline: Requests per deadline.
        samples, tokens: Of the search that the overload is made of.
        long: Tokens of each text of a search that is not to come to its end.
    """

    seconds: float = 150.0
    places: int = 2
    leavers: int = 300
    at_once: int = 30
    searches: int = 50
    per_deadline: int = 40
    samples: int = 4
    tokens: int = 96
    long: int = 400


async def overload(flags: tuple[str, ...], size: Size, chance: random.Random) -> list[Point]:
    """Ten times more searches come than there is room for: those admitted keep their pace, the rest hear 429."""
    search = fixed_search(size.samples, size.tokens)
    own = ("--max-searches", str(size.places), "--max-queue", "0")
    async with target(*flags, *own) as running, client(running) as asker:
        unloaded = [await ask(asker, **search) for _ in range(12)][4:]
        pace = percentile([each.seconds for each in unloaded], 0.5)
        await _flood(asker, size, pace, search, min(10.0, size.seconds), chance)  # memory that is taken once
        before = running.memory_bytes()
        told, probes = await _flood(asker, size, pace, search, size.seconds, chance)
        await asyncio.sleep(1)
        after = running.memory_bytes()
    return _overload_points(pace, told, probes, after / before)


async def _flood(
    asker: httpx.AsyncClient, size: Size, pace: float, search: dict[str, object], length: float, chance: random.Random
) -> tuple[list[Outcome], list[float]]:
    """Requests as they come by chance, ten times as many as can be served; and how long health took meanwhile."""
    rate, ends = 10 * size.places / pace, time.perf_counter() + length
    asked: list[asyncio.Task[Outcome]] = []
    probing = asyncio.create_task(_probe(asker, ends))
    while time.perf_counter() < ends:
        asked.append(asyncio.create_task(ask(asker, **search)))
        await asyncio.sleep(chance.expovariate(rate))
    return list(await asyncio.gather(*asked)), await probing


async def _probe(asker: httpx.AsyncClient, ends: float) -> list[float]:
    took: list[float] = []
    while (began := time.perf_counter()) < ends:
        for path in ("/health/ready", "/metrics"):
            (await asker.get(path)).raise_for_status()
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.2)
    return took


def _overload_points(pace: float, told: list[Outcome], probes: list[float], memory: float) -> list[Point]:
    answered = [each.seconds for each in told if each.what == "answer"]
    refused = [each.seconds for each in told if each.what == "overloaded"]
    typical, late = percentile(answered, 0.5) / pace, percentile(answered, 0.95) / pace
    return [
        Point("overload", "requests", tally(each.what for each in told), "answers and 429", _clear(told)),
        Point("overload", "latency of one alone", seconds(pace)),
        Point("overload", "median of those admitted", f"{typical:.2f} ×", "at most 2 ×", typical <= 2),
        Point("overload", "95th percentile of those admitted", f"{late:.2f} ×"),
        Point("overload", "429 after, median", seconds(percentile(refused, 0.5)), "at once"),
        Point("overload", "429 after, 99th percentile", seconds(percentile(refused, 0.99))),
        Point("overload", "health and metrics, 99th percentile", seconds(percentile(probes, 0.99))),
        Point("overload", "memory afterwards", f"{memory - 1:+.1%}", "within 5%", abs(memory - 1) <= 0.05),
    ]


async def leaving(flags: tuple[str, ...], size: Size, chance: random.Random) -> list[Point]:
    """Clients go away at any moment, plain and streamed, running and waiting: nothing goes on for them."""
    idle: list[float] = []
    own = ("--max-searches", str(max(2, size.at_once // 2)))
    async with target(*flags, *own) as running, client(running) as asker:
        await ask(asker, **fixed_search(size.samples, size.tokens))
        files, tasks = running.open_files(), await metric(asker, "mcts_event_loop_tasks")
        for _ in range(max(1, size.leavers // size.at_once)):
            leavers = (
                _leave(running, size.long, chance.uniform(0, 2), number % 2 == 0) for number in range(size.at_once)
            )
            await asyncio.gather(*leavers)
            idle.append(await _until_idle(asker))
        await asyncio.sleep(0.5)
        left = running.open_files() - files, await metric(asker, "mcts_event_loop_tasks") - tasks
        (await asker.get("/health/ready")).raise_for_status()
    rounds = f"{len(idle)} rounds of {size.at_once}"
    return [
        Point("disconnects", f"idle after the last one left, worst of {rounds}", seconds(max(idle)),
              seconds(IDLE_SECONDS), max(idle) <= IDLE_SECONDS),
        Point("disconnects", "open files left", str(left[0]), "0", left[0] <= 0),
        Point("disconnects", "tasks left", f"{left[1]:.0f}", "0", left[1] <= 0),
    ]  # fmt: skip


async def _leave(running: Target, tokens: int, after: float, stream: bool) -> None:
    """Asks for something long and closes the connection after some time, whatever has come by then."""
    fields = {"messages": [{"role": "user", "content": "1 2"}], "stream": stream, **fixed_search(8, tokens)}
    body, at = json.dumps(fields).encode(), httpx.URL(running.url)
    head = f"POST {CHATS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    _, writer = await asyncio.open_connection(at.host, at.port)
    writer.write(head.encode() + body)
    await asyncio.sleep(after)
    writer.close()


async def _until_idle(asker: httpx.AsyncClient) -> float:
    began = time.perf_counter()
    while time.perf_counter() - began < 30:
        asked = time.perf_counter() - began
        if sum([await metric(asker, gauge) for gauge in GAUGES]) == 0:
            return asked  # when it was asked: the reply's own way is no part of it
        await asyncio.sleep(0.01)
    return 30.0


async def deadlines(flags: tuple[str, ...], size: Size, _: random.Random) -> list[Point]:
    """Searches that would take far longer come back soon after their deadline, with what they have."""
    over: dict[float, list[float]] = {}
    outcomes: list[Outcome] = []
    async with target(*flags) as running, client(running) as asker:
        step = await _step_seconds(asker)
        for limit in DEADLINES:
            search = fixed_search(64, size.long, seconds=limit) | {"n": 1}
            told = [await ask(asker, **search, seed=number) for number in range(size.per_deadline)]
            over[limit] = [each.seconds - limit for each in told]
            outcomes += told
    late = [each for times in over.values() for each in times]
    demanded = GRACE_SECONDS + step
    points = [
        Point("deadlines", "outcomes", tally(each.stop_reason or each.what for each in outcomes),
              "best so far, or 504", _clear(outcomes)),
        Point("deadlines", "one engine step", seconds(step)),
        Point("deadlines", f"overshoot, 99th percentile of {len(late)}", seconds(percentile(late, 0.99)),
              f"{seconds(demanded)} (100 ms and a step)", percentile(late, 0.99) <= demanded),
    ]  # fmt: skip
    points += [
        Point("deadlines", f"overshoot at {limit:g} s: 50th, 99th, most",
              ", ".join(seconds(each) for each in (percentile(times, 0.5), percentile(times, 0.99), max(times))))
        for limit, times in over.items()
    ]  # fmt: skip
    return points


async def _step_seconds(asker: httpx.AsyncClient) -> float:
    """Seconds that the engine takes for one token of a batch as large as a deadline's search makes it."""
    tokens = 32
    await ask(asker, **fixed_search(64, tokens))
    return (await ask(asker, **fixed_search(64, tokens))).seconds / tokens


def _clear(told: list[Outcome]) -> bool:
    return {each.what for each in told} <= CLEAR
