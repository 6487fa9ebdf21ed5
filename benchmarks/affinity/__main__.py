"""``python -m benchmarks.affinity``: prints hit rates of both ways, with machine, versions, load and command.

Both arms run the same gateway, with all that it does about load and health. They differ in one thing: the key by which
a call finds its engine is the search's, or chance. Each round has questions of its own, so that no arm profits from
what another left in the caches; rounds of both arms take turns. Hit rate is vLLM's own: prefix-cache hits over queries,
in tokens, over all engines.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx

from benchmarks.affinity.servers import ROOT, generating
from engine.remote.generation import RemoteEngine
from evals.provenance import machine, versions
from mcts.ports import SampleRequest
from server.app import create_app
from server.backend import Backend, Report
from server.remote_backend import load_remote
from server.settings import Settings

Arm = Literal["affinity", "random"]
HITS, QUERIES = "vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"


class Scattered(RemoteEngine):
    """An engine whose calls go anywhere."""

    def _key(self, request: SampleRequest) -> str:
        return f"{request.search_id}{uuid.uuid4()}"


@dataclass(eq=False)
class Sums:
    """What one arm measured over all of its rounds."""

    seconds: float = 0.0
    tokens: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def hit_rate(self) -> float:
        """Hits over queries, in tokens."""
        return self.counts[HITS] / max(1, self.counts[QUERIES])


def main() -> int:
    """Measures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.affinity", description=__doc__)
    parser.add_argument("--engine-url", action="append", default=[], help="servers that run already; else some start")
    parser.add_argument("--engines", type=int, default=2, help="how many to start")
    parser.add_argument("--cache-blocks", type=int, help="blocks of 32 tokens in each cache; else 1 GiB, never full")
    parser.add_argument("--rounds", type=int, default=4, help="of each arm")
    parser.add_argument("--searches", type=int, default=8, help="in each round, all at once")
    parser.add_argument("--simulations", type=int, default=16)
    parser.add_argument("--context", type=int, default=40, help="lines of its own that each question begins with")
    given = parser.parse_args()
    print(f"command: python -m benchmarks.affinity {' '.join(sys.argv[1:])}")
    print(f"{machine()}, Python {platform.python_version()}, {', '.join(versions())}")
    print(f"load average before: {os.getloadavg()[0]:.1f}", flush=True)
    sums = asyncio.run(_measure(given))
    for arm, measured in sums.items():
        hits, queries = measured.counts[HITS], measured.counts[QUERIES]
        print(
            f"{arm}: hit rate {measured.hit_rate:.1%} ({hits:,} of {queries:,} prompt tokens), "
            f"read anew {queries - hits:,}, {measured.tokens:,} tokens generated in {measured.seconds:.1f} s"
        )
    print(f"load average after: {os.getloadavg()[0]:.1f}")
    return 0


async def _measure(given: argparse.Namespace) -> dict[str, Sums]:
    starting = nullcontext(given.engine_url) if given.engine_url else _started(given.engines, given.cache_blocks)
    async with starting as urls:
        sums: dict[str, Sums] = {"affinity": Sums(), "random": Sums()}
        chance = random.Random(0)
        async with _gateway(urls, "affinity") as kept, _gateway(urls, "random") as scattered:
            clients: dict[Arm, httpx.AsyncClient] = {"affinity": kept, "random": scattered}
            for number in range(given.rounds):
                order: list[Arm] = ["random", "affinity"] if number % 2 else ["affinity", "random"]
                for arm in order:
                    before, began = await _counts(urls), time.monotonic()
                    sums[arm].tokens += await _round(clients[arm], given, chance)
                    sums[arm].seconds += time.monotonic() - began
                    counts = await _counts(urls) - before
                    sums[arm].counts += counts
                    print(f"  round {number + 1}, {arm}: {counts[HITS] / counts[QUERIES]:.1%}", flush=True)
        return sums


@asynccontextmanager
async def _started(count: int, cache_blocks: int | None) -> AsyncIterator[list[str]]:
    flags = ("--num-gpu-blocks-override", str(cache_blocks)) if cache_blocks else ()
    async with generating(count, *flags) as servers:
        yield [server.url for server in servers]


@asynccontextmanager
async def _gateway(urls: list[str], arm: Arm) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway in this process over the engines."""
    settings = Settings(engine_url=tuple(urls), tokenizer=str(ROOT / "models" / "abacus"), engine_check_timeout=30.0)

    async def load(settings: Settings, report: Report) -> Backend:
        backend = await load_remote(settings, report)
        engine = backend.engine
        if arm == "affinity" or not isinstance(engine, RemoteEngine):
            return backend
        other = Scattered(engine.fleet, engine.tokenizer, engine.tokenizer.eos_ids, engine.max_model_len)
        return replace(backend, engine=other)

    app = create_app(settings, load=load)
    async with app.router.lifespan_context(app):
        await app.state.runtime.settled.wait()
        if app.state.runtime.failure:
            raise app.state.runtime.failure
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=600) as client:
            yield client


async def _round(client: httpx.AsyncClient, given: argparse.Namespace, chance: random.Random) -> int:
    """Asks so many questions at once; the tokens that were generated."""
    replies = await asyncio.gather(
        *(_ask(client, given, _question(chance, given.context)) for _ in range(given.searches))
    )
    return sum(reply["search"]["tokens"]["generated"] for reply in replies)


async def _ask(client: httpx.AsyncClient, given: argparse.Namespace, question: str) -> dict[str, Any]:
    body = {
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 256,
        "search": {
            "strategy": "uct", "reward": "confidence", "branch": 4, "width": 4, "step": {"tokens": 32},
            "budget": {"simulations": given.simulations},
        },
    }  # fmt: skip
    reply = await client.post("/v1/chat/completions", json=body)
    reply.raise_for_status()
    found: dict[str, Any] = reply.json()
    return found


def _question(chance: random.Random, lines: int) -> str:
    """A sum after lines that no other question has, as a chat with some history is."""
    history = [f"{chance.randrange(10, 99)} + {chance.randrange(10, 99)}?" for _ in range(lines)]
    return "\n".join([*history, f"What is {chance.randrange(10, 99)} + {chance.randrange(10, 99)}?"])


async def _counts(urls: list[str]) -> Counter[str]:
    """The engines' own counters, summed."""
    counts: Counter[str] = Counter()
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for url in urls:
            for line in (await client.get(f"{url}/metrics")).text.splitlines():
                for name in (HITS, QUERIES):
                    if line.startswith(f"{name}{{"):
                        counts[name] += int(float(line.rpartition(" ")[2]))
    return counts


if __name__ == "__main__":
    sys.exit(main())
