"""Hostile input: heads without end, deep bodies, schemas that blow up, and each CVE of the field that can apply here.

The list is that of ``serving.md`` (section 5.1). One more, CVE-2026-42208 (SQL injection in LiteLLM), has no
counterpart: there is no database.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
from typing import Any

import httpx
import pytest

from engine.scripted import ScriptedEngine
from server.dashboard.routes import file_paths
from server.form_checker import TOO_COMPLEX, FormChecker
from server.middleware import OPEN_PATHS
from server.protocol import MOST_HEADERS
from tests.server.service import CHATS, Service, backend, listening, serving, until
from tests.server.test_response_format import json_engine

GOOD: dict[str, Any] = {"messages": [{"role": "user", "content": "1"}], "model": "abacus:direct"}
KEYS = {"api_key": ["s3cret-key"]}


async def talk(service: Service, raw: bytes, *, ends: bool = True) -> tuple[int, bytes]:
    """Sends bytes over a connection of its own; the status and the rest of the reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    try:
        writer.write(raw)
        reply = await asyncio.wait_for(reader.read() if ends else reader.read(2**20), 10)
    finally:
        writer.close()
    return int(reply.split()[1]), reply.partition(b"\r\n\r\n")[2]


def get(target: str, *headers: str) -> bytes:
    """A raw GET."""
    return "\r\n".join([f"GET {target} HTTP/1.1", *headers, "Connection: close", "", ""]).encode()


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models",
        "//v1/models",
        "/v1/models?/health",
        "/v1/models#/health",
        "http://x/health/../v1/models",
        "http://health/v1/models",
        "http://x/v1/models?a=/health",
        "/health/../v1/models",
        "/health/%2e%2e/v1/models",
        "/health%2f..%2fv1/models",
        "/health;/v1/models",
        "/%68ealth/../metrics",
    ],
)
@pytest.mark.parametrize(
    "host", ["x", "x/health", "x/../health?", "/health", "x@y/health#", "[::1]/health", "x:/health"]
)
async def test_cve_2026_48746_no_host_or_target_opens_a_door(target: str, host: str) -> None:
    """Authentication looks at the path that is routed, and nothing else; without a key nothing but health is served."""
    async with listening(**KEYS) as service:
        status, text = await talk(service, get(target, f"Host: {host}", "X-Forwarded-Host: x/health"))
        assert status in {400, 401}
        assert b'"data"' not in text


async def test_cve_2026_48746_what_is_open_is_health_and_the_dashboards_files() -> None:
    """Every route of the app but these asks for a key: deny by default. The files tell nothing."""
    async with serving(**KEYS) as service:
        opened = OPEN_PATHS | file_paths()
        templates = {getattr(route, "path", "") for route in service.app.routes} - OPEN_PATHS
        paths = {path for path in templates if path not in opened and "{" not in path}
        paths |= {"/v1/searches/x", "/dashboard/no-such-file.js", "/dashboard/web/../numbers"}
        assert {"/v1/chat/completions", "/metrics", "/version", "/openapi.json", "/dashboard/numbers"} <= paths
        for path in paths:
            for method in ("GET", "POST", "OPTIONS", "HEAD", "TRACE"):
                assert (await service.client.request(method, path)).status_code == 401, path


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 17}, "n"),
        ({"n": 10**9}, "n"),
        ({"search": {"strategy": "majority", "samples": 10**9}}, "search.samples"),
        ({"search": {"strategy": "uct", "budget": {"simulations": 10**9}}}, "search.budget.simulations"),
        ({"search": {"strategy": "uct", "width": 10**6}}, "search.width"),
        ({"search": {"strategy": "uct", "branch": 10**6}}, "search.branch"),
        ({"search": {"strategy": "uct", "max_depth": 10**6}}, "search.max_depth"),
        ({"search": {"strategy": "uct", "budget": {"tokens": 10**12}}}, "search.budget.tokens"),
        ({"search": {"strategy": "uct", "budget": {"seconds": 10**6}}}, "search.budget.seconds"),
        ({"search": {"strategy": "uct", "branch": 20, "budget": {"simulations": 1000}}, "max_tokens": 4000},
         "search.budget.tokens"),
    ],
)  # fmt: skip
async def test_cve_2026_34756_every_number_and_their_product_are_capped(
    service: Service, change: dict[str, Any], param: str
) -> None:
    """Too many answers, simulations, branches, tokens, or too much of all together: refused before any work."""
    calls = service.engine.calls
    assert (await service.refusal(**(GOOD | change)))["param"] == param
    assert service.engine.calls == calls


