"""Clients that ask at a steady pace whatever becomes of their questions, and what became of each."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.fleet.services import ADDRESS, TRIES

ANSWERED = "answer"

CUT_SHORT = frozenset({"failed", "deadline", "cancelled"})
"""Ends of searches that had an answer already and were kept from looking for a better one."""

SEARCHES: tuple[dict[str, Any], ...] = (
    {"strategy": "uct", "reward": "prm", "budget": {"simulations": 6}},
    {"strategy": "direct"},
    {"strategy": "majority", "samples": 6},
    {"strategy": "best_of_n", "samples": 4, "reward": "prm"},
    {"strategy": "beam", "beams": 4, "branch": 2, "reward": "prm"},
    {"strategy": "uct", "reward": "confidence", "budget": {"simulations": 6}},
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it was sent, in seconds since the load began, how long it took and what became of it."""

    at: float
    seconds: float
    what: str

    @property
    def failed(self) -> bool:
        """Whether the client got anything else than a whole answer of a search that ended as it should."""
        return self.what != ANSWERED


@dataclass(eq=False)
class Load:
    """Requests so far, and what happened meanwhile."""

    began: float = field(default_factory=time.monotonic)
    asked: list[Asked] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)

    @property
    def now(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.began

    def mark(self, what: str) -> None:
        """Something happens now."""
        self.marks.append((self.now, what))
        print(f"  {self.now:6.1f} s  {what}", flush=True)


@asynccontextmanager
async def steady(per_second: float) -> AsyncIterator[Load]:
    """A steady load while the context lasts; every request that was sent has ended when it is left."""
    load = Load()
    # No connection is used twice, so a balancer that is reloaded never closes one that a request has just been sent on.
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=ADDRESS, trust_env=False, timeout=300, limits=limits) as client:
        sending = asyncio.create_task(_send(client, load, per_second))
        try:
            yield load
        finally:
            sending.cancel()
            await sending


async def _send(client: httpx.AsyncClient, load: Load, per_second: float) -> None:
    async with asyncio.TaskGroup() as group:
        try:
            for number in itertools.count():
                await asyncio.sleep(max(0.0, number / per_second - load.now))
                group.create_task(_ask(client, load, number))
        except asyncio.CancelledError:
            return  # the group waits for what was sent


async def _ask(client: httpx.AsyncClient, load: Load, number: int) -> None:
    at = load.now
    streamed = number // len(SEARCHES) % 2 == 1
    question = (
        f"Tom has {12 + number % 80} apples. He buys {5 + number % 9} more and gives 3 away. How many has he now?"
    )
    body = {
        "messages": [{"role": "user", "content": question}],
        "search": SEARCHES[number % len(SEARCHES)],
        "seed": number,
        "stream": streamed,
    }
    try:
        reply = await client.post("/v1/chat/completions", json=body)
        what = outcome(reply, streamed=streamed)
    except Exception as error:  # noqa: BLE001 - whatever it is, this client has no answer
        what = f"broken: {type(error).__name__}"
    asked = Asked(at, load.now - at, what)
    load.asked.append(asked)
    if asked.failed:
        print(f"  {load.now:6.1f} s  FAILED: {what}, sent at {at:.1f} s", flush=True)


def outcome(reply: httpx.Response, *, streamed: bool) -> str:
    """What a reply comes to for its client: ``ANSWERED``, or what was wrong with it.

    An answer that the balancer had to ask for twice, because a gateway broke off what it had begun, is none here.
    """
    if tries := broken_off(reply.headers.get(TRIES, "")):
        return f"broken off by a gateway: {tries}"
    return _streamed(reply) if streamed and reply.status_code == httpx.codes.OK else _plain(reply)


def broken_off(tries: str) -> str:
    """The tries that the balancer tells of, if one of them broke off after it had begun; empty otherwise."""
    statuses, _, connected = tries.partition("; ")
    pairs = zip(statuses.split(", "), connected.split(", "), strict=False)
    return tries if any(status == "502" and seconds != "-" for status, seconds in pairs) else ""


def _plain(reply: httpx.Response) -> str:
    try:
        content = reply.json()
    except ValueError:
        return f"{reply.status_code} without JSON"
    if reply.status_code != httpx.codes.OK:
        return f"{reply.status_code} {content.get('error', {}).get('code')}"
    return _ended(content["search"]["stop_reason"])


def _streamed(reply: httpx.Response) -> str:
    """What a stream came to: its last chunk with a search tells why that ended."""
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n") if line.startswith("data: ")]
    if not lines or lines[-1] != "[DONE]":
        return "broken: cut stream"
    chunks = [json.loads(line) for line in lines[:-1]]
    for chunk in chunks:
        if "error" in chunk:
            return f"stream: {chunk['error'].get('code')}"
    reasons = [chunk["search"]["stop_reason"] for chunk in chunks if chunk.get("search", {}).get("stop_reason")]
    return _ended(reasons[-1]) if reasons else "stream without an end"


def _ended(stop_reason: str) -> str:
    return f"answer cut short: {stop_reason}" if stop_reason in CUT_SHORT else ANSWERED
