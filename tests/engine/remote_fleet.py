"""An engine over fake servers, for tests, and what they ask it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from engine.remote.fleet import ENGINES, Fleet
from engine.remote.generation import RemoteEngine
from engine.remote.probes import GenerationProbe
from engine.remote.routing import ranked
from engine.remote.settings import FleetSettings
from engine.remote.wire import Wire
from engine.tokenizer import HFTokenizer
from mcts.ports import SampleRequest
from mcts.spent import Spent
from tests.engine.fake_vllm import FakeVllm, Mood

EOS = 2


@asynccontextmanager
async def engine(tokenizer: HFTokenizer, *servers: FakeVllm, **changes: Any) -> AsyncIterator[RemoteEngine]:
    """An engine over servers that have been started."""
    given: dict[str, Any] = {"check_seconds": 0.05, "check_timeout": 0.2, "patience_seconds": 0.3, "start_seconds": 5}
    settings = FleetSettings(tuple(server.url for server in servers), **(given | changes))
    fleet = Fleet(settings, GenerationProbe(settings, tokenizer), ENGINES, Wire(settings))
    try:
        await fleet.start()
        await until(lambda: all(member.is_in for member in fleet.members.values()))
        yield RemoteEngine(fleet, tokenizer, frozenset({EOS}), 4096)
    finally:
        await fleet.close()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def ask(tokenizer: HFTokenizer, **changes: Any) -> SampleRequest:
    """A seeded request."""
    request = SampleRequest(tuple(tokenizer.encode("What is 17 + 25?")), max_tokens=100, seed=7, search_id="a-search")
    return replace(request, **({"spent": Spent()} | changes))


def first_and_second(servers: tuple[FakeVllm, ...], search: str = "a-search") -> list[FakeVllm]:
    """Servers in the order in which a search tries them."""
    by_url = {server.url: server for server in servers}
    return [by_url[url] for url in ranked(search, list(by_url))]


def moods(*moods: Mood) -> Callable[[int], Mood]:
    """A server's moods, call by call; well afterwards."""
    return lambda number: moods[number] if number < len(moods) else "well"


async def answered(engine: RemoteEngine, request: SampleRequest) -> str:
    """The text of the one continuation."""
    (reply,) = await engine.sample(request)
    return reply.text
