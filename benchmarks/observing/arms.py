"""Two servers over the same engines in one process: one that is watched, and one that is not.

They take turns, so that whatever else the machine does meets both alike, and begin each with an empty cache. In the
turns of the one that is not watched vLLM counts nothing in this process either; what it counts in the engine's own
process (``Scheduler.make_stats``) it counts in both. Engines of their own would be no better: of two alike one is some
percent faster than the other for as long as both live.
Requests go straight to the app, without a socket: all that is left is the server's own work, and the share that
watching has of it is as large as it can be.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import httpx
from fastapi import FastAPI

from benchmarks.torture.asking import QUESTION
from benchmarks.torture.target import CHATS, ROOT, family
from engine.pair import EnginePair
from server.app import create_app
from server.backend import Backend, Report
from server.heap import settle_heap
from server.loading import load_backend
from server.settings import Settings
from server.tracing import start_tracing

Arm = Literal["watched", "bare"]


class Nothing:
    """Stands for metrics that count nothing: whatever is asked of it or called on it is itself."""

    def __getattr__(self, _: str) -> Nothing:
        return self

    def __call__(self, *_: Any, **__: Any) -> Nothing:
        """Itself."""
        return self


@dataclasses.dataclass(frozen=True, slots=True)
class Speed:
    """Of one round. Processor time bears a machine that others use as well; tokens per second do not.

    Attributes:
        tokens: Generated tokens per second.
        processor: Seconds of processor time per 1,000 of them, of the server and its engines.
    """

    tokens: float
    processor: float


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """Both servers and what they share."""

    clients: dict[Arm, httpx.AsyncClient]
    backend: Backend
    sink: int

    async def round(self, arm: Arm, seeds: Sequence[int], at_once: int, search: dict[str, Any]) -> Speed:
        """Answers a search for each seed, so many at once."""
        gate, client = asyncio.Semaphore(at_once), self.clients[arm]

        async def one(seed: int) -> int:
            body = {"messages": [{"role": "user", "content": QUESTION}], "search": search, "seed": seed}
            async with gate:
                reply = await client.post(CHATS, json=body)
            reply.raise_for_status()
            return int(reply.json()["usage"]["completion_tokens"])

        await _vllm_counts(self.backend, counts=arm == "watched")
        began, spent = time.perf_counter(), self.processor_seconds()
        tokens = sum(await asyncio.gather(*map(one, seeds)))
        took, spent = time.perf_counter() - began, self.processor_seconds() - spent
        return Speed(tokens / took, 1000 * spent / max(1, tokens))

    def processor_seconds(self) -> float:
        """What this process and its engines have had of the processor so far; the collector is somebody else's."""
        processes = (process for process in family(os.getpid()) if process != self.sink)
        return sum(map(_processor_seconds, processes))


@asynccontextmanager
async def both(settings: Settings) -> AsyncIterator[Arms]:
    """Starts the engines once and both servers over them."""
    backend = await load_backend(settings, lambda _: None)
    shared = dataclasses.replace(backend, close=_nothing)

    async def load(_: Settings, __: Report) -> Backend:
        return shared

    with _sink() as (endpoint, sink):
        with patch("server.app.Metrics", lambda _: Nothing()):
            bare = create_app(settings, load=load)
        tracing = start_tracing(settings.model_copy(update={"otlp_endpoint": endpoint}), {})
        watched = create_app(settings, load=load, tracing=tracing)
        async with _running(bare) as one, _running(watched) as other:
            settle_heap()  # as server.process does
            yield Arms({"bare": one, "watched": other}, backend, sink)
    await backend.close()


async def _nothing() -> None:
    """The engines are closed once, by whoever started them."""


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with app.router.lifespan_context(app):
        await app.state.runtime.settled.wait()
        if app.state.runtime.failure:
            raise app.state.runtime.failure
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://bench", timeout=600
        ) as client:
            yield client


@contextmanager
def _sink() -> Iterator[tuple[str, int]]:
    """Address and process of a collector that throws everything away."""
    command = [sys.executable, "-m", "benchmarks.observing.sink"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        try:
            assert process.stdout is not None  # noqa: S101
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid
        finally:
            process.terminate()


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime: proc(5)


async def _vllm_counts(backend: Backend, *, counts: bool) -> None:
    """Has vLLM count what its engines tell this process, or not; no call may be open. Their caches are empty then."""
    pair = getattr(backend.close, "__self__", None)
    if not isinstance(pair, EnginePair):
        return
    for engine in (pair.generation, pair.reward):
        if engine is not None:
            llm: Any = engine.process.llm
            handler, llm.output_handler = llm.output_handler, None
            llm.log_stats = llm.output_processor.log_stats = counts
            llm._run_output_handler()  # noqa: SLF001 - a new one, since each keeps what log_stats was when it began
            if not counts:
                llm._logger_ref[0] = None  # noqa: SLF001
            handler.cancel()
            await asyncio.gather(handler, return_exceptions=True)
            await llm.reset_prefix_cache()
