"""A whole gateway over engines elsewhere: chats answered, servers killed under it, and what the operator is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copy
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from engine.scripted import ScriptedEngine
from engine.tokenizer import HFTokenizer, load_tokenizer
from mcts.errors import StartupError
from server.app import create_app
from server.loading import load_backend
from server.settings import Settings
from tests.engine.fake_vllm import FakeVllm, fakes
from tests.engine.remote_fleet import moods, until
from tests.server.service import Service

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def tokenizer() -> HFTokenizer:
    """The bundled model's."""
    return load_tokenizer(str(MODELS / "abacus"))


def settings(servers: list[FakeVllm], rewards: list[FakeVllm], **changes: Any) -> dict[str, Any]:
    """Settings of a gateway over these servers."""
    given: dict[str, Any] = {
        "engine_url": [server.url for server in servers],
        "reward_url": [server.url for server in rewards],
        "tokenizer": str(MODELS / "abacus"),
        "engine_check_seconds": 0.05,
        "engine_check_timeout": 1.0,
        "engine_patience_seconds": 0.3,
    }
    if rewards:
        given |= {"reward_tokenizer": str(MODELS / "abacus-prm"), "reward_convention": "qwen-math"}
    return given | changes


@asynccontextmanager
async def gateway(servers: list[FakeVllm], rewards: list[FakeVllm], **changes: Any) -> AsyncIterator[Service]:
    """A gateway in this process, over servers on sockets."""
    given = Settings.model_validate(settings(servers, rewards, **changes))
    app = create_app(given, load=load_backend)
    async with fakes(*servers, *rewards), app.router.lifespan_context(app):
        await app.state.runtime.settled.wait()
        assert app.state.runtime.failure is None, app.state.runtime.failure
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Service(app, ScriptedEngine(), client)


async def test_a_chat_is_answered_by_engines_elsewhere(tokenizer: HFTokenizer) -> None:
    """Search, rewards and usage as with an engine in process; the model's name is the servers'."""
    server, reward = FakeVllm(tokenizer), FakeVllm(tokenizer, model="abacus-prm")
    async with gateway([server], [reward]) as service:
        reply = await service.answer(search={"strategy": "uct", "reward": "prm", "budget": {"simulations": 4}})
        listed = (await service.client.get("/v1/models")).json()["data"][0]
    assert reply["choices"][0]["message"]["content"].endswith("\\boxed{42}.")
    assert reply["search"]["votes"][0]["answer"] == "42"
    assert reply["search"]["value"] == pytest.approx(0.75)  # the fake's P(good) at every step tag
    assert reply["usage"]["completion_tokens"] == server.written
    assert reward.calls
    assert (listed["id"], listed["max_model_len"], reply["model"]) == ("abacus", 4096, "abacus")


async def test_all_calls_of_a_search_go_to_one_engine(tokenizer: HFTokenizer) -> None:
    """Generation and rewards each stay on one server for the whole search."""
    servers, rewards = ([FakeVllm(tokenizer) for _ in range(3)] for _ in range(2))
    async with gateway(servers, rewards) as service:
        await service.answer(search={"strategy": "uct", "reward": "prm", "budget": {"simulations": 6}})
    assert sorted(bool(server.calls) for server in servers) == [False, False, True]
    assert sorted(bool(server.calls) for server in rewards) == [False, False, True]


async def test_a_killed_engine_fails_no_search(tokenizer: HFTokenizer) -> None:
    """With searches running on both of two engines, one dies: every chat is answered 200, and readiness stays."""
    servers = [FakeVllm(tokenizer, token_seconds=0.02) for _ in range(2)]
    async with gateway(servers, []) as service:
        chats = [
            asyncio.create_task(service.ask(search={"strategy": "best_of_n", "samples": 4, "reward": "confidence"}))
            for _ in range(8)
        ]
        await until(lambda: servers[0].open_calls > 1 and servers[1].open_calls > 1)
        await servers[0].kill()
        replies = await asyncio.gather(*chats)
        assert [reply.status_code for reply in replies] == [200] * 8
        assert (await service.client.get("/health/ready")).status_code == 200
        told = (await service.client.get("/metrics")).text
    assert 'mcts_remote_engines{engine="generation",state="out"} 1.0' in told
    assert int(float(told.split("\nmcts_failovers_total ")[1].split("\n")[0])) >= 1


async def test_with_no_engine_left_chats_get_503_and_readiness_says_so(tokenizer: HFTokenizer) -> None:
    """A clear error instead of silence; and chats are answered again when the engine is back."""
    server = FakeVllm(tokenizer)
    async with gateway([server], []) as service:
        await server.kill()
        error = await service.refusal(503, search={"strategy": "direct"})
        assert "No engine answers: http://127.0.0.1" in error["message"]
        assert error["code"] == "engine_failed"
        assert (await service.client.get("/health/ready")).status_code == 503
        await server.start()
        await until(service.runtime.healthy)
        await service.answer(search={"strategy": "direct"})


