"""Plain completions: raw prompts, each continued by a search of its own."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI

from engine.scripted import ScriptedEngine
from tests.server.service import QUESTION, Service, events_of, listening

PATH = "/v1/completions"
RAW = f"<user>{QUESTION}<assistant>"
OTHER = "<user>What is 2 + 2?<assistant>"
"""Prompts as clients with templates of their own send them; the scripted model reads its marks."""


async def complete(service: Service, prompt: Any = RAW, **fields: Any) -> dict[str, Any]:
    """Posts prompts that must be continued."""
    reply = await service.client.post(PATH, json={"prompt": prompt, "max_tokens": 128, **fields})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def refusal(service: Service, **body: Any) -> dict[str, Any]:
    """Posts a body that must be refused."""
    reply = await service.client.post(PATH, json=body)
    assert reply.status_code == 400, reply.text
    return dict(reply.json()["error"])


async def test_a_prompt_is_answered_by_searching(service: Service) -> None:
    """One prompt, one choice, and the summary of its search."""
    reply = await complete(service)
    assert reply["object"] == "text_completion"
    assert reply["id"].startswith("cmpl-")
    (choice,) = reply["choices"]
    assert choice["index"] == 0
    assert choice["text"]
    assert choice["finish_reason"] == "stop"
    (search,) = reply["searches"]
    assert search["strategy"] == "uct"
    assert search["simulations"] == 4
    assert reply["usage"]["prompt_tokens"] == len(service.engine.tokenizer.encode(RAW))


async def test_the_prompt_reaches_the_engine_without_a_template(service: Service) -> None:
    """Text is encoded as it stands, and token ids are taken as they are."""
    ids = service.engine.tokenizer.encode(RAW)
    for prompt in (RAW, ids, [ids]):
        service.engine.requests.clear()
        await complete(service, prompt, search={"strategy": "direct"})
        assert [list(request.prefix) for request in service.engine.requests] == [ids]


async def test_choices_are_numbered_by_prompt_and_answer(service: Service) -> None:
    """Choice i of prompt p has index p * n + i; usage is the sum over the prompts."""
    one = await complete(service, search={"strategy": "direct"}, n=2, seed=1)
    reply = await complete(service, [RAW, OTHER], search={"strategy": "direct"}, n=2, seed=1)
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2, 3]
    assert len(reply["searches"]) == 2
    assert reply["usage"]["prompt_tokens"] == len(QUESTION) + len("What is 2 + 2?") + 4
    assert reply["usage"]["completion_tokens"] > one["usage"]["completion_tokens"]


async def test_echo_puts_the_prompt_before_every_answer(service: Service) -> None:
    """Whole and streamed."""
    fields: dict[str, Any] = {"search": {"strategy": "direct"}, "seed": 3}
    plain = (await complete(service, **fields))["choices"][0]["text"]
    assert (await complete(service, echo=True, **fields))["choices"][0]["text"] == RAW + plain
    chunks = await streamed(service, echo=True, **fields)
    assert text_of(chunks) == RAW + plain


async def streamed(service: Service, prompt: Any = RAW, **fields: Any) -> list[Any]:
    """Posts prompts whose answers come as a stream; the events."""
    reply = await service.client.post(PATH, json={"prompt": prompt, "max_tokens": 128, "stream": True, **fields})
    assert reply.status_code == 200, reply.text
    return events_of(reply.text)


def text_of(events: list[Any], index: int = 0) -> str:
    """The joined text of one choice."""
    choices = [choice for event in events if isinstance(event, dict) for choice in event["choices"]]
    return "".join(choice["text"] for choice in choices if choice["index"] == index)


async def test_a_stream_says_what_the_whole_reply_says(service: Service) -> None:
    """Every choice of every prompt, its finish, usage once, then [DONE]; no progress among the text."""
    fields: dict[str, Any] = {"seed": 5, "n": 2, "search": {"strategy": "direct"}}
    prompts = [RAW, OTHER]
    whole = await complete(service, prompts, **fields)
    events = await streamed(service, prompts, stream_options={"include_usage": True}, **fields)
    assert events[-1] == "[DONE]"
    assert [text_of(events, index) for index in range(4)] == [choice["text"] for choice in whole["choices"]]
    finished = [c["index"] for e in events[:-1] for c in e["choices"] if c["finish_reason"]]
    assert finished == [0, 1, 2, 3]
    usages = [event["usage"] for event in events[:-1] if "usage" in event]
    assert usages == [whole["usage"]]
    assert events[-2]["choices"] == []


async def test_logprobs_come_in_the_older_shape(service: Service) -> None:
    """One entry a token; offsets point at each token in the text; the token itself is among its alternatives."""
    reply = await complete(service, logprobs=2, search={"strategy": "direct"}, seed=2)
    (choice,) = reply["choices"]
    told = choice["logprobs"]
    assert "".join(told["tokens"]) == choice["text"]
    assert told["text_offset"] == [sum(map(len, told["tokens"][:i])) for i in range(len(told["tokens"]))]
    for token, logprob, top in zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True):
        assert top[token] == logprob
        assert len(top) <= 3
    pieces = [
        e["choices"][0]["logprobs"]
        for e in await streamed(service, logprobs=2, search={"strategy": "direct"}, seed=2)
        if isinstance(e, dict) and "logprobs" in e["choices"][0]
    ]
    for key in ("tokens", "text_offset", "token_logprobs"):
        assert [value for piece in pieces for value in piece[key]] == told[key]


async def test_sixteen_tokens_unless_more_are_asked_for(service: Service) -> None:
    """OpenAI's default here."""
    service.engine.requests.clear()
    reply = await service.client.post(PATH, json={"prompt": RAW, "search": {"strategy": "direct"}})
    assert reply.status_code == 200
    assert service.engine.requests[0].max_tokens == 16


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": "x", "suffix": "y"}, "suffix"),
        ({"prompt": "x", "best_of": 2}, "best_of"),
        ({"prompt": "x", "echo": True, "logprobs": 1}, "echo"),
        ({"prompt": "x", "logprobs": 21}, "logprobs"),
        ({"prompt": "x", "stream_options": {}}, "stream_options"),
        ({"prompt": "x", "messages": []}, "messages"),
        ({"prompt": ["x"] * 20}, "prompt"),
        ({"prompt": "x" * 5000}, "prompt"),
        ({"prompt": "x", "max_tokens": 4096}, "max_tokens"),
        ({"prompt": "x", "search": {"strategy": "cot"}, "stream": True}, "search.strategy"),
        ({"prompt": "x", "search": {"strategy": "ab_mcts"}, "stream": True}, "search.strategy"),
        ({"prompt": "x", "search": {"strategy": "cot"}}, "search.strategy"),
        ({"prompt": "x", "search": {"strategy": "self_refine"}}, "search.strategy"),
    ],
)
async def test_bad_bodies_are_refused_by_name(service: Service, body: dict[str, Any], param: str) -> None:
    """The field at fault is named."""
    error = await refusal(service, **body)
    assert (error["param"] or "").split(".")[0] == param.split(".", maxsplit=1)[0], error


async def test_token_ids_beyond_the_vocabulary_are_refused() -> None:
    """Before anything is generated."""
    from tests.server.service import backend, serving

    engine = ScriptedEngine()
    async with serving(engine, made=backend(engine, vocab_size=100)) as service:
        error = await refusal(service, prompt=[5, 100])
        assert error["param"] == "prompt"
        assert "100" in error["message"]


async def test_the_official_client_reads_it() -> None:
    """Plain and streamed, with the official OpenAI client."""
    async with listening() as service:
        client = AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none")
        await _whole_and_streamed(client)
        await client.close()


async def _whole_and_streamed(client: AsyncOpenAI) -> None:
    whole = await client.completions.create(model="", prompt=RAW, max_tokens=128, seed=1, logprobs=1)
    assert whole.choices[0].text
    assert whole.usage
    assert whole.choices[0].logprobs
    stream = await client.completions.create(model="", prompt=RAW, max_tokens=128, seed=1, stream=True)
    text = "".join([piece.choices[0].text async for piece in stream if piece.choices])
    assert text == whole.choices[0].text
