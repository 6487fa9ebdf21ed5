"""The one error shape, on every path that can fail."""

from __future__ import annotations

from typing import Any

import pytest

from mcts.errors import StartupError
from server.backend import Backend, Report
from server.settings import Settings
from tests.server.service import CHATS, Service, serving

GOOD: dict[str, Any] = {"messages": [{"role": "user", "content": "1"}], "model": "abacus:direct"}

IMAGE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}


def check_shape(reply: Any) -> dict[str, Any]:
    """The error, once its shape has been checked."""
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["code"], str)
    assert error["param"] is None or isinstance(error["param"], str)
    return dict(error)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "critic", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x", "colour": 1}]}, "messages.0.colour"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 2.5}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 10_000}, "n"),
        ({"seed": 2**64}, "seed"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"allowed_token_ids": []}, "allowed_token_ids"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"verbosity": "low"}, "verbosity"),
        ({"mystery": 1}, "mystery"),
        ({"search": {"strategy": "magic"}}, "search.strategy"),
        ({"search": {"strategy": "uct", "samples": 3}}, "search.samples"),
        ({"search": {"strategy": "uct", "branch": 0}}, "search.branch"),
        ({"search": {"budget": {"simulations": 5}}}, "search.budget.simulations"),
        ({"search": {"strategy": "uct", "budget": {"seconds": -1}}}, "search.budget.seconds"),
        ({"search": {"strategy": "uct", "step": {}}}, "search.step"),
        ({"search": {"strategy": "uct", "step": {"tokens": 3, "delimiter": "x"}}}, "search.step"),
        ({"search": {"strategy": "uct", "reward": "oracle"}}, "search.reward"),
        ({"search": {"strategy": "uct", "rollout": "none", "joint": False}}, "search.rollout"),
        ({"search": 3}, "search"),
        ({"min_tokens": 5, "max_tokens": 2}, "min_tokens"),
    ],
)
async def test_a_wrong_field_is_refused_by_name(service: Service, change: dict[str, Any], param: str) -> None:
    """Every unknown, unsupported or impossible field gives 400 and is named."""
    reply = await service.client.post(CHATS, json=GOOD | change)
    assert reply.status_code == 400, reply.text
    error = check_shape(reply)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


@pytest.mark.parametrize(
    "change",
    [
        {"tools": None, "tool_choice": None, "response_format": None},
        {"tools": [], "tool_choice": "none", "response_format": {"type": "text"}, "modalities": ["text"]},
        {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "auto", "parallel_tool_calls": True},
        {"temperature": None, "stop": None, "search": None, "stream": None, "n": None, "seed": None},
        {"temperature": 1, "top_p": 1, "top_k": -1, "presence_penalty": 0, "logit_bias": {"16": -100}},
        {"reasoning_effort": "low"},
        {"max_tokens": 8, "max_completion_tokens": 9},
    ],
)
async def test_harmless_fields_pass(service: Service, change: dict[str, Any]) -> None:
    """Null and values that ask for what happens anyway are fine, as are the documented fields without effect."""
    assert (await service.client.post(CHATS, json=GOOD | change)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"\\ud800": 1, "messages": []}',
        b'{"messages": [{"role": "user", "content": "x"}], "seed": 1' + b"0" * 5000 + b"}",
    ],
)
async def test_a_malformed_body_gives_400(service: Service, body: bytes) -> None:
    """Whatever the bytes, the reply is a 400 in the error shape and small."""
    reply = await service.client.post(CHATS, content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400, reply.text
    check_shape(reply)
    assert len(reply.content) < 4000


async def test_a_hostile_body_gets_a_small_error(service: Service) -> None:
    """Thousands of faults are not repeated back: at most ten are named."""
    body = GOOD | {"messages": [{"role": "x" * 300, "content": 1}] * 2000}
    reply = await service.client.post(CHATS, json=body)
    assert reply.status_code == 400
    assert len(reply.content) < 4000
    assert "more" in check_shape(reply)["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", CHATS, 405, "method_not_allowed"),
        ("GET", "/health/", 404, "not_found"),
        ("GET", "/v1/models/gpt-4", 404, "model_not_found"),
    ],
)
async def test_paths_that_fail_have_the_shape(service: Service, method: str, path: str, status: int, code: str) -> None:
    """404 and 405 look like every other error."""
    reply = await service.client.request(method, path)
    assert reply.status_code == status
    assert check_shape(reply)["code"] == code


@pytest.mark.parametrize("model", ["gpt-4", "abacus:nonsense", "abacus:", "x:direct", "\x00", "a" * 10_000])
async def test_an_unknown_model_gives_404(service: Service, model: str) -> None:
    """Only the served model and its presets exist."""
    reply = await service.client.post(CHATS, json=GOOD | {"model": model})
    expected = 200 if model == "abacus:" else 404
    assert reply.status_code == expected
    if expected == 404:
        assert check_shape(reply)["code"] == "model_not_found"


async def test_a_prompt_that_does_not_fit_is_refused(service: Service) -> None:
    """The prompt and the tokens asked for must fit the context; the message gives the numbers."""
    long = await service.refusal(question="x" * 5000)
    assert long["code"] == "context_length_exceeded"
    assert long["param"] == "messages"
    many = await service.refusal(max_tokens=5000)
    assert many["param"] == "max_tokens"
    assert "4096" in many["message"]


async def test_without_max_tokens_the_room_left_counts() -> None:
    """A nearly full context still answers, within what is left."""
    async with serving() as service:
        reply = await service.answer("x" * 4080, model="abacus:direct")
    assert reply["usage"]["total_tokens"] <= 4096


async def test_a_large_body_gives_413() -> None:
    """Bodies above the limit are refused, announced or not."""
    async with serving(max_body_bytes=2000) as service:
        announced = await service.ask("x" * 3000)

        async def chunks() -> Any:
            for _ in range(40):
                yield b" " * 100

        counted = await service.client.post(CHATS, content=chunks(), headers={"Content-Type": "application/json"})
    assert announced.status_code == counted.status_code == 413
    assert check_shape(announced)["code"] == check_shape(counted)["code"] == "body_too_large"


async def test_while_starting_chats_get_503_and_a_time_to_come_back() -> None:
    """Before the models are loaded, a chat is told so."""
    import asyncio

    go = asyncio.Event()

    async def load(_: Settings, report: Report) -> Backend:
        report("loading the model")
        await go.wait()
        raise StartupError("no model")

    async with serving(load=load) as service:
        await asyncio.sleep(0)
        reply = await service.ask()
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert "loading the model" in check_shape(reply)["message"]
        go.set()
        await service.runtime.settled.wait()
        assert "no model" in check_shape(await service.ask())["message"]


async def test_a_body_that_is_not_announced_as_json_is_told_so(service: Service) -> None:
    """What curl sends without a Content-Type gets a message that says what is missing."""
    for content_type in ("application/x-www-form-urlencoded", "text/plain"):
        reply = await service.client.post(CHATS, content=b'{"messages": []}', headers={"Content-Type": content_type})
        assert reply.status_code == 400
        assert "Content-Type: application/json" in check_shape(reply)["message"]
