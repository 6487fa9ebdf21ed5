"""Asks a running server the questions of one run, many at a time, and keeps what it said and what it cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Run:
    """One configuration to measure.

    ``body`` holds further fields of the chat request (model, temperature, ``search`` …).
    """

    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What one question got: all generated tokens, and seconds as the client saw them. ``error`` is None when well."""

    question: int
    text: str
    tokens: int
    engine_calls: int
    seconds: float
    stop_reason: str
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The reply as one JSON object."""
        return asdict(self)


async def ask_all(
    client: httpx.AsyncClient, run: Run, questions: Sequence[str], *, concurrency: int
) -> AsyncIterator[Reply]:
    """Asks every question under one run and yields replies as they come.

    Args:
        client: An HTTP client whose base URL is the server.
        run: What to send besides the question.
        questions: The questions; a reply names its question by index.
        concurrency: How many requests are open at once, at least 1.
    """
    gate = asyncio.Semaphore(concurrency)

    async def one(index: int) -> Reply:
        async with gate:
            return await _ask(client, run, index, questions[index])

    for done in asyncio.as_completed([asyncio.create_task(one(index)) for index in range(len(questions))]):
        yield await done


async def _ask(client: httpx.AsyncClient, run: Run, index: int, question: str) -> Reply:
    began = time.monotonic()
    body = {"messages": [{"role": "user", "content": question}], "seed": index, **run.body}
    answer = await client.post("/v1/chat/completions", json=body)
    seconds = time.monotonic() - began
    if answer.status_code != httpx.codes.OK:
        return Reply(index, "", 0, 0, seconds, "", f"{answer.status_code}: {answer.text[:200]}")
    reply = answer.json()
    search = reply.get("search") or {}
    return Reply(
        question=index,
        text=reply["choices"][0]["message"]["content"] or "",
        tokens=reply["usage"]["completion_tokens"],
        engine_calls=search.get("engine_calls", 0),
        seconds=seconds,
        stop_reason=search.get("stop_reason", ""),
    )
