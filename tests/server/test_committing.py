"""Answers that flow step by step while their search goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from tests.server.service import CHATS, QUESTION, Service, listening, serving
from tests.server.test_streaming import deltas, kinds

COMMITTING = {"strategy": "uct", "commit": 2, "width": 1, "budget": {"simulations": 8}}


async def test_reasoning_never_follows_content(service: Service) -> None:
    """Progress lines stop with the first committed step; content comes in several pieces."""
    order = kinds(await service.stream(search=COMMITTING, seed=1))
    middle = order[1:-2]
    assert middle == sorted(middle, reverse=True)
    assert order.count("reasoning") == 2  # the lines of the first block; the step was committed with the second
    assert order.count("content") >= 2


async def test_the_stream_says_what_the_plain_reply_says() -> None:
    """Nothing is lost and nothing told twice, whatever was committed before the vote."""
    async with serving() as service:
        for seed in range(5):
            plain = await service.answer(search=COMMITTING, seed=seed)
            events = await service.stream(search=COMMITTING, seed=seed)
            assert deltas(events, "content") == plain["choices"][0]["message"]["content"]
            finish = next(event for event in events if isinstance(event, dict) and "search" in event)
            assert finish["search"]["votes"] == plain["search"]["votes"]


async def test_events_go_on_beside_content(service: Service) -> None:
    """With ``progress: events`` the search is told to its end, and ordinary clients see nothing but the answer."""
    events = await service.stream(search={**COMMITTING, "progress": "events"}, seed=1)
    order = kinds(events)
    types = [event["search_event"]["type"] for event in events if isinstance(event, dict) and "search_event" in event]
    assert types[-1] == "search_finished"
    assert types.count("committed") >= 2
    assert "answer_text" not in types
    assert "event" in order[order.index("content") :]
    assert deltas(events, "reasoning") == ""


@pytest.mark.parametrize("progress", [True, "events"])
async def test_plain_decoding_tells_its_end_as_an_event_too(service: Service, progress: Any) -> None:
    """Events are not cut off by content; lines never were part of plain decoding."""
    events = await service.stream(model="abacus:direct", search={"progress": progress})
    types = [event["search_event"]["type"] for event in events if isinstance(event, dict) and "search_event" in event]
    assert types[-1:] == (["search_finished"] if progress == "events" else [])
    assert deltas(events, "reasoning") == ""


async def test_the_text_flows_before_the_search_ends() -> None:
    """The first piece comes after the first block, not after the last simulation."""
    async with listening(ScriptedEngine(latency=lambda _, __: 0.05)) as service:
        loop, times = asyncio.get_running_loop(), dict[str, float]()
        body = {"messages": [{"role": "user", "content": QUESTION}], "stream": True, "seed": 1, "search": COMMITTING}
        async with service.client.stream("POST", CHATS, json=body) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    choice = json.loads(line[6:])["choices"][0]
                    kind = "finish" if choice.get("finish_reason") else next(iter(choice["delta"]), "")
                    times.setdefault(kind, loop.time())
    assert times["finish"] - times["content"] > 0.08


async def test_log_probabilities_wait_for_the_whole_answer(service: Service) -> None:
    """Every piece of content then carries its own: the answer comes at the end, and progress goes on till then."""
    events = await service.stream(search=COMMITTING, seed=1, logprobs=True)
    order = kinds(events)
    assert order[1:-2] == sorted(order[1:-2], reverse=True)
    tokens = [
        token["token"]
        for event in events
        if isinstance(event, dict)
        for choice in event["choices"]
        for token in (choice.get("logprobs") or {"content": []})["content"]
    ]
    assert "".join(tokens) == deltas(events, "content")


@pytest.mark.parametrize("question", ["三加四是多少？", "🌳🌲 3 and 4", "hello"])
async def test_the_preset_answers_all_kinds_of_prompts(service: Service, question: str) -> None:
    """By its name, with several choices asked for."""
    reply = await service.answer(question, model="abacus:uct-commit", n=2, search={"commit": 1})
    assert question in reply["choices"][0]["message"]["content"]
    assert reply["search"]["strategy"] == "uct"


async def test_a_commit_for_a_strategy_without_trees_is_refused(service: Service) -> None:
    """By name, as every field that does not fit."""
    assert (await service.refusal(400, search={"strategy": "majority", "commit": 2}))["param"] == "search.commit"
