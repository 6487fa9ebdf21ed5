"""The official OpenAI client against a real socket, as any user would run it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
import pytest_asyncio

from engine.scripted import ScriptedEngine
from tests.server.service import QUESTION, Service, listening, until
from tests.server.test_chat import table_engine

MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest_asyncio.fixture
async def live() -> AsyncIterator[Service]:
    """A server with keys on a free port."""
    async with listening(ScriptedEngine(), api_key=["secret"]) as service:
        yield service


def client_for(service: Service, key: str = "secret") -> openai.AsyncOpenAI:
    """A client as a user would make it."""
    return openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0)


async def test_plain_with_search_in_extra_body(live: Service) -> None:
    """A plain call, its search settings in extra_body, and the summary as an extra attribute."""
    async with client_for(live) as client:
        reply = await client.chat.completions.create(
            model="abacus",
            messages=MESSAGES,  # type: ignore[arg-type]
            temperature=0.9,
            seed=1,
            extra_body={"search": {"budget": {"simulations": 3}, "width": 1}},
        )
    assert "\\boxed" in (reply.choices[0].message.content or "")
    assert reply.usage
    assert reply.usage.completion_tokens_details
    assert reply.usage.completion_tokens_details.reasoning_tokens is not None
    assert reply.model_extra
    assert reply.model_extra["search"]["strategy"] == "uct"


async def test_streamed_with_usage(live: Service) -> None:
    """Chunks parse, reasoning is an extra field of the delta, usage comes last."""
    text = reasoning = ""
    async with client_for(live) as client:
        stream = await client.chat.completions.create(
            model="abacus:majority",
            messages=MESSAGES,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasoning += (choice.delta.model_extra or {}).get("reasoning_content") or ""
            last = chunk
    assert "\\boxed" in text
    assert reasoning.startswith("sample 1/3")
    assert last.usage
    assert last.usage.total_tokens > 0


async def test_the_client_without_asyncio(live: Service) -> None:
    """The plain client, which most scripts use, gets the same replies, streamed and not."""

    def ask() -> tuple[str, str]:
        with openai.OpenAI(base_url=f"{live.url}/v1", api_key="secret", max_retries=0) as client:
            plain = client.chat.completions.create(model="abacus", messages=MESSAGES)  # type: ignore[arg-type]
            pieces = client.chat.completions.create(model="abacus", messages=MESSAGES, stream=True)  # type: ignore[arg-type]
            streamed = "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices)
            return plain.choices[0].message.content or "", streamed

    plain, streamed = await asyncio.to_thread(ask)
    assert "\\boxed" in plain
    assert "\\boxed" in streamed


async def test_streaming_helper(live: Service) -> None:
    """The client's own accumulation of a stream gives the whole answer."""
    async with client_for(live) as client, client.chat.completions.stream(model="abacus", messages=MESSAGES) as stream:  # type: ignore[arg-type]
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    assert "\\boxed" in (final.choices[0].message.content or "")
    assert final.choices[0].finish_reason == "stop"


async def test_logprobs_and_n() -> None:
    """Log-probabilities and several choices parse into the client's types."""
    async with listening(table_engine()) as service, client_for(service) as client:
        reply = await client.chat.completions.create(
            model="abacus:majority",
            messages=MESSAGES,
            n=2,
            logprobs=True,
            top_logprobs=2,  # type: ignore[arg-type]
        )
    assert reply.choices[0].logprobs
    assert reply.choices[0].logprobs.content
    assert reply.choices[0].logprobs.content[0].top_logprobs


async def test_models(live: Service) -> None:
    """The model list parses."""
    async with client_for(live) as client:
        assert "abacus:direct" in [model.id async for model in client.models.list()]
        assert (await client.models.retrieve("abacus")).owned_by == "espalier"


async def test_errors_become_the_clients_exceptions(live: Service) -> None:
    """Each status raises its own exception, with message, param and code."""
    async with client_for(live) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="abacus", messages=MESSAGES, temperature=9)  # type: ignore[arg-type]
        assert refused.value.param == "temperature"
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.chat.completions.create(model="gpt-4", messages=MESSAGES)  # type: ignore[arg-type]
        assert unknown.value.code == "model_not_found"
    async with client_for(live, "wrong") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()


async def test_an_error_in_mid_stream_raises(live: Service) -> None:
    """The client turns an error event into APIError."""
    from mcts.errors import EngineCallFailed

    live.engine.failure = lambda _, __: EngineCallFailed("lost")
    async with client_for(live) as client:
        stream = await client.chat.completions.create(model="abacus", messages=MESSAGES, stream=True)  # type: ignore[arg-type]
        with pytest.raises(openai.APIError, match="lost"):
            async for _ in stream:
                pass


async def test_no_retry_of_a_search_that_ran_out_of_time() -> None:
    """The client honours x-should-retry: a hopeless search runs once."""
    engine = ScriptedEngine(latency=lambda _, __: 5.0)
    async with listening(engine) as service:
        client = openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key="x", max_retries=2)
        async with client:
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(
                    model="abacus:direct",
                    messages=MESSAGES,
                    extra_body={"search": {"budget": {"seconds": 0.05}}},  # type: ignore[arg-type]
                )
    assert engine.calls == 1


async def test_a_retry_comes_when_the_server_said() -> None:
    """Turned away with 429, the client waits as long as Retry-After says and is answered then."""
    engine = ScriptedEngine(latency=lambda _, __: 0.4)
    async with listening(engine, max_searches=1, max_queue=0) as service:
        options = {"base_url": f"{service.url}/v1", "api_key": "x"}
        async with (
            openai.AsyncOpenAI(**options, max_retries=2) as patient,
            openai.AsyncOpenAI(**options, max_retries=0) as hasty,
        ):
            model = "abacus:direct"
            first = asyncio.create_task(patient.chat.completions.create(model=model, messages=MESSAGES))  # type: ignore[call-overload]
            await until(lambda: engine.open_calls == 1)
            with pytest.raises(openai.RateLimitError) as refused:
                await hasty.chat.completions.create(model=model, messages=MESSAGES)  # type: ignore[call-overload]
            wait = float(refused.value.response.headers["Retry-After"])
            began = asyncio.get_running_loop().time()
            reply = await patient.chat.completions.create(model=model, messages=MESSAGES)  # type: ignore[call-overload]
            assert asyncio.get_running_loop().time() - began >= wait
            assert reply.choices[0].message.content
            await first


async def test_a_client_that_gives_up_ends_its_search() -> None:
    """The client's own timeout cancels the search, plain or streamed, and frees its place."""
    engine = ScriptedEngine(latency=lambda _, __: 30.0)
    async with listening(engine) as service, client_for(service) as client:
        hasty = client.with_options(timeout=0.2).chat.completions

        async def ask(*, stream: bool) -> None:
            reply = await hasty.create(model="abacus", messages=MESSAGES, stream=stream)  # type: ignore[call-overload]
            if stream:
                async for _ in reply:
                    pass

        for stream in (False, True):
            with pytest.raises(openai.APITimeoutError):
                await ask(stream=stream)
            await until(lambda: not engine.open_calls and not service.runtime.admission.running)
    assert engine.calls == engine.aborted_calls > 0