async def test_cve_2025_59425_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of one length, all of them, whichever fits."""
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr("server.middleware.hmac.compare_digest", spy)
    async with serving(api_key=["first", "second", "third"]) as service:
        for key in ("first", "third", "wrong", "f", "x" * 5000):
            compared.clear()
            await service.client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
            assert compared == [(32, 32)] * 3


@pytest.mark.parametrize(
    "field",
    [
        {"chat_template_kwargs": {"tokenize": True}},
        {"chat_template_kwargs": {"chat_template": "{{ 1 }}"}},
        {"chat_template": "{% for i in range(10**9) %}{% endfor %}"},
        {"mm_processor_kwargs": {}},
        {"media_io_kwargs": {}},
        {"documents": []},
        {"vllm_xargs": {}},
        {"guided_regex": "(a+)+$"},
        {"structured_outputs": {"regex": "(a+)+$"}},
        {"kv_transfer_params": {}},
        {"cache_salt": "x"},
        {"priority": -(10**9)},
    ],
    ids=lambda field: next(iter(field)),
)
async def test_cve_2025_62426_no_template_and_no_engine_argument_comes_from_a_client(
    service: Service, field: dict[str, Any]
) -> None:
    """What could run a template, a pattern or an engine's switch is refused by name."""
    assert (await service.refusal(**(GOOD | field)))["param"] == next(iter(field))


BOMBS = {
    "look-around": {"type": "string", "pattern": "(?=a)b"},
    "unknown-keyword": {"type": "array", "uniqueItems": True, "contains": {"type": "string"}, "minContains": 3},
    "items": {"type": "array", "items": {"type": "integer"}, "minItems": 1_000_000, "maxItems": 100_000_000},
}
"""Schemas of modest size that must not reach the engine. ``items`` makes vLLM's own check run out of memory."""


async def test_cve_2025_48944_a_schema_that_would_kill_an_engine_kills_a_worker_at_most() -> None:
    """Patterns that do not compile and sizes that explode are refused in time; the next is checked again.

    CVE-2025-48942 and -48943 are the same with invalid schemas and patterns.
    """
    pytest.importorskip("llguidance")
    checker, hasty = FormChecker(patience=60), FormChecker(seconds=0.005, patience=60)
    thousands = {"type": "object", "properties": {f"k{n}": {"type": "string"} for n in range(2500)}}
    good = {"type": "object", "properties": {"a": {"type": "integer"}}}
    try:
        faults = {name: await fault(checker, bomb) for name, bomb in BOMBS.items()}
        assert await fault(checker, good) == ""
        assert TOO_COMPLEX in await fault(hasty, thousands)  # by the processor's time
    finally:
        await checker.close()
        await hasty.close()
    assert "cannot be compiled" in faults["look-around"]
    assert "cannot be compiled" in faults["unknown-keyword"]
    assert TOO_COMPLEX in faults["items"]


async def fault(checker: FormChecker, schema: dict[str, Any]) -> str:
    """What the checker says of a schema."""
    from mcts.errors import InvalidRequest

    try:
        await checker.check(json.dumps(schema), "schema")
    except InvalidRequest as error:
        return str(error)
    return ""


@pytest.mark.parametrize("where", ["response_format", "tools"])
async def test_a_schema_is_tried_before_the_engine_sees_it(where: str) -> None:
    """Over HTTP, of a form or of a tool that must be called: a 400 that names the field, and no call."""
    pytest.importorskip("llguidance")
    engine = json_engine()
    parameters = {"type": "object", "properties": {"a": BOMBS["items"]}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    asked: dict[str, Any] = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": BOMBS["items"]}}
    }
    if where == "tools":
        asked = {"tools": [tool], "tool_choice": "required"}
    async with serving(engine, made=backend(engine, constrains=True, compiles=True)) as service:
        param = (await service.refusal(model="abacus:direct", **asked))["param"]
        assert param == {"response_format": "response_format.json_schema.schema", "tools": "tools"}[where]
        assert engine.calls == 0


