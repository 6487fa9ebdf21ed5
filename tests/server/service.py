"""A server on the scripted engine for tests: in this process over ASGI, or on a real socket of 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from mcts.ports import RewardModel
from mcts.reward_ports import AnyReward
from reward.answers import StandardAnswers
from reward.registry import build_rewards
from server.app import create_app
from server.backend import Backend, Loader, Report
from server.process import SearchServer, listen
from server.protocol import limited
from server.runtime import Runtime
from server.settings import Settings

QUESTION = "What is 17 + 25?"
CHATS = "/v1/chat/completions"


@dataclass(eq=False)
class Service:
    """A running server and its engine."""

    app: FastAPI
    engine: ScriptedEngine
    client: httpx.AsyncClient
    url: str = "http://test"

    @property
    def runtime(self) -> Runtime:
        """The server's state."""
        runtime: Runtime = self.app.state.runtime
        return runtime

    async def ask(self, question: str = QUESTION, **fields: Any) -> httpx.Response:
        """Posts a chat of one turn."""
        body = {"messages": [{"role": "user", "content": question}], **fields}
        return await self.client.post(CHATS, json={name: value for name, value in body.items() if value is not ...})

    async def answer(self, question: str = QUESTION, **fields: Any) -> dict[str, Any]:
        """Posts a chat that must succeed."""
        reply = await self.ask(question, **fields)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def refusal(self, status: int = 400, question: str = QUESTION, **fields: Any) -> dict[str, Any]:
        """Posts a chat that must be refused."""
        reply = await self.ask(question, **fields)
        assert reply.status_code == status, reply.text
        return dict(reply.json()["error"])

    async def stream(self, question: str = QUESTION, **fields: Any) -> list[Any]:
        """Posts a streamed chat: the chunks, ``"[DONE]"`` and comments (as ``": …"``) in their order."""
        reply = await self.ask(question, stream=True, **fields)
        assert reply.status_code == 200, reply.text
        return events_of(reply.text)


def events_of(text: str) -> list[Any]:
    """Server-sent events: parsed JSON, other data and comments as text."""
    blocks = [block for block in text.split("\n\n") if block]
    return [_parsed(block) for block in blocks]


def _parsed(block: str) -> Any:
    data = block.removeprefix("data: ")
    return json.loads(data) if data.startswith("{") else data


def backend(engine: ScriptedEngine, reward: RewardModel | None = None, **changes: Any) -> Backend:
    """What searches run on. The process reward believes the right answer of the default script more."""
    own = build_rewards(None, engine.tokenizer)
    rewards: dict[str, AnyReward] = {**own, "prm": reward or ScriptedReward(worth=lambda _: 0.5)}
    if "rewards" in changes:
        rewards = changes.pop("rewards")
    answers = changes.pop("answers", StandardAnswers())
    return Backend(engine, engine.tokenizer, answers, rewards, **{"max_model_len": 4096, **changes})


def loader(made: Backend) -> Loader:
    """A loader that is done at once."""

    async def load(_: Settings, __: Report) -> Backend:
        return made

    return load


def settings(**changes: Any) -> Settings:
    """Settings for tests: short and scripted."""
    return Settings.model_validate({"engine": "scripted", "default_simulations": 4, "default_samples": 3, **changes})


@asynccontextmanager
async def serving(
    engine: ScriptedEngine | None = None, load: Loader | None = None, **changes: Any
) -> AsyncIterator[Service]:
    """A server in this process, without a socket. ``changes`` are settings; ``made`` replaces the backend."""
    engine = engine or ScriptedEngine()
    made = changes.pop("made", None) or backend(engine)
    tracing = changes.pop("tracing", None)
    app = create_app(settings(**changes), load=load or loader(made), tracing=tracing)
    async with app.router.lifespan_context(app):
        if load is None:
            await app.state.runtime.settled.wait()
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Service(app, engine, client)


@asynccontextmanager
async def listening(engine: ScriptedEngine | None = None, **changes: Any) -> AsyncIterator[Service]:
    """A server on a free port of 127.0.0.1, in this event loop."""
    engine = engine or ScriptedEngine()
    made = changes.pop("made", None) or backend(engine)
    app = create_app(settings(**changes), load=loader(made))
    opened = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{opened.getsockname()[1]}"
    http = limited(app.state.runtime.settings.max_header_bytes)
    config = uvicorn.Config(app, http=http, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = SearchServer(config, app.state.runtime, lambda: None)
    running = asyncio.create_task(server.serve(sockets=[opened]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        await app.state.runtime.settled.wait()
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            yield Service(app, engine, client, url)
    finally:
        server.should_exit = True
        await running


async def until(condition: Any, seconds: float = 5.0) -> float:
    """Waits until a condition holds.

    Returns:
        The seconds it took.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began < seconds, "it did not happen in time"
        await asyncio.sleep(0.002)
    return loop.time() - began
