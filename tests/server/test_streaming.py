"""Streamed chats: what comes, in which order, and when."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from engine.scripted import ScriptedEngine
from engine.scripted_judges import ScriptedReward
from mcts.errors import EngineCallFailed
from tests.server.service import CHATS, QUESTION, Service, backend, events_of, listening, serving
from tests.server.test_chat import table_engine


def deltas(events: list[Any], field: str, index: int = 0) -> str:
    """Everything that the deltas of one choice said in one field."""
    chunks = [event for event in events if isinstance(event, dict)]
    return "".join(c["delta"].get(field, "") for chunk in chunks for c in chunk["choices"] if c["index"] == index)


def kinds(events: list[Any]) -> list[str]:
    """What each event is."""
    return [_kind(event) for event in events]


def _kind(event: Any) -> str:
    if not isinstance(event, dict):
        return str(event)
    if not event.get("choices"):
        return "error" if "error" in event else "usage"
    choice = event["choices"][0]
    if choice.get("finish_reason"):
        return "finish"
    if "search_event" in event:
        return "event"
    return next((name for name in ("role", "reasoning", "content") if name in choice["delta"]), "empty")


async def test_a_stream_is_role_progress_answer_finish_done(service: Service) -> None:
    """The order is fixed and progress never follows content."""
    events = await service.stream()
    order = kinds(events)
    assert order[0] == "role"
    assert order[-2:] == ["finish", "[DONE]"]
    middle = order[1:-2]
    assert middle == sorted(middle, reverse=True)  # reasoning … before content …
    assert {"reasoning", "content"} <= set(middle)
    assert "usage" not in order


async def test_the_stream_says_what_the_plain_reply_says() -> None:
    """The pieces joined are the answer of the plain reply with the same seed."""
    async with serving() as service:
        fields = {"seed": 3, "search": {"width": 1}}
        plain = await service.answer(**fields)
        events = await service.stream(**fields)
    assert deltas(events, "content") == plain["choices"][0]["message"]["content"]
    last = next(event for event in events if _kind(event) == "finish")
    assert last["search"]["votes"] == plain["search"]["votes"]
    assert last["choices"][0]["finish_reason"] == "stop"


async def test_progress_is_the_same_in_both_fields_and_readable(service: Service) -> None:
    """Clients read either ``reasoning`` or ``reasoning_content``; a line tells simulation, best answer and nodes."""
    events = await service.stream(search={"strategy": "uct", "budget": {"simulations": 2}})
    assert deltas(events, "reasoning") == deltas(events, "reasoning_content")
    first = deltas(events, "reasoning").splitlines()[0]
    assert first.startswith("simulation 1/2 · best so far 4")
    assert first.endswith(" nodes")


async def test_every_chunk_carries_the_same_identity(service: Service) -> None:
    """Id, time, model and fingerprint are those of one completion."""
    chunks = [event for event in await service.stream() if isinstance(event, dict)]
    assert len({(c["id"], c["created"], c["model"], c["system_fingerprint"]) for c in chunks}) == 1
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)


async def test_usage_comes_once_when_asked_for(service: Service) -> None:
    """One chunk without choices carries the usage, right before the end."""
    events = await service.stream(stream_options={"include_usage": True})
    assert kinds(events)[-2:] == ["usage", "[DONE]"]
    assert events[-2]["usage"]["completion_tokens"] > 0
    assert sum("usage" in event for event in events if isinstance(event, dict)) == 1


async def test_direct_decoding_streams_its_text_as_it_is_written() -> None:
    """Pieces leave while the model writes, and nothing is told twice."""
    async with listening(ScriptedEngine(token_seconds=0.01)) as service:
        times: list[float] = []
        text = ""
        body = {
            "messages": [{"role": "user", "content": QUESTION}],
            "model": "abacus:direct",
            "stream": True,
            "seed": 1,
        }
        async with service.client.stream("POST", CHATS, json=body) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    piece = json.loads(line[6:])["choices"][0]["delta"].get("content")
                    if piece:
                        text += piece
                        times.append(asyncio.get_running_loop().time())
        plain = await service.answer(model="abacus:direct", seed=1)
    assert text == plain["choices"][0]["message"]["content"]
    assert times[-1] - times[0] > 0.2


async def test_progress_arrives_while_the_search_runs() -> None:
    """The first line comes long before the answer."""
    async with listening(ScriptedEngine(latency=lambda _, number: 0.3 * (number + 1))) as service:
        loop, seen = asyncio.get_running_loop(), dict[str, float]()
        body = {"messages": [{"role": "user", "content": QUESTION}], "stream": True, "model": "abacus:majority"}
        async with service.client.stream("POST", CHATS, json=body) as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            assert reply.headers["x-accel-buffering"] == "no"
            assert "no-transform" in reply.headers["cache-control"]
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    seen.setdefault(_kind(json.loads(line[6:])), loop.time())
    assert seen["content"] - seen["reasoning"] > 0.08
    assert seen["reasoning"] - seen["role"] > 0.05


async def test_silence_is_filled_with_comments() -> None:
    """A thinking search sends a comment every keep-alive interval, which clients skip."""
    async with serving(ScriptedEngine(latency=lambda _, __: 0.35), keep_alive_seconds=0.1) as service:
        events = await service.stream(model="abacus:direct")
    assert 2 <= events.count(": keep-alive") <= 6  # a busy machine stretches the 0.35 s
    assert events[0] != ": keep-alive"


@pytest.mark.parametrize("progress", [False, True])
async def test_progress_can_be_turned_off(service: Service, progress: bool) -> None:
    """With ``progress: false`` nothing stands between role and answer."""
    events = await service.stream(search={"progress": progress})
    assert ("reasoning" in kinds(events)) is progress


async def test_events_stand_beside_empty_deltas(service: Service) -> None:
    """With ``progress: events`` each search event is told by type, and ordinary clients see nothing but the answer."""
    events = await service.stream(search={"progress": "events"})
    told = [event["search_event"] for event in events if _kind(event) == "event"]
    assert {"search_started", "node_added", "backed_up", "answer_found", "simulation_done", "search_finished"} <= {
        event["type"] for event in told
    }
    root = next(event for event in told if event["type"] == "node_added")
    assert (root["node"], root["parent"], root["depth"], root["visits"]) == (0, None, 0, 0)
    assert deltas(events, "reasoning") == ""
    assert "boxed" in deltas(events, "content")


async def test_n_answers_are_n_choices() -> None:
    """Each answer has its own index, role and finish; the summary comes with the last."""
    async with serving(table_engine()) as service:
        events = await service.stream(n=2, search={"strategy": "majority", "samples": 16})
    finishes = [event for event in events if _kind(event) == "finish"]
    assert [event["choices"][0]["index"] for event in finishes] == [0, 1]
    assert ["search" in event for event in finishes] == [False, True]
    assert {deltas(events, "content", 0)[-1], deltas(events, "content", 1)[-1]} == {"1", "2"}


async def test_logprobs_stream_with_their_text() -> None:
    """Joined, they spell the answer."""
    async with serving(table_engine()) as service:
        events = await service.stream(model="abacus:direct", logprobs=True, top_logprobs=1)
    tokens = [
        token["token"]
        for event in events
        if isinstance(event, dict)
        for choice in event["choices"]
        for token in (choice.get("logprobs") or {"content": []})["content"]
    ]
    assert "".join(tokens) == deltas(events, "content")


async def test_a_failure_in_mid_stream_is_an_error_event() -> None:
    """Once bytes are out, an error is told as an event with the one shape, and the stream still ends properly."""
    async with serving(ScriptedEngine(failure=lambda _, __: EngineCallFailed("lost"))) as service:
        events = await service.stream()
    assert kinds(events) == ["role", "error", "[DONE]"]
    assert events[1]["error"]["code"] == "engine_failed"


async def test_a_refused_stream_has_a_status() -> None:
    """What can be refused before the first byte is refused with a proper status."""
    async with serving() as service:
        assert (await service.refusal(400, stream=True, temperature=9))["param"] == "temperature"


async def test_a_reward_that_fails_is_told() -> None:
    """A failing reward model ends the stream with its error."""
    engine = ScriptedEngine()
    reward = ScriptedReward(failure=lambda _: EngineCallFailed("no reward"))
    async with serving(engine, made=backend(engine, reward)) as service:
        assert "error" in kinds(await service.stream())


async def test_concurrent_streams_never_see_each_other() -> None:
    """Two hundred streams at once: each gets its own question back, and what it asked for and nothing else."""
    engine = ScriptedEngine(latency=lambda _, number: 0.001 * (number % 7))
    async with listening(engine, max_searches=8, max_queue=200, queue_seconds=60) as service:

        async def one(number: int) -> None:
            body = {
                "messages": [{"role": "user", "content": f"add {number} and 1000"}],
                "stream": True,
                "model": ["abacus:direct", "abacus:majority", "abacus", "abacus:best-of-n"][number % 4],
                "search": {"progress": number % 2 == 0},
                "logprobs": number % 3 == 0,
                "n": 1 + number % 5 // 4,
                "stream_options": {"include_usage": number % 7 == 0},
            }
            async with httpx.AsyncClient(base_url=service.url, timeout=60) as client:
                reply = await client.post(CHATS, json=body, headers={"X-Request-Id": f"r{number}"})
            events = events_of(reply.text)
            assert f"add {number} and 1000" in deltas(events, "content")
            assert number % 2 == 0 or deltas(events, "reasoning") == ""
            chunks = [event for event in events if isinstance(event, dict)]
            assert {chunk["id"] for chunk in chunks} == {f"chatcmpl-r{number}"}
            assert any("usage" in chunk for chunk in chunks) == (number % 7 == 0)
            choices = [choice for chunk in chunks for choice in chunk["choices"]]
            assert any(choice.get("logprobs") for choice in choices) == (number % 3 == 0)
            assert {choice["index"] for choice in choices} <= set(range(body["n"]))

        await asyncio.gather(*(one(number) for number in range(200)))
        assert service.engine.open_calls == 0
