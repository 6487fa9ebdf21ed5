"""The official Python client: plain, streamed, async, timeouts, n, log-probabilities, schemas, tools, errors."""

from __future__ import annotations

import asyncio
import json
import os
import time

import httpx
import openai
from outcome import run_checks

URL, MODEL = os.environ["ESPALIER_URL"], "abacus"
QUESTION = "A box holds 12 pens. Ann buys 3 boxes and loses 4 pens. How many are left?"
MESSAGES = [{"role": "user", "content": QUESTION}]
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer", "minimum": 0, "maximum": 999}},
    "required": ["answer"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "tell", "parameters": SCHEMA}}
client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, timeout=120)


def plain() -> None:
    """A search with settings in extra_body; usage and summary come with it."""
    search = {"strategy": "uct", "budget": {"simulations": 4}}
    reply = client.chat.completions.create(model=MODEL, messages=MESSAGES, seed=1, extra_body={"search": search})
    assert reply.choices[0].message.content
    assert reply.choices[0].finish_reason in {"stop", "length"}
    assert reply.usage.completion_tokens >= reply.usage.completion_tokens_details.reasoning_tokens > 0
    assert reply.model_extra["search"]["strategy"] == "uct"


def streamed() -> None:
    """Progress as reasoning, then content, the usage once at the end."""
    search = {"strategy": "uct", "budget": {"simulations": 4}}
    stream = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"search": search},
    )
    content, reasoning, usages, last = "", "", 0, None
    for chunk in stream:
        usages += chunk.usage is not None
        for choice in chunk.choices:
            more = (choice.delta.model_extra or {}).get("reasoning") or ""
            assert not (more and content), "reasoning after content"
            content, reasoning = content + (choice.delta.content or ""), reasoning + more
            last = choice.finish_reason or last
    assert content
    assert reasoning
    assert usages == 1
    assert last in {"stop", "length"}


async def asynchronous() -> None:
    """Twenty questions at once, plain and streamed."""
    async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, timeout=120) as many:

        async def one(number: int) -> str:
            asked = [{"role": "user", "content": f"{QUESTION} ({number})"}]
            if number % 2:
                reply = await many.chat.completions.create(model=f"{MODEL}:direct", messages=asked)
                return reply.choices[0].message.content
            stream = await many.chat.completions.create(model=f"{MODEL}:direct", messages=asked, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

        assert all(await asyncio.gather(*map(one, range(20))))


def running() -> int:
    """Searches that the server has under way."""
    return int(httpx.get(f"{URL}/health", timeout=10).json()["searches_running"])


def timeouts() -> None:
    """A client that gives up has its search cancelled on the server."""
    search = {"strategy": "majority", "samples": 64, "adaptive": False}
    try:
        client.with_options(timeout=0.5).chat.completions.create(
            model=MODEL, messages=MESSAGES, max_tokens=2000, extra_body={"search": search, "ignore_eos": True}
        )
    except openai.APITimeoutError:
        pass
    else:
        raise AssertionError("the search was over before the timeout")
    end = time.monotonic() + 5
    while running():
        assert time.monotonic() < end, "the search goes on"
        time.sleep(0.02)


def several() -> None:
    """N distinct answers, best first."""
    search = {"strategy": "majority", "samples": 16, "adaptive": False}
    reply = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, n=3, temperature=1.2, extra_body={"search": search}
    )
    texts = [choice.message.content for choice in reply.choices]
    assert 1 <= len(texts) <= 3
    assert len(set(texts)) == len(texts)
    assert [choice.index for choice in reply.choices] == list(range(len(texts)))


def logprobs() -> None:
    """One entry a token, with alternatives; together they are the answer."""
    reply = client.chat.completions.create(
        model=f"{MODEL}:direct", messages=MESSAGES, temperature=0, logprobs=True, top_logprobs=3
    )
    choice = reply.choices[0]
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens) == choice.message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 3 for token in tokens)
    assert all(token.logprob == token.top_logprobs[0].logprob for token in tokens)  # greedy


def schema() -> None:
    """An answer that fits a JSON schema, voted on."""
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
    reply = client.chat.completions.create(model=f"{MODEL}:majority", messages=MESSAGES, response_format=form)
    assert set(json.loads(reply.choices[0].message.content)) == {"answer"}


def tools() -> None:
    """A required call, its result sent back, and the answer to that."""
    made = client.chat.completions.create(
        model=f"{MODEL}:direct", messages=MESSAGES, tools=[TOOL], tool_choice="required", parallel_tool_calls=False
    ).choices[0]
    (call,) = made.message.tool_calls
    assert made.finish_reason == "tool_calls"
    assert 0 <= json.loads(call.function.arguments)["answer"] <= 999
    given = {"role": "tool", "tool_call_id": call.id, "content": "right"}
    reply = client.chat.completions.create(
        model=f"{MODEL}:direct", messages=[*MESSAGES, made.message, given], tools=[TOOL]
    )
    assert reply.choices[0].message


def streamed_tools() -> None:
    """The client's own helper puts the pieces of a call together."""
    with client.chat.completions.stream(
        model=f"{MODEL}:direct", messages=MESSAGES, tools=[TOOL], tool_choice="required"
    ) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls[0].function.name == "tell"
    assert "answer" in json.loads(message.tool_calls[0].function.arguments)


def completions() -> None:
    """Plain completions of two prompts."""
    reply = client.completions.create(model=f"{MODEL}:direct", prompt=["1 + 1 =", "2 + 2 ="], max_tokens=4)
    assert [choice.index for choice in reply.choices] == [0, 1]


def models() -> None:
    """The served model and its presets."""
    names = [model.id for model in client.models.list()]
    assert MODEL in names
    assert f"{MODEL}:direct" in names
    assert client.models.retrieve(f"{MODEL}:direct").id == f"{MODEL}:direct"


def errors() -> None:
    """A bad field is a BadRequestError that names it, an unknown model a NotFoundError."""
    try:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=9)
    except openai.BadRequestError as error:
        named = error.param
    else:
        raise AssertionError("nothing was raised")
    assert named == "temperature", named
    try:
        client.chat.completions.create(model="none", messages=MESSAGES)
    except openai.NotFoundError:
        return
    raise AssertionError("nothing was raised")


CHECKS = {
    "plain": plain,
    "streamed": streamed,
    "async": asynchronous,
    "timeout cancels": timeouts,
    "n": several,
    "logprobs": logprobs,
    "JSON schema": schema,
    "tools": tools,
    "tools, streamed": streamed_tools,
    "completions": completions,
    "models": models,
    "errors": errors,
}

if __name__ == "__main__":
    asyncio.run(run_checks("openai (Python)", openai.__version__, CHECKS))