@pytest.mark.parametrize("pattern", ["(" * 3000, "a{99999999999}", "(?P<n>"])
async def test_a_pattern_that_python_cannot_read_is_the_clients_fault(service: Service, pattern: str) -> None:
    """Not a 500, whatever its compiler raises."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "pattern": pattern}}}
    assert "schema" in (await service.refusal(model="abacus:direct", response_format=schema))["param"]


async def test_a_client_that_leaves_while_its_schema_is_checked_leaves_no_late_reply() -> None:
    """The worker is replaced; the next schema gets its own verdict."""
    pytest.importorskip("llguidance")
    checker = FormChecker(patience=60)
    try:
        asked = asyncio.create_task(checker.check(json.dumps(BOMBS["look-around"]), "schema"))
        await until(lambda: checker._worker is not None, 60)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await checker.check("{}", "schema")
    finally:
        await checker.close()


def head(*, name: int = 0, value: int = 0, count: int = 0, url: int = 0) -> bytes:
    """A request whose head is too large in one way."""
    headers = [f"X-{'n' * name}: {'v' * value}", *(f"X-{n}: 1" for n in range(count))]
    return get(f"/health/live?{'q' * url}", "Host: x", *headers)


@pytest.mark.parametrize(
    "raw",
    [
        head(value=40_000),
        head(name=40_000),
        head(url=40_000),
        head(count=MOST_HEADERS + 1),
        head(value=8_000),
        b"GET / HTTP/1.1\r\nX-Never-Ends: " + b"a" * 40_000,
        b"GET /" + b"a" * 40_000,
        b"\r\n" * 20_000,
    ],
    ids=["value", "name", "url", "count", "within", "endless-value", "endless-url", "endless-lines"],
)
async def test_cve_2025_48956_heads_have_a_limit(raw: bytes, request: pytest.FixtureRequest) -> None:
    """Headers and lines above the limit get 431 and the connection ends, be they whole or without end."""
    async with listening(max_header_bytes=32 * 1024) as service:
        name = request.node.callspec.id
        status, text = await talk(service, raw)
        assert status == (200 if name == "within" else 431)
        if status == 431:
            assert json.loads(text)["error"]["code"] == "headers_too_large"
        assert (await service.client.get("/health/live")).status_code == 200


async def test_what_is_not_http_gets_an_error_of_the_one_shape() -> None:
    """Not uvicorn's plain text."""
    async with listening() as service:
        status, text = await talk(service, b"\x16\x03\x01 nonsense\r\n\r\n")
        assert status == 400
        assert json.loads(text)["error"]["code"] == "invalid_request"


