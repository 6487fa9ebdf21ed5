"""Clients that go away, over real sockets: the search ends at once and nothing is left."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from tests.server.nginx import proxied
from tests.server.service import CHATS, Service, listening, until


async def half_a_chat(service: Service, url: str = "", **fields: Any) -> asyncio.StreamWriter:
    """Sends a chat and returns the open connection without reading a reply."""
    body = json.dumps({"messages": [{"role": "user", "content": "1 2"}], **fields}).encode()
    port = int((url or service.url).rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {CHATS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return writer


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["abacus", "abacus:direct", "abacus:majority"])
async def test_a_client_that_goes_away_ends_its_search(stream: bool, model: str) -> None:
    """Engine calls are aborted within 200 ms, plain or streamed, and gauges fall to zero."""
    async with listening(ScriptedEngine(latency=lambda _, __: 30.0)) as service:
        writer = await half_a_chat(service, stream=stream, model=model)
        await until(lambda: service.engine.open_calls > 0)
        writer.close()
        assert await until(lambda: service.engine.open_calls == 0) < 0.2
        await until(lambda: service.runtime.admission.running == 0)
        assert service.engine.aborted_calls > 0
        counted = service.runtime.metrics.registry.get_sample_value
        assert counted("mcts_engine_calls_in_flight") == 0
        strategy = {"abacus": "uct", "abacus:direct": "direct", "abacus:majority": "majority"}[model]
        assert counted("mcts_searches_total", {"strategy": strategy, "stop_reason": "cancelled"}) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_behind_a_proxy_that_goes_away_ends_its_search(stream: bool, tmp_path: Path) -> None:
    """A real nginx with its defaults tells at once, and so does the search's end."""
    async with (
        listening(ScriptedEngine(latency=lambda _, __: 30.0)) as service,
        proxied(service.url, tmp_path) as url,
    ):
        writer = await half_a_chat(service, url, stream=stream)
        await until(lambda: service.engine.open_calls > 0)
        writer.close()
        assert await until(lambda: service.engine.open_calls == 0) < 0.2
        await until(lambda: service.runtime.admission.running == 0)


async def test_a_stream_comes_through_a_proxy_piece_by_piece(tmp_path: Path) -> None:
    """Nginx, which holds back replies unless told otherwise, is told otherwise."""
    engine = ScriptedEngine(token_seconds=0.3)
    async with listening(engine) as service, proxied(service.url, tmp_path) as url:
        body = {"messages": [{"role": "user", "content": "1 2"}], "model": "abacus:direct", "stream": True}
        async with service.client.stream("POST", url + CHATS, json=body) as reply:
            async for piece in reply.aiter_text():
                if re.search(r'"content": ?"[^"]', piece):
                    assert engine.open_calls == 1  # still at work
                    return
    pytest.fail("the answer's first token never came by itself")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_the_queue_frees_its_place(stream: bool) -> None:
    """A waiting search whose client goes away never starts."""
    async with listening(ScriptedEngine(latency=lambda _, __: 30.0), max_searches=1) as service:
        first = await half_a_chat(service, model="abacus:direct")
        await until(lambda: service.engine.open_calls == 1)
        second = await half_a_chat(service, model="abacus:direct", stream=stream)
        await until(lambda: service.runtime.admission.waiting == 1)
        second.close()
        await until(lambda: service.runtime.admission.waiting == 0)
        first.close()
        await until(lambda: service.runtime.admission.running == 0)
        assert service.engine.calls == 1


async def test_many_disconnects_leave_nothing_behind() -> None:
    """Forty clients leave at different moments: no open call, no place taken, no task left."""
    async with listening(ScriptedEngine(latency=lambda _, __: 0.02, token_seconds=0.002)) as service:
        before = len(asyncio.all_tasks())

        async def leave(number: int) -> None:
            writer = await half_a_chat(
                service, stream=number % 2 == 0, model=["abacus", "abacus:direct"][number // 2 % 2]
            )
            await asyncio.sleep(0.004 * number)
            writer.close()

        await asyncio.gather(*(leave(number) for number in range(40)))
        await until(lambda: service.engine.open_calls == 0)
        await until(lambda: service.runtime.admission.running == 0)
        await until(lambda: len(asyncio.all_tasks()) <= before)
