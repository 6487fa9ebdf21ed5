"""Questions to the server and what becomes of them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.torture.target import CHATS

QUESTION = "Tom has 14 apples. He buys 9 more and gives 5 away. How many apples does Tom have now?"

CLEAR = frozenset({"answer", "overloaded", "not_ready", "engine_failed", "reward_failed", "no_answer_in_time"})
"""Outcomes that are an answer or a clear error: what a client may be told under load and when something breaks."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request: ``answer``, an error's code, or what else happened. ``reply`` is its body."""

    what: str
    seconds: float
    reply: dict[str, Any] = field(default_factory=dict)

    @property
    def stop_reason(self) -> str:
        """Why the search ended; empty without an answer."""
        return str(self.reply.get("search", {}).get("stop_reason", ""))


def fixed_search(samples: int, tokens: int, **budget: float) -> dict[str, Any]:
    """A search that takes its time whatever the model knows: so many texts of exactly so many tokens."""
    search = {"strategy": "majority", "samples": samples, "adaptive": False, "budget": budget}
    return {"search": search, "max_tokens": tokens, "ignore_eos": True}


async def ask(client: httpx.AsyncClient, **fields: Any) -> Outcome:
    """Asks, plain or streamed, to the end."""
    began = time.perf_counter()
    body = {"messages": [{"role": "user", "content": QUESTION}], **fields}
    try:
        reply = await client.post(CHATS, json=body)
    except httpx.HTTPError as error:
        return Outcome(f"broken: {type(error).__name__}", time.perf_counter() - began)
    took = time.perf_counter() - began
    if fields.get("stream"):
        return Outcome(_streamed(reply), took)
    content = reply.json()
    if reply.status_code == 200:
        return Outcome("answer", took, content)
    return Outcome(str(content["error"]["code"]), took, content)


def _streamed(reply: httpx.Response) -> str:
    text = reply.text
    for code in CLEAR:
        if f'"code":"{code}"' in text.replace(" ", ""):
            return code
    return "answer" if reply.status_code == 200 and text.endswith("data: [DONE]\n\n") else "broken: cut stream"


async def many(client: httpx.AsyncClient, count: int, **fields: Any) -> list[asyncio.Task[Outcome]]:
    """So many requests at once, every other one streamed; under way, not awaited."""
    return [asyncio.create_task(ask(client, **fields, stream=number % 2 == 1, seed=number)) for number in range(count)]
