"""A server on a socket of 127.0.0.1 that speaks vLLM's dialect, and fails on demand in every way a server can.

It writes one fixed answer, whatever it is asked, with a token's log-probability made from its place. The shapes of its
replies are those that ``tests/engine/golden/vllm_*.json`` recorded from the real server; a test holds it to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.tokenizer import HFTokenizer

Mood = Literal[
    "well", "reset", "reset_midway", "hang", "hang_midway", "end_midway", "500", "503", "429", "full", "401", "400",
    "error_midway", "bad_midway", "no_json", "no_events", "shape", "abort", "html",
]  # fmt: skip
"""How a server answers a call. ``midway`` is after its first tokens."""

ANSWER = "17 + 25 = 42\n\nThe answer is \\boxed{42}."
STEP_TAG = 3


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


@dataclass(eq=False)
class FakeVllm:
    """One server.

    Args:
        tokenizer: The model's.
        mood: How the calls are answered, by their number from 0.
        answer: What it writes.
        token_seconds: Pause between two tokens.
        native: Whether it knows more than OpenAI's completions.
        takes_tokens: Whether prompts may be token ids.
        gives_logprobs: Whether replies have log-probabilities.
        max_model_len: What it says about itself; None says nothing.
    """

    tokenizer: HFTokenizer
    mood: Callable[[int], Mood] = lambda _: "well"
    answer: str = ANSWER
    token_seconds: float = 0.0
    native: bool = True
    takes_tokens: bool = True
    gives_logprobs: bool = True
    max_model_len: int | None = 4096
    model: str = "models/abacus"
    key: str = ""
    listens: tuple[str, ...] = ("127.0.0.1",)
    tls: ssl.SSLContext | None = None
    ill: bool = False  # what /health says
    deaf: bool = False  # answers nothing at all, on open connections too: a network that is cut off

    port: int = field(default_factory=free_port)
    calls: list[dict[str, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # X-Request-Id of the calls
    hosts: list[str] = field(default_factory=list)
    open_calls: int = 0
    aborted: int = 0
    written: int = 0  # tokens sent
    _server: asyncio.Server | None = None
    _connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Begins to listen."""
        self._server = await asyncio.start_server(self._serve, self.listens, self.port, ssl=self.tls)

    async def kill(self) -> None:
        """Ends as a killed process does: open connections are reset, new ones refused."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._connections):
            _reset(writer)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; False when the connection is over."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:] if line)
        }
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"null")
        self.hosts.append(headers["host"])
        if self.deaf:
            await asyncio.sleep(3600)
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return await _send(writer, 401, {"error": "Unauthorized"})
        if path == "/health":
            return await _send(writer, 503 if self.ill else 200, None)
        if path == "/v1/models":
            entry = {"id": self.model, "object": "model", "root": self.model, "parent": None}
            entry |= {"max_model_len": self.max_model_len} if self.max_model_len else {}
            return await _send(writer, 200, {"object": "list", "data": [entry]})
        if path == "/tokenize" and self.native:
            ids = self.tokenizer.encode(body["prompt"])
            return await _send(writer, 200, {"count": len(ids), "max_model_len": 4096, "tokens": ids})
        if path in {"/v1/completions", "/pooling"} and method == "POST":
            return await self._call(path, body, headers, reader, writer)
        return await _send(writer, 404, {"detail": "Not Found"})

    async def _call(
        self,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        if not body.get("stream") and path == "/v1/completions":  # a probe
            return await self._probe(body, writer)
        probe = "x-request-id" not in headers
        mood = "well" if probe else self.mood(len(self.calls))
        if not probe:
            self.calls.append(body)
            self.names.append(headers["x-request-id"])
        if mood == "hang":
            await asyncio.sleep(3600)
        if mood == "reset":
            _reset(writer)
            return False
        if refusal := _REFUSALS.get(mood):
            return await _send(writer, *refusal)
        if mood in {"no_json", "html"}:
            return await _send_raw(
                writer, 200, b"<html>hello</html>", "text/html" if mood == "html" else "text/event-stream"
            )
        if path == "/pooling":
            return await _send(writer, 200, {"data": "nonsense"} if mood == "shape" else self._pooled(body))
        return await self._stream(body, mood, reader, writer)

    async def _probe(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        if isinstance(body["prompt"], list) and not self.takes_tokens:
            return await _send(writer, 422, {"detail": "prompt must be a string"})
        ids = self.tokenizer.encode("17")[:1]
        choice = self._choice(0, ids, 0, body) | {"finish_reason": "length", "stop_reason": None}
        return await _send(writer, 200, {"id": "cmpl-1", "object": "text_completion", "choices": [choice]})

    async def _stream(
        self, body: dict[str, Any], mood: Mood, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n")
        self.open_calls += 1
        watching = asyncio.create_task(reader.read(1))  # ends when the client closes
        try:
            async for event in self._events(body, mood):
                if watching.done():
                    self.aborted += 1
                    return False
                writer.write(b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n")
                await writer.drain()
            if mood == "reset_midway":
                _reset(writer)
        except ConnectionError:
            self.aborted += 1
        finally:
            self.open_calls -= 1
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await watching
        return False

    async def _events(self, body: dict[str, Any], mood: Mood) -> AsyncIterator[dict[str, Any] | bytes]:
        if mood == "no_events":
            return
        if mood == "shape":
            yield {"choices": [{"index": 0, "text": "x", "logprobs": {"tokens": 7}}]}
            return
        n, answers = body.get("n") or 1, [self._answer(body) for _ in range(body.get("n") or 1)]
        interval = body.get("stream_interval") or 1
        for start in range(0, max(len(ids) for ids, _, _ in answers), interval):
            for index in range(n):
                ids, reason, stop = answers[index]
                piece = ids[start : start + interval]
                if not piece:
                    continue
                choice = self._choice(index, piece, start, body)
                last = start + interval >= len(ids)
                choice |= {"finish_reason": reason if last else None, "stop_reason": stop if last else None}
                if last and mood == "abort":
                    choice["finish_reason"] = "abort"
                self.written += len(piece)
                yield {
                    "id": "cmpl-1",
                    "object": "text_completion",
                    "created": 1,
                    "model": self.model,
                    "choices": [choice],
                }
            if self.token_seconds:
                await asyncio.sleep(self.token_seconds)
            if "midway" in mood:
                async for event in _midway(mood):
                    yield event
                return
        yield self._usage(body, sum(len(ids) for ids, _, _ in answers))
        yield b"[DONE]"

    def _usage(self, body: dict[str, Any], count: int) -> dict[str, Any]:
        """The last event; whole blocks of 32 tokens of the prompt came from the cache."""
        prompt = len(body["prompt"])
        usage: dict[str, Any] = {"prompt_tokens": prompt, "total_tokens": prompt + count, "completion_tokens": count}
        if self.native:
            usage["prompt_tokens_details"] = {"cached_tokens": prompt // 32 * 32}
        return self._event() | {"choices": [], "usage": usage}

    def _event(self) -> dict[str, Any]:
        return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": self.model}

    def _answer(self, body: dict[str, Any]) -> tuple[list[int], str, object]:
        """Token ids, finish reason and stop reason; a prompt that ends with part of the answer is continued."""
        ids = [*self.tokenizer.encode(self.answer), *sorted(self.tokenizer.eos_ids)]
        if isinstance(body["prompt"], list):
            ids = ids[_overlap(body["prompt"], ids) :]
        most = int(body["max_tokens"])
        for count in range(1, len(ids) + 1):
            text = self.tokenizer.decode_text(ids[:count], skip_special=True)
            stops = [stop for stop in body.get("stop") or [] if stop in text]
            if stops:
                return ids[:count], "stop", stops[0]
            if count == most and ids[count - 1 : count] != sorted(self.tokenizer.eos_ids):
                return ids[:count], "length", None
        return (ids if self.native else ids[:-1]), "stop", None

    def _choice(self, index: int, ids: Sequence[int], start: int, body: dict[str, Any]) -> dict[str, Any]:
        """A choice as vLLM writes it: the chosen token, then the likeliest, the chosen not again."""
        named = bool(body.get("return_tokens_as_token_ids")) and self.native
        texts = [f"token_id:{token}" if named else self.tokenizer.decode([token]) for token in ids]
        logprobs = [-0.125 * (1 + (start + place) % 4) for place in range(len(ids))]
        others = [f"token_id:{token}" if named else self.tokenizer.decode([token]) for token in range(40, 60)]
        tops = [
            {text: value}
            | {other: -5.0 - i for i, other in enumerate(others[: max(0, int(body.get("logprobs") or 0) - 1)])}
            for text, value in zip(texts, logprobs, strict=True)
        ]
        choice: dict[str, Any] = {"index": index, "text": self.tokenizer.decode_text(ids, skip_special=True)}
        if self.gives_logprobs:
            offsets = [0] * len(ids)
            choice["logprobs"] = {
                "text_offset": offsets, "token_logprobs": logprobs, "tokens": texts, "top_logprobs": tops,
            }  # fmt: skip
        return choice | ({"token_ids": list(ids)} if self.native and body.get("return_token_ids") else {})

    def _pooled(self, body: dict[str, Any]) -> dict[str, Any]:
        """As the real server: a row of two probabilities for each step tag, or one raw logit."""
        tags = [token for token in body["input"] if token == STEP_TAG]
        rows: Any = [[0.25, 0.75] for _ in tags] if body["task"] == "token_classify" else [1.5]
        usage = {"prompt_tokens": len(body["input"]), "total_tokens": len(body["input"]), "completion_tokens": 0}
        data = [{"index": 0, "object": "pooling", "data": rows}]
        return {"id": "pooling-1", "object": "list", "created": 1, "model": self.model, "data": data, "usage": usage}


async def _midway(mood: Mood) -> AsyncIterator[dict[str, Any] | bytes]:
    """What comes after the first tokens of a call that fails half way."""
    if mood == "hang_midway":
        await asyncio.sleep(3600)
    if mood == "error_midway":
        yield {"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}
    if mood == "bad_midway":
        yield {"error": {"message": "no such grammar", "type": "BadRequestError", "code": 400}}


_REFUSALS: dict[str, tuple[int, Any]] = {
    "500": (500, {"error": {"message": "boom", "type": "InternalServerError", "param": None, "code": 500}}),
    "503": (503, {"error": {"message": "away", "type": "ServiceUnavailableError", "param": None, "code": 503}}),
    "full": (503, {"error": {"message": "queue full", "type": "QueueOverflow", "param": None, "code": 503}}),
    "429": (429, {"error": {"message": "slow down", "type": "rate_limit", "param": None, "code": 429}}),
    "401": (401, {"error": "Unauthorized"}),
    "400": (400, {"error": {"message": "no", "type": "BadRequestError", "param": "top_p", "code": 400}}),
}


def _overlap(prompt: Sequence[int], ids: Sequence[int]) -> int:
    """How many of the answer's tokens the prompt ends with."""
    return next((count for count in range(len(ids), 0, -1) if list(prompt[-count:]) == list(ids[:count])), 0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection by RST, as the kernel does for a process that is gone."""
    opened = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _send(writer: asyncio.StreamWriter, status: int, body: Any) -> bool:
    content = b"" if body is None else json.dumps(body).encode()
    return await _send_raw(writer, status, content, "application/json")


async def _send_raw(writer: asyncio.StreamWriter, status: int, content: bytes, kind: str) -> bool:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()
    return True


@asynccontextmanager
async def fakes(*servers: FakeVllm) -> AsyncIterator[None]:
    """Starts servers, and ends them."""
    for server in servers:
        await server.start()
    try:
        yield
    finally:
        for server in servers:
            await server.kill()
