"""Spans as a collector receives them, over a real connection."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.scripted import ScriptedEngine
from mcts.errors import EngineCallFailed, StartupError
from server.tracing import start_tracing
from tests.server.collector import ERROR, Collector, collecting
from tests.server.process import ROOT, clean_environment
from tests.server.service import QUESTION, Service, serving, settings

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
INTERNAL, SERVER = 1, 2
TREE = {"strategy": "uct", "reward": "prm", "budget": {"simulations": 4}, "width": 2}


@asynccontextmanager
async def traced(engine: ScriptedEngine | None = None, **changes: Any) -> AsyncIterator[tuple[Service, Collector]]:
    """A server that sends its spans to a collector; they have arrived when the context ends."""
    with collecting() as collector:
        chosen = {"otlp_endpoint": collector.url, **changes}
        tracing = start_tracing(settings(**chosen), {})
        async with serving(engine, tracing=tracing, **chosen) as service:
            yield service, collector


async def test_a_search_stands_below_its_request_and_its_calls_below_it() -> None:
    """One trace, the client's; times nest; each call of the search is a span of its own."""
    async with traced() as (service, collector):
        body = {"messages": [{"role": "user", "content": QUESTION}], "search": TREE}
        reply = await service.client.post("/v1/chat/completions", json=body, headers=TRACEPARENT)
    found = reply.json()["search"]
    request, search = collector.one("POST /v1/chat/completions"), collector.one("chat abacus")
    calls = collector.all("text_completion abacus") + collector.all("score prm")
    assert {span.trace for span in collector.spans} == {TRACE}
    assert (request.parent, search.parent) == (PARENT, request.id)
    assert {call.parent for call in calls} == {search.id}
    assert (request.kind, search.kind) == (SERVER, INTERNAL)
    assert len(calls) == found["engine_calls"] + found["reward_calls"]
    assert request.start <= search.start <= search.end <= request.end
    slack = 5_000_000  # the search's own clock begins within milliseconds of its span
    assert all(search.start - slack <= call.start <= call.end <= search.end + slack for call in calls)
    assert collector.resource["service.name"] == "espalier"


async def test_the_conventions_names_are_used() -> None:
    """What a backend for generative AI looks for, with the figures of the reply."""
    async with traced() as (service, collector):
        reply = await service.answer(search=TREE, max_tokens=50, temperature=0.5, seed=7)
    told, usage = collector.one("chat abacus").attributes, reply["usage"]
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "espalier"
    assert told["gen_ai.request.model"] == "abacus"
    assert told["gen_ai.request.max_tokens"] == 50
    assert told["gen_ai.request.temperature"] == 0.5
    assert told["gen_ai.request.seed"] == 7
    assert told["gen_ai.response.id"] == reply["id"]
    assert told["gen_ai.response.finish_reasons"] == [reply["choices"][0]["finish_reason"]]
    assert told["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert told["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    assert told["gen_ai.usage.reasoning.output_tokens"] == reasoning
    assert told["espalier.search.id"] == reply["search"]["id"]
    assert told["espalier.search.stop_reason"] == reply["search"]["stop_reason"]
    assert told["espalier.spans.dropped"] == 0
    request = collector.one("POST /v1/chat/completions").attributes
    assert request["http.route"] == "/v1/chat/completions"
    assert request["http.response.status_code"] == 200
    calls = collector.all("text_completion abacus")
    assert sum(call.attributes["gen_ai.usage.output_tokens"] for call in calls) == usage["completion_tokens"]


async def test_a_long_search_has_few_spans_and_says_how_many_it_dropped() -> None:
    """Whatever its budget: what is not told is counted."""
    async with traced(otlp_spans=3) as (service, collector):
        reply = await service.answer(search={**TREE, "budget": {"simulations": 16}})
    search, found = collector.one("chat abacus"), reply["search"]
    below = [span for span in collector.spans if span.parent == search.id]
    assert len(below) == 3
    assert search.attributes["espalier.spans.dropped"] == found["engine_calls"] + found["reward_calls"] - 3


async def test_no_word_of_prompt_or_answer_leaves_unless_allowed() -> None:
    """Neither in an attribute nor anywhere else of what is sent."""
    async with traced() as (service, collector):
        await service.answer("What is seventeen?", search=TREE, stop=["unlikely words"])
    sent = b"".join(collector.bodies)
    assert b"seventeen" not in sent
    assert b"boxed" not in sent
    assert b"unlikely words" not in sent


async def test_texts_are_told_where_the_settings_allow_it() -> None:
    """In the conventions' form."""
    async with traced(otlp_texts=True) as (service, collector):
        reply = await service.answer(search=TREE)
    told = collector.one("chat abacus").attributes
    (asked,) = json.loads(told["gen_ai.input.messages"])
    (answered,) = json.loads(told["gen_ai.output.messages"])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": QUESTION}]}
    assert answered["parts"][0]["content"] == reply["choices"][0]["message"]["content"]


async def test_failures_show_in_every_span() -> None:
    """The class of the error, never its message, which may quote the prompt; a stream that fails shows too."""
    engine = ScriptedEngine(failure=lambda _, __: EngineCallFailed("secret words"))
    async with traced(engine) as (service, collector):
        await service.refusal(503, model="abacus:majority")
        await service.ask(model="abacus:majority", stream=True)
    for span in collector.all("chat abacus") + collector.all("text_completion abacus"):
        assert span.status == ERROR
        assert span.attributes["error.type"] == "EngineCallFailed"
    requests = collector.all("POST /v1/chat/completions")
    assert [span.attributes["http.response.status_code"] for span in requests] == [503, 503]
    assert {span.status for span in requests} == {ERROR}
    assert b"secret words" not in b"".join(collector.bodies)


async def test_probes_and_scrapes_leave_no_span() -> None:
    """Only the API is traced; a path that does not exist is named by no word of the client's."""
    async with traced() as (service, collector):
        for path in ("/health/ready", "/metrics", "/v1/models", "/v1/invented"):
            await service.client.get(path)
    assert sorted(span.name for span in collector.spans) == ["GET /v1/models", "GET unmatched"]


async def test_a_trace_that_the_client_does_not_sample_is_not_sent() -> None:
    """The flags of its ``traceparent`` decide."""
    async with traced() as (service, collector):
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
        body = {"messages": [{"role": "user", "content": QUESTION}]}
        assert (await service.client.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200
    assert collector.spans == []


def test_a_collector_named_by_the_environment_is_enough() -> None:
    """OpenTelemetry's own variables turn tracing on, and off."""
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert start_tracing(settings(), {}) is None
    assert start_tracing(settings(), {**named, "OTEL_SDK_DISABLED": "true"}) is None
    tracing = start_tracing(settings(), named)
    assert tracing is not None
    tracing._provider.shutdown()


def test_without_the_packages_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, instead of a server that silently traces nothing."""
    monkeypatch.setitem(sys.modules, "server.spans", None)
    with pytest.raises(StartupError, match=r"espalier\[otel\]"):
        start_tracing(settings(otlp_endpoint="http://127.0.0.1:4318"), {})


def test_where_nothing_is_traced_nothing_is_imported() -> None:
    """A whole search without a byte of OpenTelemetry in memory."""
    script = (
        "import asyncio, sys\n"
        "from tests.server.service import serving\n"
        "async def main():\n"
        "    async with serving() as service:\n"
        "        await service.answer()\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert done.stdout.strip() == "[]", done.stderr