async def test_a_head_that_does_not_come_to_its_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not hold a connection for ever, on a new connection or a kept one."""
    monkeypatch.setattr("server.protocol.HEAD_SECONDS", 0.1)
    async with listening() as service:
        for before in (b"", b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"):
            reply = (await talk_all(service, before + b"GET /health/live HTTP/1.1\r\nX: "))[-1]
            assert b"408" in reply.split(b"\r\n")[0]


def chat(body: bytes, length: int) -> bytes:
    """A chat that announces a body of some length and sends a part of it."""
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_a_body_that_does_not_come_to_its_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the client gets 408 and the connection ends; where it has its refusal already, it just ends."""
    monkeypatch.setattr("server.protocol.BODY_SECONDS", 0.1)
    async with listening(max_body_bytes=4096) as service:
        (late,) = await talk_all(service, chat(b'{"model": ', 100))
        assert b"408" in late.split(b"\r\n")[0]
        assert json.loads(late.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_timeout"
        (refused,) = await talk_all(service, chat(b'{"model": ', 5000))
        assert b"413" in refused.split(b"\r\n")[0]
        assert service.engine.open_calls == 0


@pytest.mark.parametrize("late", [b"GET /health/live HTTP/1.1\r\nX: ", chat(b"{", 100)], ids=["head", "body"])
async def test_a_late_request_does_not_break_into_the_reply_before_it(
    late: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was sent whole is answered whole, however long it takes; then the late one is given up."""
    for limit in ("HEAD_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(f"server.protocol.{limit}", 0.05)
    async with listening(ScriptedEngine(latency=lambda _, __: 0.4)) as service:
        body = json.dumps(GOOD).encode()
        first, last = await talk_all(service, chat(body, len(body)) + late)
        assert b"200" in first.split(b"\r\n")[0]
        assert json.loads(first.partition(b"\r\n\r\n")[2])["choices"]
        assert b"408" in last.split(b"\r\n")[0]


async def talk_all(service: Service, raw: bytes) -> list[bytes]:
    """Everything that comes back over one connection, by reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    try:
        writer.write(raw)
        got = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
    return [b"HTTP/1.1" + each for each in got.split(b"HTTP/1.1")[1:]]


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "video_url", "file", "image", "audio_url"])
async def test_cve_2025_6242_cve_2026_5497_cve_2026_22773_nothing_is_fetched(service: Service, kind: str) -> None:
    """Parts that are no text are refused, whatever they point to; nobody connects there."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        part = {"type": kind, kind: {"url": url}}
        await service.refusal(messages=[{"role": "user", "content": [part]}])
        schema = {"name": "x", "schema": {"$ref": url, "$schema": url, "$id": url}}
        await service.ask(response_format={"type": "json_schema", "json_schema": schema}, model="abacus:direct")
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_error_amplification_a_large_fault_gets_a_small_reply(service: Service) -> None:
    """A body of a megabyte of faults once gave vLLM an error thousands of times as long."""
    bodies: list[dict[str, Any]] = [
        GOOD | {"messages": [{"role": "x" * 100, "content": {"a": "b"}}] * 8000},
        GOOD | {"stop": [1] * 200_000},
        GOOD | {"x" * 1_000_000: 1},
        GOOD | {f"unknown{n}": n for n in range(50_000)},
        GOOD | {"model": "m" * 1_000_000},
        GOOD | {"search": {"strategy": "s" * 1_000_000}},
        GOOD | {"logit_bias": {f"k{n}": 1 for n in range(60_000)}},
    ]
    for body in bodies:
        reply = await service.client.post(CHATS, json=body)
        assert reply.status_code in {400, 404}
        assert len(reply.content) < 4000


def deep(levels: int, opening: str, closing: str) -> bytes:
    """A chat with a field that is nested so deep."""
    return (
        json.dumps(GOOD)[:-1].encode() + b', "metadata": ' + (opening * levels + "1" + closing * levels).encode() + b"}"
    )


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("levels", [10, 900, 5000, 100_000])
async def test_deep_bodies_are_no_server_error(service: Service, levels: int, opening: str, closing: str) -> None:
    """What is nested too deep is the client's fault, and told as such."""
    content = deep(levels, opening, closing)
    reply = await service.client.post(CHATS, content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == (200 if levels == 10 else 400)
    if levels > 10:
        assert "nested" in reply.json()["error"]["message"]


async def test_an_upgrade_is_no_way_past_the_keys() -> None:
    """WebSockets are not spoken here."""
    async with listening(**KEYS) as service:
        headers = ["Host: x", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"]
        raw = "\r\n".join(["GET /v1/models HTTP/1.1", *headers, "Connection: Upgrade", "", ""]).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
        writer.write(raw)
        line = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        assert b" 401 " in line


async def test_health_and_metrics_answer_under_overload() -> None:
    """With all places taken and the queue full, probes are answered as ever."""
    from engine.scripted import ScriptedEngine

    async with listening(ScriptedEngine(latency=lambda _, __: 5.0), max_searches=4, max_queue=4) as service:
        asked = [asyncio.create_task(service.ask(model="abacus:direct")) for _ in range(40)]
        await until(lambda: service.runtime.admission.waiting == 4)
        for path in ("/health", "/health/live", "/health/ready", "/metrics"):
            assert (await service.client.get(path, timeout=httpx.Timeout(2))).status_code == 200
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await until(lambda: service.runtime.admission.running + service.runtime.admission.waiting == 0)
