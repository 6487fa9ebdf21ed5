"""A gateway over real vLLM servers on the processor: a chat is answered, and one of two engines killed under load."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from benchmarks.affinity.servers import ROOT, generating
from engine.remote.generation import RemoteEngine
from server.app import create_app
from server.settings import Settings
from tests.engine.remote_fleet import until

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

SEARCH = {"strategy": "uct", "reward": "confidence", "budget": {"simulations": 6}, "branch": 2, "width": 3}


async def _asked(client: httpx.AsyncClient, number: int) -> httpx.Response:
    question = {"role": "user", "content": f"What is {11 + number} + 25?"}
    return await client.post("/v1/chat/completions", json={"messages": [question], "search": SEARCH})


async def test_an_engine_killed_under_load_fails_no_request() -> None:
    """SIGKILL of one of two real servers, and of its engine, while both are at work: every chat is answered."""
    async with generating(2) as servers:
        settings = Settings(
            engine_url=tuple(server.url for server in servers),
            tokenizer=str(ROOT / "models" / "abacus"),
            engine_check_timeout=20.0,  # the cores are shared by two engines and whatever else runs
        )
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            await app.state.runtime.settled.wait()
            assert app.state.runtime.failure is None
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=300) as client:
                first = await _asked(client, 0)
                assert first.status_code == 200, first.text
                assert first.json()["search"]["simulations"] == 6
                engine = app.state.runtime.backend.engine._engine
                assert isinstance(engine, RemoteEngine)
                members = [engine.fleet.members[server.url] for server in servers]
                await until(lambda: all(member.serves for member in members), 120)
                chats = [asyncio.create_task(_asked(client, number)) for number in range(24)]
                await until(lambda: all(member.load > 4 for member in members), 60)
                servers[0].kill()
                replies = await asyncio.gather(*chats)
                assert [reply.status_code for reply in replies] == [200] * 24
                assert {reply.json()["search"]["stop_reason"] for reply in replies} == {"simulations"}
                assert not members[0].serves
                assert engine.fleet.failovers > 0
                assert (await client.get("/health/ready")).status_code == 200
