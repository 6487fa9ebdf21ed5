"""Models, health, version, metrics and the OpenAPI document."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import jsonschema
import pytest
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import REGISTRY

from engine.scripted import ScriptedEngine
from mcts.errors import StartupError
from server.backend import Backend, Report
from server.cli.documents import openapi_document
from server.metrics import ROUTES
from server.settings import Settings
from server.version import version
from tests.server.service import Service, backend, serving

ROOT = Path(__file__).parents[2]


async def test_models_are_the_served_one_and_its_presets(service: Service) -> None:
    """The plain name comes first and runs the default preset."""
    listed = (await service.client.get("/v1/models")).json()
    ids = [card["id"] for card in listed["data"]]
    assert listed["object"] == "list"
    assert ids[0] == "abacus"
    assert {"abacus:direct", "abacus:uct", "abacus:best-of-n", "abacus:majority", "abacus:marco-o1"} <= set(ids)
    assert listed["data"][0]["search"]["strategy"] == "uct"
    assert listed["data"][0]["max_model_len"] == 4096


async def test_every_listed_model_can_be_looked_up(service: Service) -> None:
    """What is listed exists by its id."""
    for card in (await service.client.get("/v1/models")).json()["data"]:
        assert (await service.client.get(f"/v1/models/{card['id']}")).json() == card


async def test_readiness_tells_the_truth() -> None:
    """Live at once; ready only once loaded, and no longer when the engine dies or the server drains."""
    go, alive = asyncio.Event(), [True]

    async def load(_: Settings, report: Report) -> Backend:
        report("loading the model")
        await go.wait()
        return backend(ScriptedEngine(), healthy=lambda: alive[0])

    async with serving(load=load) as service:
        await asyncio.sleep(0)

        async def status(path: str) -> tuple[int, str]:
            reply = await service.client.get(path)
            return reply.status_code, reply.json()["status"]

        assert await status("/health/live") == (200, "live")
        assert await status("/health/ready") == (503, "starting")
        assert await status("/health") == (503, "starting")
        assert (await service.client.get("/v1/models")).status_code == 503
        go.set()
        await service.runtime.settled.wait()
        assert await status("/health/ready") == (200, "ready")
        alive[0] = False
        assert await status("/health/ready") == (503, "unhealthy")
        alive[0] = True
        service.runtime.drain()
        assert await status("/health/ready") == (503, "draining")
        assert await status("/health/live") == (200, "live")
        assert (await service.ask()).status_code == 503


@pytest.mark.parametrize("error", [StartupError("no such folder"), RuntimeError("boom")])
async def test_a_failed_start_is_told(error: Exception) -> None:
    """Whatever loading raises ends as a failed start with one line."""

    async def load(_: Settings, __: Report) -> Backend:
        raise error

    async with serving(load=load) as service:
        await service.runtime.settled.wait()
        assert (await service.client.get("/health")).json()["status"] == "failed"
        assert str(error) in str(service.runtime.failure)


async def test_a_default_that_cannot_run_stops_the_start() -> None:
    """A default preset or reward that is not there is found at the start, not at the first request."""
    for change in ({"default_preset": "nope"}, {"default_reward": "nope"}):
        async with serving(**change) as service:
            assert "nope" in str(service.runtime.failure)


async def test_version(service: Service) -> None:
    """The version is the package's."""
    assert (await service.client.get("/version")).json() == {"version": version(), "engine": "scripted"}


async def test_metrics_count_what_happened(service: Service) -> None:
    """After known requests the numbers are the known ones; nothing is left running."""
    await service.answer(model="abacus:majority", search={"samples": 5, "adaptive": False})
    await service.answer(model="abacus:direct")
    await service.refusal(temperature=9)
    value = service.runtime.metrics.registry.get_sample_value
    majority, direct = {"strategy": "majority"}, {"strategy": "direct"}
    assert value("mcts_simulations_total", majority) == 5
    assert value("mcts_searches_total", {**majority, "stop_reason": "simulations"}) == 1
    assert value("mcts_search_duration_seconds_count", direct) == 1
    assert value("mcts_time_to_first_answer_seconds_count", majority) == 1
    assert value("mcts_generated_tokens_total", {**direct, "use": "search"}) == 0
    assert value("mcts_generated_tokens_total", {**majority, "use": "search"}) > 0
    assert value("mcts_engine_calls_in_flight") == value("mcts_searches_running") == 0
    assert value("mcts_engine_call_duration_seconds_count", {"outcome": "ok"}) == 6
    chats = {"route": "/v1/chat/completions"}
    assert value("mcts_request_duration_seconds_count", {**chats, "status": "200"}) == 2
    assert value("mcts_request_duration_seconds_count", {**chats, "status": "400"}) == 1


async def test_metrics_stand_beside_those_of_the_global_registry(service: Service) -> None:
    """An engine counts in the global registry; one scrape shows both, in a form that parses."""
    foreign = Counter("vllm_like", "Stands for vLLM's.")
    try:
        await service.answer()
        families = {
            family.name for family in text_string_to_metric_families((await service.client.get("/metrics")).text)
        }
    finally:
        REGISTRY.unregister(foreign)
    assert {"vllm_like", "mcts_searches", "mcts_ready", "mcts_reward_value"} <= families


async def test_labels_never_come_from_clients(service: Service) -> None:
    """Invented paths and models make no new series."""
    for name in ("a", "b", "c"):
        await service.client.get(f"/{name}")
        await service.client.get(f"/v1/models/{name}")
        await service.ask(model=name)
    text = (await service.client.get("/metrics")).text
    routes = {
        line.split('"')[1] for line in text.splitlines() if line.startswith("mcts_request_duration_seconds_count")
    }
    assert routes == {"unmatched", "/v1/models/{model:path}", *ROUTES}


async def test_openapi_describes_search_by_strategy(service: Service) -> None:
    """The published schema accepts good search objects and refuses bad ones, without our code."""
    document = (await service.client.get("/openapi.json")).json()
    chat = document["components"]["schemas"]["ChatRequest"]
    schema = {**chat, "components": document["components"]}
    good = {"messages": [{"role": "user", "content": "x"}], "search": {"strategy": "uct", "branch": 4}}
    jsonschema.validate(good, schema)
    for wrong in ({"strategy": "uct", "samples": 1}, {"strategy": "nope"}, {"strategy": "uct", "branch": 0}, {"x": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, "search": wrong}, schema)


def test_the_openapi_document_is_current() -> None:
    """docs/openapi.json is what the code says; ``python -m server.cli.documents`` writes it."""
    assert json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")) == openapi_document()