async def test_the_best_answer_so_far_is_given_when_the_last_engine_dies(tokenizer: HFTokenizer) -> None:
    """A search that has a candidate answers with it."""
    server = FakeVllm(tokenizer, mood=lambda number: "well" if number < 2 else "hang")
    async with gateway([server], []) as service:
        search = {"strategy": "best_of_n", "samples": 4, "reward": "confidence", "width": 4}
        chat = asyncio.create_task(service.answer(search=search))
        await until(lambda: len(server.calls) == 4)
        await asyncio.sleep(0.05)
        await server.kill()
        reply = await chat
    assert reply["choices"][0]["message"]["content"].endswith("\\boxed{42}.")
    assert reply["search"]["stop_reason"] == "failed"


async def test_a_streamed_answer_survives_its_engine(tokenizer: HFTokenizer) -> None:
    """Plain decoding that is half shown goes on elsewhere, and the client reads one whole text."""
    servers = [FakeVllm(tokenizer, mood=moods("reset_midway")) for _ in range(2)]
    servers[1].mood = moods()
    async with gateway(servers, []) as service:
        for _ in range(4):  # whichever engine is asked first
            chunks = await service.stream(search={"strategy": "direct"})
            text = "".join(
                choice["delta"].get("content") or ""
                for chunk in chunks
                if isinstance(chunk, dict)
                for choice in chunk["choices"]
            )
            assert text.endswith("The answer is \\boxed{42}.")


async def test_a_tokenizers_folder_is_enough(tokenizer: HFTokenizer, tmp_path: Path) -> None:
    """No config.json, no weights: what a gateway is given beside its engines."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        copy(MODELS / "abacus" / name, tmp_path)
    async with gateway([FakeVllm(tokenizer)], [], tokenizer=str(tmp_path)) as service:
        reply = await service.answer(search={"strategy": "direct"})
    assert reply["choices"][0]["finish_reason"] == "stop"


async def test_the_engine_names_its_tokenizer(tokenizer: HFTokenizer) -> None:
    """Without a setting the path that the server loaded is taken, where it is here too."""
    async with gateway([FakeVllm(tokenizer, model=str(MODELS / "abacus"))], [], tokenizer="") as service:
        await service.answer(search={"strategy": "direct"})


@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        (
            {"model": "/nowhere/x"},
            {"tokenizer": ""},
            r"tokenizer: There is no model folder at '/nowhere/x'.*tokenizer\.",
        ),
        ({"max_model_len": None}, {}, r"engine_url: no server says how much it reads; set max_model_len"),
        ({"gives_logprobs": False}, {}, r"engine_url: http://127.*gives no log-probabilities"),
        ({"key": "sesame"}, {"engine_start_seconds": 0.5}, r"key was refused with 401; see engine_api_key"),
        ({}, {"engine_model": "gpt"}, r"engine_url: http://127.*serves no model 'gpt'"),
    ],
)
async def test_a_start_that_cannot_work_names_the_setting(
    tokenizer: HFTokenizer, fields: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    """What is missing, where, and which setting is about it."""
    server = FakeVllm(tokenizer, **fields)
    async with fakes(server):
        given = Settings.model_validate(settings([server], [], **changes))
        with pytest.raises(StartupError, match=message):
            await load_backend(given, lambda _: None)


async def test_a_reward_server_that_generates_is_refused(tokenizer: HFTokenizer) -> None:
    """It has no /pooling; the message says what it lacks."""

    class Writer(FakeVllm):
        def _pooled(self, _: dict[str, Any]) -> dict[str, Any]:
            return {"data": [{"data": [1.0, 2.0]}]}

    server, reward = FakeVllm(tokenizer), Writer(tokenizer)
    async with fakes(server, reward):
        given = Settings.model_validate(settings([server], [reward]))
        with pytest.raises(StartupError, match=r"reward_url: http://127.*gives no scores at step tags"):
            await load_backend(given, lambda _: None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward_url": "http://a:1"}, "reward_url needs engine_url"),
        ({"engine_url": "http://a:1", "engine": "scripted"}, "exclude each other"),
        ({"engine_url": "http://a:1", "reward_model": "x/y"}, "needs reward_url"),
        ({"engine_url": "http://a:1", "engine_load_factor": 0.5}, "engine_load_factor"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    """Before anything is asked of anybody."""
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(changes)


def test_several_addresses_are_repeated_or_have_commas() -> None:
    """Flags repeat; the environment has commas."""
    assert Settings.model_validate({"engine_url": "http://a:1, http://b:2"}).engine_url == ("http://a:1", "http://b:2")


async def test_keys_never_show(tokenizer: HFTokenizer) -> None:
    """Neither in the settings' text nor in an error."""
    server = FakeVllm(tokenizer, key="sesame")
    async with fakes(server):
        given = Settings.model_validate(settings([server], [], engine_api_key="hush-hush", engine_start_seconds=0.3))
        with pytest.raises(StartupError) as refused:
            await load_backend(given, lambda _: None)
    assert "hush" not in f"{given!r} {refused.value}"
